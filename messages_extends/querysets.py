"""All query logic of messages and receipts."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Self

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.postgres.expressions import ArraySubquery
from django.core.exceptions import EmptyResultSet
from django.db import IntegrityError, connections
from django.db.models import BooleanField, Exists, F, Func, IntegerField, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from messages_extends.push.hints import wake
from messages_extends.rendering import without_rendering
from messages_extends.tenancy.databases import ReadsOwnWrites, atomic, write_database
from messages_extends.tenancy.stamp import require_all_here, require_here, stamp

if TYPE_CHECKING:
    from messages_extends.models import Message, Receipt  # noqa: F401 - ruff does not see a name in a base class

# Counting stops here: "99+".
UNREAD_CAP = 100
# What is between sender and recipient; a key may say what a message is about.
CONTENT: Final = ("message", "params", "extra_tags", "url", "is_safe", "key")

DELETE: Final = "DELETE FROM {table} WHERE id = ANY(ARRAY({chosen})) RETURNING user_id"
# In one order, so that two who mark all for one reader, in two tabs, wait for each other and never deadlock.
WRITE_RECEIPTS: Final = """
INSERT INTO {table} AS receipt (user_id, read_at, publication_id, revision)
SELECT %s, %s, chosen.id, chosen.revision FROM ({chosen}) AS chosen (id, revision) ORDER BY chosen.id
ON CONFLICT (user_id, publication_id) DO UPDATE SET
    earlier_revision = receipt.revision, earlier_read_at = receipt.read_at,
    revision = EXCLUDED.revision, read_at = EXCLUDED.read_at
WHERE receipt.revision < EXCLUDED.revision
"""
TAKE_BACK_RECEIPTS: Final = """
WITH restored AS (
    UPDATE {table} SET
        revision = earlier_revision, read_at = earlier_read_at, earlier_revision = NULL, earlier_read_at = NULL
    WHERE user_id = %s AND read_at = %s AND earlier_revision IS NOT NULL RETURNING 1
), removed AS (
    DELETE FROM {table} WHERE user_id = %s AND read_at = %s AND earlier_revision IS NULL RETURNING 1
)
SELECT (SELECT count(*) FROM restored) + (SELECT count(*) FROM removed)
"""


class IsAnyOf(Func):
    """Whether a column has one of the values of a subquery, which is evaluated once.

    PostgreSQL may evaluate `IN (SELECT … FOR UPDATE)` anew for each row, where it expects too many for its memory: then
    ten thousand rows take minutes.
    """

    template = "%(expressions)s)"
    arg_joiner = " = ANY("
    output_field = BooleanField()

    def __init__(self, column: str, chosen: "QuerySet[Any, Any]") -> None:
        super().__init__(F(column), ArraySubquery(chosen))


class CountOf(Subquery):
    """How many rows a query has, its limit included."""

    template = "(SELECT count(*) FROM (%(subquery)s) AS counted)"
    output_field = IntegerField()


class MessageQuerySet(ReadsOwnWrites["Message"]):
    """Messages of the current schema."""

    def for_user(self, user: AbstractBaseUser) -> Self:
        """Keep what `user` is the recipient of; WrongTenant if the object came from another organisation."""
        require_here(user)
        return self.filter(user_id=user.pk)

    def live(self, at: datetime | None = None) -> Self:
        """Keep what has not expired at `at` (now)."""
        return self.filter(Q(expires=None) | Q(expires__gt=at or timezone.now()))

    def unread(self) -> Self:
        return self.filter(read_at=None)

    def newest_first(self) -> Self:
        return self.order_by("-created", "-id")

    def without_content(self) -> Self:
        """Leave out what a message says, for those who administer messages: as a text, each says its number only."""
        return self.defer(*CONTENT).annotate(content_is_hidden=Value(True))

    # What publications have too, so that both can be branches of one list.

    def unread_by(self, _reader: AbstractBaseUser) -> Self:
        return self.unread()

    def with_read_at(self, _reader: AbstractBaseUser) -> Self:
        return self

    def most_urgent_first(self) -> Self:
        return self.newest_first()

    def counted(self) -> Self:
        """Add `total`: how many there are, counted up to UNREAD_CAP, so that its cost does not grow with the inbox."""
        return self.annotate(total=CountOf(self.newest_first().values("pk")[:UNREAD_CAP]))

    def in_order(self) -> "MessageQuerySet":
        """Lock them in the order of their keys, so that two who change the same wait for each other and never deadlock.

        What the other has changed meanwhile, so that it is none of these any more, is left out.
        """
        return self.model._default_manager.filter(IsAnyOf("pk", self._locked_in_order()))

    def _locked_in_order(self) -> "QuerySet[Any, Any]":
        return self.order_by("pk").select_for_update().values("pk")

    def delete_in_order(self) -> list[Any]:
        """Delete them in one statement, as nothing of ours refers to a message; return the keys of their recipients."""
        connection = connections[write_database()]
        try:
            chosen, params = self._locked_in_order().query.get_compiler(connection=connection).as_sql()
        except EmptyResultSet:
            return []
        with connection.cursor() as cursor:
            cursor.execute(DELETE.format(table=_quoted(self), chosen=chosen), params)
            return [user for (user,) in cursor.fetchall()]

    def mark_read(self, at: datetime | None = None) -> int:
        """Mark as read what is unread; return how many that were. Doing it again changes nothing."""
        return self.unread().update(read_at=at or timezone.now())

    def mark_unread(self) -> int:
        """Take the reading back; return of how many. What has been sent again under the same key stays read."""
        try:
            return self._mark_unread()
        except IntegrityError:
            # It was sent again, or marked as unread, by somebody who had not committed yet: now that can be seen.
            return self._mark_unread()

    def _mark_unread(self) -> int:
        again = self.model._default_manager.filter(user=OuterRef("user"), key=OuterRef("key"), read_at=None)
        # Of several that were read under one key, the last. Found once for all of them: asked of each, it is so dear
        # in the eyes of PostgreSQL that compiling the statement takes longer than anything else.
        with_key = self.exclude(read_at=None).exclude(key="").filter(~Exists(again.exclude(key="")))
        last = with_key.order_by("user_id", "key", "-pk").distinct("user_id", "key").values("pk")
        with atomic():
            return self.exclude(read_at=None).filter(Q(key="") | Q(pk__in=last)).update(read_at=None)

    def update(self, **values: Any) -> int:
        """Update as Django does; `read=True` and `read=False` mean `read_at`, as in django-messages-extends."""
        if "read" in values:
            values["read_at"] = _read_at(values.pop("read"))
        if values.get("sender", values.get("sender_id")) is not None:
            values["from_person"] = True
        return super().update(**values)

    def bulk_create(  # noqa: PLR0917 - Django's signature
        self,
        objs: Iterable["Message"],
        batch_size: int | None = None,
        ignore_conflicts: bool = False,
        update_conflicts: bool = False,
        update_fields: Iterable[str] | None = None,
        unique_fields: Iterable[str] | None = None,
    ) -> list["Message"]:
        messages = [without_rendering(each) for each in objs]
        for message in messages:
            require_all_here(message)
            note_person(message)
        created = super().bulk_create(
            messages,
            batch_size=batch_size,
            ignore_conflicts=ignore_conflicts,
            update_conflicts=update_conflicts,
            update_fields=None if update_fields is None else names_with_person(stored_names(update_fields)),
            unique_fields=None if unique_fields is None else list(unique_fields),
        )
        for message in created:
            stamp(message)
        wake(users={message.user_id for message in created if message.user_id is not None})
        return created

    def bulk_update(self, objs: Iterable["Message"], fields: Iterable[str], *args: Any, **kwargs: Any) -> int:
        messages = [without_rendering(each) for each in objs]
        for message in messages:
            require_all_here(message)
            note_person(message)
        return super().bulk_update(messages, names_with_person(stored_names(fields)), *args, **kwargs)


def stored_names(fields: Iterable[str]) -> Collection[str]:
    """Return the names of fields to write where `read` may be among those asked for."""
    return {"read_at" if name == "read" else name for name in fields}


def note_person(row: Any) -> None:
    """Note on a row that is about to be written that a person is its sender, if one is."""
    if row.__dict__.get("sender_id") is not None:
        row.from_person = True


def names_with_person(fields: Collection[str]) -> Collection[str]:
    """Return the names of fields to write, with what goes together with the sender."""
    return {*fields, "from_person"} if {"sender", "sender_id"} & set(fields) else fields


def _read_at(read: object) -> Any:
    if read is True:
        return Coalesce(F("read_at"), timezone.now())
    if read is False:
        return None
    raise ValueError(f"read={read!r}: only True and False can be written; write read_at for anything else.")


class ReceiptQuerySet(ReadsOwnWrites["Receipt"]):
    """Receipts of the current schema."""

    def of(self, user: AbstractBaseUser) -> Self:
        require_here(user)
        return self.filter(user_id=user.pk)

    def write(self, user: AbstractBaseUser, publications: "QuerySet[Any]", at: datetime) -> int:
        """Note that `user` has read `publications`, of which `values_list("pk", "revision")` is given.

        One statement; return how many it changed. A receipt of the same or a later revision stays as it is, and what
        an earlier one said is kept beside.
        """
        require_here(user)
        connection = connections[write_database()]
        try:
            chosen, params = publications.query.get_compiler(connection=connection).as_sql()
        except EmptyResultSet:
            return 0
        with connection.cursor() as cursor:
            cursor.execute(WRITE_RECEIPTS.format(table=_quoted(self), chosen=chosen), [user.pk, at, *params])
            return int(cursor.rowcount)

    def take_back(self, user: AbstractBaseUser, at: datetime) -> int:
        """Restore what was so before `user` read at exactly `at`; one statement; return how many it changed."""
        require_here(user)
        with connections[write_database()].cursor() as cursor:
            cursor.execute(TAKE_BACK_RECEIPTS.format(table=_quoted(self)), [user.pk, at] * 2)
            return int(cursor.fetchone()[0])


def _quoted(queryset: "QuerySet[Any]") -> str:
    return connections[write_database()].ops.quote_name(queryset.model._meta.db_table)
