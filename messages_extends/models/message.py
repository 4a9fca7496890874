"""The model of messages to one recipient, with its queryset."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any, ClassVar, Final, Literal, Self, cast

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import EmptyResultSet
from django.db import IntegrityError, connections, models
from django.db.models import Exists, Expression, F, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from messages_extends.events.changes import notify_changed
from messages_extends.models.content import Content
from messages_extends.models.expressions import CountOf, IsAnyOf, quoted_table
from messages_extends.models.read_field import ReadField
from messages_extends.models.sender import FromSender, set_from_person, with_from_person
from messages_extends.tenancy.databases import ReadsOwnWrites, atomic, write_database
from messages_extends.tenancy.origin import check_tenant, check_tenant_with_relations, stamp
from messages_extends.texts.rendering import without_rendering

# Unread messages are counted up to this number, and shown as "99+".
UNREAD_CAP: Final = 100
# The private fields of a message. A key may reveal its subject.
CONTENT_FIELDS: Final = ("message", "params", "extra_tags", "url", "is_safe", "key")

DELETE_MESSAGES: Final = "DELETE FROM {table} WHERE id = ANY(ARRAY({chosen})) RETURNING user_id"


class MessageQuerySet(ReadsOwnWrites["Message"]):
    """Messages of the current schema."""

    def for_user(self, user: AbstractBaseUser | AnonymousUser) -> Self:
        """Filter by recipient. Raises WrongTenant if `user` was loaded in another tenant."""
        check_tenant(user)
        return self.filter(user_id=user.pk)

    def live(self, at: datetime | None = None) -> Self:
        """Filter out messages that are expired at `at`, by default now."""
        return self.filter(Q(expires=None) | Q(expires__gt=at or timezone.now()))

    def unread(self) -> Self:
        return self.filter(read_at=None)

    def newest_first(self) -> Self:
        return self.order_by("-created", "-id")

    def without_content(self) -> Self:
        """Defer the private fields, for administration; `str()` of such a message shows only its number."""
        return self.defer(*CONTENT_FIELDS).annotate(content_is_hidden=Value(True))

    # The interface that messages share with publications, for the union of both.

    def unread_by(self, _reader: AbstractBaseUser) -> Self:
        return self.unread()

    def with_read_at(self, _reader: AbstractBaseUser) -> Self:
        return self

    def most_urgent_first(self) -> Self:
        return self.newest_first()

    def with_total(self) -> Self:
        """Annotate `total`, the number of rows up to UNREAD_CAP, so that its cost does not grow with the inbox."""
        return self.annotate(total=CountOf(self.newest_first().values("pk")[:UNREAD_CAP]))

    def locked_in_pk_order(self) -> "MessageQuerySet":
        """Lock the rows in the order of their keys, so that concurrent changes wait and never deadlock.

        Rows that another transaction has changed meanwhile so that they no longer match are left out.
        """
        return self.model._default_manager.filter(IsAnyOf("pk", self._locked_in_order()))

    def _locked_in_order(self) -> "QuerySet[Message, object]":
        return self.order_by("pk").select_for_update().values("pk")

    def delete_in_order(self) -> list[object]:
        """Delete the rows in one statement, without cascades; return the keys of their recipients."""
        connection = connections[write_database()]
        try:
            chosen, params = self._locked_in_order().query.get_compiler(connection=connection).as_sql()
        except EmptyResultSet:
            return []
        with connection.cursor() as cursor:
            cursor.execute(DELETE_MESSAGES.format(table=quoted_table(self), chosen=chosen), params)
            return [user for (user,) in cursor.fetchall()]

    def mark_read(self, at: datetime | None = None) -> int:
        """Mark the unread messages as read; return their number. It is idempotent."""
        return self.unread().update(read_at=at or timezone.now())

    def mark_unread(self) -> int:
        """Mark messages as unread; return their number. A message whose key was sent again remains read."""
        try:
            return self._mark_unread()
        except IntegrityError:
            # A concurrent transaction has sent it again or marked it as unread, and is visible now.
            return self._mark_unread()

    def _mark_unread(self) -> int:
        again = self.model._default_manager.filter(user=OuterRef("user"), key=OuterRef("key"), read_at=None)
        # The last of several read messages with one key. They are found by one subquery for all rows: the estimated
        # cost of a correlated subquery makes PostgreSQL spend most of the time on compiling the statement.
        with_key = self.exclude(read_at=None).exclude(key="").filter(~Exists(again.exclude(key="")))
        last = with_key.order_by("user_id", "key", "-pk").distinct("user_id", "key").values("pk")
        with atomic():
            return self.exclude(read_at=None).filter(Q(key="") | Q(pk__in=last)).update(read_at=None)

    def update(self, **values: object) -> int:
        """Update rows; `read=True` and `read=False` are translated to `read_at`, as for django-messages-extends."""
        if "read" in values:
            read = values.pop("read")
            if not isinstance(read, bool):
                raise ValueError(f"read is {read!r}: use True or False, or set read_at.")
            values["read_at"] = Coalesce(F("read_at"), timezone.now()) if read else None
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
            check_tenant_with_relations(message)
            set_from_person(message)
        created = super().bulk_create(
            messages,
            batch_size=batch_size,
            ignore_conflicts=ignore_conflicts,
            update_conflicts=update_conflicts,
            update_fields=None if update_fields is None else with_from_person(stored_names(update_fields)),
            unique_fields=None if unique_fields is None else list(unique_fields),
        )
        for message in created:
            stamp(message)
        notify_changed(users={message.user_id for message in created if message.user_id is not None})
        return created

    def bulk_update(self, objs: Iterable["Message"], fields: Iterable[str], batch_size: int | None = None) -> int:
        messages = [without_rendering(each) for each in objs]
        for message in messages:
            check_tenant_with_relations(message)
            set_from_person(message)
        return super().bulk_update(messages, with_from_person(stored_names(fields)), batch_size)


def stored_names(fields: Iterable[str]) -> Collection[str]:
    """Return the names of the stored fields, with `read_at` instead of `read`."""
    return {"read_at" if name == "read" else name for name in fields}


class Message(FromSender, Content):
    """A message to one recipient.

    Foreign keys to users are DO_NOTHING in Python and ON DELETE CASCADE or SET NULL in the database; see
    `messages_extends.tenancy.foreign_keys`.
    """

    kind: ClassVar[Literal["message"]] = "message"
    must_acknowledge: ClassVar = False
    author: ClassVar = ""

    # Nullable because rows of django-messages-extends may have no user.
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.DO_NOTHING,
        blank=True,
        null=True,
        db_index=False,
        verbose_name=_("recipient"),
    )
    sender = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.DO_NOTHING,
        blank=True,
        null=True,
        related_name="+",
        verbose_name=_("sender"),
        help_text=_("Blank if sent by the application, or by somebody who has been deleted."),
    )
    created = models.DateTimeField(_("created"), auto_now_add=True)
    modified = models.DateTimeField(_("modified"), auto_now=True)
    expires = models.DateTimeField(_("expires"), blank=True, null=True)
    read_at = models.DateTimeField(_("read at"), blank=True, null=True)
    read = ReadField(
        verbose_name=_("read"),
        expression=cast(Expression, Q(read_at__isnull=False)),
        output_field=models.BooleanField(),
        db_persist=True,
    )

    objects = MessageQuerySet.as_manager()

    class Meta:
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        indexes = [
            models.Index("user", models.F("created").desc(), models.F("id").desc(), name="messages_of_user"),
            models.Index(
                "user",
                models.F("created").desc(),
                models.F("id").desc(),
                condition=Q(read_at__isnull=True),
                # For index-only scans when counting.
                include=["expires"],
                name="messages_unread",
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["user", "key"],
                condition=Q(read_at__isnull=True) & ~Q(key=""),
                name="one_unread_message_per_key",
            )
        ]

    def __str__(self) -> str:
        if getattr(self, "content_is_hidden", False):
            return gettext("Message %(number)s") % {"number": self.pk}
        return super().__str__()

    @classmethod
    def from_db(cls, db: str | None, field_names: Collection[str], values: Collection[object], **options: Any) -> Self:
        message = super().from_db(db, field_names, values, **options)
        if "read_at" not in field_names:
            message._discard_read_at()
        return message

    def refresh_from_db(
        self,
        using: str | None = None,
        fields: Iterable[str] | None = None,
        from_queryset: "QuerySet[Self] | None" = None,
    ) -> None:
        names = None if fields is None else list(stored_names(fields))
        stays_deferred = fields is None and "read_at" not in self.__dict__
        super().refresh_from_db(using=using, fields=names, from_queryset=from_queryset)
        if stays_deferred:
            self._discard_read_at()

    def _discard_read_at(self) -> None:
        """Remove the time that was set when `read` was loaded without `read_at`."""
        self.__dict__.pop("read_at", None)

    @property
    def tags(self) -> str:
        """The CSS classes: extra tags, the tag of the level, and "read" or "unread"."""
        return " ".join(tag for tag in (self.extra_tags, self.level_tag, "read" if self.read else "unread") if tag)

    def save(self, *args: Any, update_fields: Iterable[str] | None = None, **kwargs: Any) -> None:
        names = None if update_fields is None else stored_names(update_fields)
        super().save(*args, update_fields=names, **kwargs)
        self._notify_changed()

    def delete(self, using: str | None = None, keep_parents: bool = False) -> tuple[int, dict[str, int]]:
        deleted = super().delete(using, keep_parents)
        self._notify_changed()
        return deleted

    def _notify_changed(self) -> None:
        notify_changed(users=[] if self.user_id is None else [self.user_id])
