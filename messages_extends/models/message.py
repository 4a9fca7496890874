"""The model of messages to one recipient, with its queryset."""

from collections.abc import Callable, Collection, Iterable
from datetime import datetime
from typing import Any, ClassVar, Final, Literal, Self, cast

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import EmptyResultSet
from django.db import IntegrityError, connections, models
from django.db.models import Case, Count, Exists, Expression, F, Func, Min, OuterRef, Q, QuerySet, Value, When
from django.db.models.functions import Coalesce, Greatest
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from messages_extends.events.changes import notify_changed
from messages_extends.models.content import Content, Display, View
from messages_extends.models.expressions import IsAnyOf, quoted_table
from messages_extends.models.marks import PREVIOUS, HasMarks
from messages_extends.models.read_field import ReadField
from messages_extends.models.sender import FromSender, set_from_person, with_from_person
from messages_extends.tenancy.databases import ReadsOwnWrites, atomic, write_database
from messages_extends.tenancy.origin import check_tenant, check_tenant_with_relations, stamp
from messages_extends.texts.rendering import without_rendering

# Unread messages are counted up to this number, and shown as "99+".
UNREAD_CAP: Final = 100
# The private fields of a message. A key may reveal its subject.
CONTENT_FIELDS: Final = ("title", "message", "params", "extra_tags", "url", "url_label", "is_safe", "key", "group")

NEWEST_FIRST: Final = (F("user"), F("shows_at").desc(), F("id").desc())

# One call of `send` writes all of its messages with one time.
SEND_FIELDS: Final = ("created", "level", "title", "message")
# Senders may belong to a group that they write to: their own copy is not for others.
FOR_OTHERS: Final = ~Q(user=F("sender"))

DELETE_MESSAGES: Final = "DELETE FROM {table} WHERE id = ANY(ARRAY({chosen})) RETURNING user_id, saved_at"


class MessageQuerySet(ReadsOwnWrites["Message"]):
    """Messages of the current schema."""

    def for_user(self, user: AbstractBaseUser | AnonymousUser) -> Self:
        """Filter by recipient. Raises WrongTenant if `user` was loaded in another tenant."""
        check_tenant(user)
        return self.filter(user_id=user.pk)

    def sent_by(self, user: AbstractBaseUser) -> Self:
        """Filter by sender. Raises WrongTenant if `user` was loaded in another tenant."""
        check_tenant(user)
        return self.filter(sender_id=user.pk)

    def of_send(self, message: "Message") -> Self:
        """Filter by the messages that were sent together with `message`."""
        same = {name: getattr(message, name) for name in SEND_FIELDS}
        return self.filter(sender_id=message.sender_id, **same)

    def sends(self) -> "QuerySet[Message, dict[str, Any]]":
        """Return a row for each send to others, the newest first, grouped without reading long texts.

        `first` is the least primary key of a message to somebody else, `recipients` and `readers` are the numbers of
        other people, and `stored` is the number of messages that exist.
        """
        numbers = {
            "first": Min("pk", filter=FOR_OTHERS),
            "recipients": Count("pk", filter=FOR_OTHERS),
            "readers": Count("read_at", filter=FOR_OTHERS),
            "stored": Count("pk"),
        }
        # The length of a text that is stored outside of the row is known without it.
        length = Func("message", function="octet_length", output_field=models.IntegerField())
        grouped: Any = self.order_by().annotate(length=length).values("created", "level", "title", "length")
        grouped = grouped.annotate(**numbers)
        # What is only to its sender has no `first`.
        found: QuerySet[Message, dict[str, Any]] = grouped.filter(first__isnull=False).order_by("-created", "-first")
        return found

    def live(self, at: datetime | None = None) -> Self:
        """Filter out messages that are scheduled, snoozed or expired at `at`, by default now."""
        at = at or timezone.now()
        return self.filter(Q(expires=None) | Q(expires__gt=at), shows_at__lte=at)

    def published(self, at: datetime | None = None) -> Self:
        """Filter out messages that are scheduled or expired at `at`, by default now."""
        at = at or timezone.now()
        return self.filter(Q(publish_at=None) | Q(publish_at__lte=at), Q(expires=None) | Q(expires__gt=at))

    def unread(self) -> Self:
        return self.filter(read_at=None)

    def replaceable(self, key: str, at: datetime) -> Self:
        """Filter by messages that a new one with their key replaces: archived, and unread but snoozed or expired.

        Messages are excluded if the user has another unread one with the key, because the new one is then not written.
        """
        is_live = Q(Q(expires=None) | Q(expires__gt=at), Q(snoozed_until=None) | Q(snoozed_until__lte=at))
        unread = self.model._default_manager.filter(is_live, user=OuterRef("user"), key=key, read_at=None)
        is_hidden = Q(archived_at__isnull=False) | Q(Q(expires__lte=at) | Q(snoozed_until__gt=at), read_at=None)
        return self.filter(~Exists(unread.exclude(key="")), is_hidden, key=key).exclude(key="")

    def appearing(self, after: datetime) -> Self:
        """Filter by messages that were scheduled or snoozed and appear after a time, in the order of their times."""
        scheduled = Q(publish_at__isnull=False) | Q(snoozed_until__isnull=False)
        return self.filter(scheduled, shows_at__gt=after).order_by("shows_at")

    def newest_first(self) -> Self:
        return self.order_by("-shows_at", "-id")

    def without_content(self) -> Self:
        """Defer the private fields, for administration; `str()` of such a message shows only its number."""
        return self.defer(*CONTENT_FIELDS).annotate(content_is_hidden=Value(True))

    # The interface that messages share with publications, for the union of both.

    def in_view(self, view: View, _reader: AbstractBaseUser, at: datetime, *, unread: bool = False) -> Self:
        """Filter by a view of the inbox at `at`; `unread` keeps what is unread."""
        if view == "inbox":
            # Unread messages are not archived.
            return self.live(at).filter(**({"read_at": None} if unread else {"archived_at": None}))
        published = self.published(at).unread() if unread else self.published(at)
        if view == "snoozed":
            # The second condition makes PostgreSQL use the index.
            return published.filter(archived_at=None, snoozed_until__gt=at, shows_at__gt=at)
        if view == "saved":
            return published.filter(saved_at__isnull=False)
        return published.filter(archived_at__isnull=False) if view == "archived" else published

    def with_marks(self) -> Self:
        return self

    def ordered_for(self, view: View, *, unread: bool) -> list[Self]:
        """Return querysets whose rows together are those of a view, each in the order of an index, newest first."""
        if unread or view not in {"inbox", "all"}:
            return [self.newest_first()]
        # `archived_at` is null in all rows: the index of all messages of a user begins with it.
        in_inbox = self.filter(archived_at=None).order_by("archived_at", "-shows_at", "-id")
        return [in_inbox] if view == "inbox" else [in_inbox, self.exclude(archived_at=None).newest_first()]

    def banners(self) -> Self:
        """Keep those that are shown as banners, the newest first."""
        return self.filter(display=Display.BANNER).newest_first()

    def locked_in_pk_order(self) -> "MessageQuerySet":
        """Lock the rows in the order of their keys, so that concurrent changes wait and never deadlock.

        Rows that another transaction has changed meanwhile so that they no longer match are left out.
        """
        return self.model._default_manager.filter(IsAnyOf("pk", self._locked_in_order()))

    def _locked_in_order(self) -> "QuerySet[Message, object]":
        return self.order_by("pk").select_for_update().values("pk")

    def delete_in_order(self) -> list[tuple[object, datetime | None]]:
        """Delete the rows in one statement, without cascades; return the keys of their recipients, and `saved_at`."""
        connection = connections[write_database()]
        try:
            chosen, params = self._locked_in_order().query.get_compiler(connection=connection).as_sql()
        except EmptyResultSet:
            return []
        with connection.cursor() as cursor:
            cursor.execute(DELETE_MESSAGES.format(table=quoted_table(self), chosen=chosen), params)
            return [(user, saved_at) for user, saved_at in cursor.fetchall()]

    def mark_read(self, at: datetime | None = None) -> int:
        """Mark the unread messages as read; return their number. It is idempotent."""
        return self.unread().update(read_at=at or timezone.now())

    def mark_unread(self) -> int:
        """Mark messages as unread; return their number. A message whose key was sent again remains read."""
        return _repeated_on_conflict(
            lambda: self.exclude(read_at=None).filter(self._may_be_unread()).update(read_at=None)
        )

    def _may_be_unread(self) -> Q:
        """The condition for read messages that can become unread together: one for each key, if none is unread."""
        again = self.model._default_manager.filter(user=OuterRef("user"), key=OuterRef("key"), read_at=None)
        # The last of several read messages with one key. They are found by one subquery for all rows: the estimated
        # cost of a correlated subquery makes PostgreSQL spend most of the time on compiling the statement.
        with_key = self.exclude(read_at=None).exclude(key="").filter(~Exists(again.exclude(key="")))
        last = with_key.order_by("user_id", "key", "-pk").distinct("user_id", "key").values("pk")
        return Q(key="") | Q(pk__in=last)

    def change_marks(self, at: datetime, **marks: object) -> int:
        """Set marks of triage at `at`, and keep the previous ones for `undo`; return how many were changed."""
        return self.update(**marks, marked_at=at, **{previous: F(name) for name, previous in PREVIOUS.items()})

    def undo(self, at: datetime) -> int:
        """Undo `mark_read` and `change_marks` at exactly `at`, in one statement; return the number of messages.

        What was changed again since stays as it is: archived messages stay read, and so does a message whose key was
        sent again.
        """
        is_marked = Q(marked_at=at)
        # Archived messages stay read, unless the archiving is undone as well.
        was_read = Q(read_at=at) & (Q(archived_at=None) | is_marked & Q(previous_archived_at=None))
        is_unread = was_read & self.filter(was_read)._may_be_unread()
        values = {name: Case(When(is_marked, then=previous), default=name) for name, previous in PREVIOUS.items()}
        values["read_at"] = Case(When(is_unread, then=None), default="read_at")
        changed = self.filter(is_marked | is_unread)
        return _repeated_on_conflict(lambda: changed.locked_in_pk_order().update(**values, marked_at=None))

    def update(self, **values: object) -> int:
        """Update rows; `read=True` and `read=False` are translated to `read_at`, as for django-messages-extends."""
        if "read" in values:
            read = values.pop("read")
            if not isinstance(read, bool):
                raise ValueError(f"read is {read!r}: use True or False, or set read_at.")
            values["read_at"] = Coalesce(F("read_at"), timezone.now()) if read else None
        if "read_at" in values and values["read_at"] is None:
            # Unread messages are in the inbox.
            values |= {"archived_at": None, "marked_at": None}
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


def _repeated_on_conflict(change: Callable[[], int]) -> int:
    """Change messages in a savepoint; do it once more if a concurrent transaction wrote an unread one with a key.

    That one is visible the second time.
    """
    try:
        with atomic():
            return change()
    except IntegrityError:
        with atomic():
            return change()


def stored_names(fields: Iterable[str]) -> Collection[str]:
    """Return the names of the stored fields, with `read_at` and what depends on it instead of `read`."""
    names = {"read_at" if name == "read" else name for name in fields}
    return names | {"archived_at"} if "read_at" in names else names


class Message(HasMarks, FromSender, Content):
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
    # Its index is `messages_sent`.
    sender = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.DO_NOTHING,
        blank=True,
        null=True,
        db_index=False,
        related_name="+",
        verbose_name=_("sender"),
        help_text=_("Blank if sent by the application, or by somebody who has been deleted."),
    )
    created = models.DateTimeField(_("created"), auto_now_add=True)
    modified = models.DateTimeField(_("modified"), auto_now=True)
    publish_at = models.DateTimeField(_("published"), blank=True, null=True)
    expires = models.DateTimeField(_("expires"), blank=True, null=True)
    read_at = models.DateTimeField(_("read at"), blank=True, null=True)
    read = ReadField(
        verbose_name=_("read"),
        expression=cast(Expression, Q(read_at__isnull=False)),
        output_field=models.BooleanField(),
        db_persist=True,
    )

    archived_at = models.DateTimeField(_("archived at"), blank=True, null=True)
    snoozed_until = models.DateTimeField(_("snoozed until"), blank=True, null=True)
    saved_at = models.DateTimeField(_("saved at"), blank=True, null=True)
    # The time of the last change of these marks, and the marks before it, for `undo`.
    marked_at = models.DateTimeField(blank=True, null=True, editable=False)
    previous_archived_at = models.DateTimeField(blank=True, null=True, editable=False)
    previous_snoozed_until = models.DateTimeField(blank=True, null=True, editable=False)
    previous_saved_at = models.DateTimeField(blank=True, null=True, editable=False)
    shows_at = models.GeneratedField(
        verbose_name=_("shows at"),
        expression=Greatest("created", "publish_at", "snoozed_until"),
        output_field=models.DateTimeField(),
        db_persist=True,
    )

    objects = MessageQuerySet.as_manager()

    class Meta:
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        indexes = [
            models.Index("user", "archived_at", *NEWEST_FIRST[1:], name="messages_of_user"),
            models.Index(
                *NEWEST_FIRST,
                condition=Q(read_at__isnull=True),
                # For index-only scans when counting.
                include=["expires"],
                name="messages_unread",
            ),
            models.Index(
                *NEWEST_FIRST,
                condition=Q(read_at__isnull=True, display=Display.BANNER),
                include=["expires"],
                name="messages_banners",
            ),
            models.Index(*NEWEST_FIRST, condition=Q(archived_at__isnull=False), name="messages_archived"),
            # For a new message with the key of an archived one.
            models.Index("user", "key", condition=Q(archived_at__isnull=False) & ~Q(key=""), name="archived_by_key"),
            models.Index(*NEWEST_FIRST, condition=Q(saved_at__isnull=False), name="messages_saved"),
            models.Index("sender", F("created").desc(), condition=Q(sender__isnull=False), name="messages_sent"),
            # For live updates: the next message of any user to appear.
            models.Index(
                "shows_at",
                condition=Q(publish_at__isnull=False) | Q(snoozed_until__isnull=False),
                name="messages_shown_later",
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
        self._require_archived_is_read()
        super().save(*args, update_fields=names, **kwargs)
        self._notify_changed()

    def _require_archived_is_read(self) -> None:
        """Take an unread message out of the archive, before it is written."""
        known = self.__dict__
        if known.get("archived_at") is not None and "read_at" in known and known["read_at"] is None:
            self.archived_at = None

    def delete(self, using: str | None = None, keep_parents: bool = False) -> tuple[int, dict[str, int]]:
        deleted = super().delete(using, keep_parents)
        self._notify_changed()
        return deleted

    def _notify_changed(self) -> None:
        notify_changed(users=[] if self.user_id is None else [self.user_id])
