"""The tables that live in every tenant's schema."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, cast

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import Group
from django.db import models
from django.db.models import Exists, Expression, OuterRef, Q, QuerySet
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from messages_extends.audit import Record
from messages_extends.content import Content
from messages_extends.deprecation import renamed
from messages_extends.fields import ReadField
from messages_extends.publications import Publication, PublicationQuerySet
from messages_extends.push.hints import wake
from messages_extends.querysets import MessageQuerySet, ReceiptQuerySet, names_with_person, note_person, stored_names
from messages_extends.tenancy.schemas import user_model_has
from messages_extends.tenancy.stamp import TenantBound

if not TYPE_CHECKING:
    __getattr__ = renamed(__name__, {"LEVEL_TAGS": "django.contrib.messages.storage.base.LEVEL_TAGS"})


class FromSender(TenantBound):
    """What a person has written, or the application itself.

    `from_person` stays when the sender is deleted or erased: their text does not become the application's own.
    """

    from_person = models.BooleanField(_("written by a person"), default=False, db_default=False, editable=False)

    class Meta:
        abstract = True

    def save_base(self, *args: Any, update_fields: Iterable[str] | None = None, **kwargs: Any) -> None:
        note_person(self)
        names = None if update_fields is None else names_with_person(set(update_fields))
        super().save_base(*args, update_fields=names, **kwargs)


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
    def from_db(cls, db: str | None, field_names: Any, values: Any, **options: Any) -> Self:
        message = super().from_db(db, field_names, values, **options)
        if "read_at" not in field_names:
            message._forget_read_at()
        return message

    def refresh_from_db(
        self, using: Any = None, fields: Iterable[str] | None = None, from_queryset: Any = None
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
        self._wake()

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        deleted = super().delete(*args, **kwargs)
        self._wake()
        return deleted

    def _wake(self) -> None:
        wake(users=[] if self.user_id is None else [self.user_id])


def keys_of_groups_of(user: AbstractBaseUser) -> QuerySet[Any]:
    """Return the primary keys of the groups that `user` is in; none where the user model has no groups.

    From the table between the two alone: a join with the groups costs time to plan and finds nothing more.
    """
    if not user_model_has("groups"):
        return Group.objects.none().values("pk")
    groups: Any = user.groups  # type: ignore[attr-defined]
    found: QuerySet[Any] = groups.through._base_manager.filter(**{groups.source_field_name: user.pk})
    return found.values(f"{groups.target_field_name}_id")


class AnnouncementQuerySet(PublicationQuerySet):
    """Announcements of the current schema."""

    def addressed_to(self, user: AbstractBaseUser) -> Self:
        """Keep what is for everyone, or for a group that `user` is in now."""
        chosen = AnnouncementGroup.objects.filter(announcement=OuterRef("pk"), group__in=keys_of_groups_of(user))
        return self.filter(Q(audience=Announcement.Audience.EVERYONE) | Q(Exists(chosen), audience="groups"))


class Announcement(FromSender, Publication):
    """A publication of an organisation to its own people.

    The audience is a field of its own: where the last chosen group is deleted, nobody is left, never everybody.
    """

    class Audience(models.TextChoices):
        EVERYONE = "everyone", _("everyone")
        GROUPS = "groups", _("groups")

    kind: ClassVar = "announcement"
    author: ClassVar = ""

    sender = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.DO_NOTHING,
        blank=True,
        null=True,
        related_name="+",
        verbose_name=_("sender"),
        help_text=_("Blank if sent by the application, or by somebody who has been deleted."),
    )
    audience = models.CharField(_("audience"), max_length=10, choices=Audience)
    groups = models.ManyToManyField(
        Group, through="AnnouncementGroup", blank=True, related_name="+", verbose_name=_("groups")
    )

    objects = AnnouncementQuerySet.as_manager()

    class Meta(Publication.Meta):
        verbose_name = _("announcement")
        verbose_name_plural = _("announcements")


class AnnouncementGroup(TenantBound):
    """A group that an announcement is for; a table of its own, so that the database deletes it with the group."""

    announcement = models.ForeignKey(Announcement, models.CASCADE, related_name="+")
    group = models.ForeignKey(Group, models.DO_NOTHING, related_name="+")

    class Meta:
        verbose_name = _("group of an announcement")
        verbose_name_plural = _("groups of announcements")
        constraints = [
            models.UniqueConstraint(fields=["announcement", "group"], name="group_once_per_announcement"),
        ]

    def __str__(self) -> str:
        return str(self.group)


class Receipt(TenantBound):
    """This user has read (or acknowledged) this publication, in this revision.

    `publication_id` is no foreign key, because a broadcast lives in the public schema. What it said before the last
    reading is kept, so that "mark all as read" can be undone.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.DO_NOTHING, db_index=False, related_name="+", verbose_name=_("reader")
    )
    publication_id = models.UUIDField(_("publication"), db_index=True)
    revision = models.PositiveIntegerField(_("revision"))
    read_at = models.DateTimeField(_("read at"))
    earlier_revision = models.PositiveIntegerField(blank=True, null=True, editable=False)
    earlier_read_at = models.DateTimeField(blank=True, null=True, editable=False)

    objects = ReceiptQuerySet.as_manager()

    class Meta:
        verbose_name = _("receipt")
        verbose_name_plural = _("receipts")
        constraints = [models.UniqueConstraint(fields=["user", "publication_id"], name="one_receipt_per_reader")]

    def __str__(self) -> str:
        return f"{self.user_id}: {self.publication_id}"


class Submission(TenantBound):
    """A form that somebody has sent, by the number that its page carried.

    The primary key decides which of two is the first, so that a double click or a reload sends nothing again.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    sent_at = models.DateTimeField(_("sent"), auto_now_add=True, db_index=True)
    count = models.PositiveIntegerField(_("how many"), default=0)

    class Meta:
        verbose_name = _("submission")
        verbose_name_plural = _("submissions")

    def __str__(self) -> str:
        return str(self.id)


class AuditRecord(Record):
    """A deed in this organisation."""

    class Meta(Record.Meta):
        verbose_name = _("audit record")
        verbose_name_plural = _("audit records")
        ordering = ["-id"]
        default_permissions = ("view",)
