"""One text for one recipient, with its queries."""

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
from messages_extends.tenancy.origin import require_all_here, require_here, stamp
from messages_extends.texts.rendering import without_rendering

# Counting stops here: "99+".
UNREAD_CAP: Final = 100
# What is between sender and recipient; a key may say what a message is about.
CONTENT_FIELDS: Final = ("message", "params", "extra_tags", "url", "is_safe", "key")

DELETE_MESSAGES: Final = "DELETE FROM {table} WHERE id = ANY(ARRAY({chosen})) RETURNING user_id"


class MessageQuerySet(ReadsOwnWrites["Message"]):
    """Messages of the current schema."""

    def for_user(self, user: AbstractBaseUser | AnonymousUser) -> Self:
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
        return self.defer(*CONTENT_FIELDS).annotate(content_is_hidden=Value(True))

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

    def _locked_in_order(self) -> "QuerySet[Message, object]":
        return self.order_by("pk").select_for_update().values("pk")

    def delete_in_order(self) -> list[object]:
        """Delete them in one statement, as nothing of ours refers to a message; return the keys of their recipients."""
        connection = connections[write_database()]
        try:
            chosen, params = self._locked_in_order().query.get_compiler(connection=connection).as_sql()
        except EmptyResultSet:
            return []
        with connection.cursor() as cursor:
            cursor.execute(DELETE_MESSAGES.format(table=quoted_table(self), chosen=chosen), params)
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

    def update(self, **values: object) -> int:
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
            require_all_here(message)
            set_from_person(message)
        return super().bulk_update(messages, with_from_person(stored_names(fields)), batch_size)


def stored_names(fields: Iterable[str]) -> Collection[str]:
    """Return the names of fields to write where `read` may be among those asked for."""
    return {"read_at" if name == "read" else name for name in fields}


def _read_at(read: object) -> Coalesce | None:
    if read is True:
        return Coalesce(F("read_at"), timezone.now())
    if read is False:
        return None
    raise ValueError(f"read={read!r}: only True and False can be written; write read_at for anything else.")


class Message(FromSender, Content):
    """One text for one recipient.

    Foreign keys to users are DO_NOTHING here and ON DELETE CASCADE or SET NULL in the database: the only form that
    leaves neither orphans nor errors from whichever schema the user is deleted.
    """

    kind: ClassVar[Literal["message"]] = "message"
    must_acknowledge: ClassVar = False
    author: ClassVar = ""

    # Null only because rows of django-messages-extends may be.
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
                # Counting reads the index alone.
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
            message._forget_read_at()
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
            self._forget_read_at()

    def _forget_read_at(self) -> None:
        """Take away the time that was made up when `read` was loaded without it."""
        self.__dict__.pop("read_at", None)

    @property
    def tags(self) -> str:
        """The CSS words: extra tags, the level's, and "read" or "unread"."""
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
