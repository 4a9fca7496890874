"""The tables that live in every tenant's schema."""

from collections.abc import Iterable, Sequence
from typing import Any, Self, cast

from django.conf import settings
from django.contrib.messages.storage import base as messages_storage
from django.db import models
from django.db.models import Expression, GeneratedField, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from messages_extends import constants
from messages_extends.querysets import MessageQuerySet, stored_names
from messages_extends.rendering import render
from messages_extends.tenancy.stamp import TenantBound


class ReadAttribute:
    """The attribute `read`: tells whether there is a `read_at`; assigning to it sets or clears that."""

    def __init__(self, field: GeneratedField) -> None:
        self.field = field

    def __get__(self, message: "Message | None", owner: type["Message"]) -> Any:
        if message is None:
            return self
        if "read_at" not in message.__dict__ and "read" in message.__dict__:
            # Loaded without read_at, for which it would take a query.
            return message.__dict__["read"]
        return message.read_at is not None

    def __set__(self, message: "Message", value: bool) -> None:
        message.__dict__["read"] = value
        if value != (message.__dict__.get("read_at") is not None):
            message.read_at = timezone.now() if value else None


class ReadField(GeneratedField):
    """`read_at is not null`, stored by the database."""

    descriptor_class = ReadAttribute

    def deconstruct(self) -> tuple[str, str, Sequence[Any], dict[str, Any]]:
        name, _path, args, kwargs = super().deconstruct()
        return name, "django.db.models.GeneratedField", args, kwargs


class Message(TenantBound):
    """One text for one recipient.

    The text is literal, or, where `params` is not null, a msgid that is rendered in the reader's language.
    Foreign keys to users are DO_NOTHING here and ON DELETE CASCADE or SET NULL in the database: the only form that
    leaves neither orphans nor errors from whichever schema the user is deleted.
    """

    LEVEL_CHOICES = (
        (constants.DEBUG_PERSISTENT, _("debug")),
        (constants.INFO_PERSISTENT, _("info")),
        (constants.SUCCESS_PERSISTENT, _("success")),
        (constants.WARNING_PERSISTENT, _("warning")),
        (constants.ERROR_PERSISTENT, _("error")),
    )

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
        help_text=_("Empty: the application itself."),
    )
    level = models.IntegerField(_("level"), choices=LEVEL_CHOICES)
    message = models.TextField(_("text"))
    params = models.JSONField(_("parameters"), blank=True, null=True)
    extra_tags = models.CharField(_("extra tags"), max_length=128, blank=True)
    url = models.CharField(_("link"), max_length=2000, blank=True)
    is_safe = models.BooleanField(_("safe HTML"), default=False)
    key = models.CharField(_("key"), max_length=200, blank=True)
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
        return render(self.message, self.params, is_safe=self.is_safe)

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
    def level_tag(self) -> str:
        return str(messages_storage.LEVEL_TAGS.get(self.level, ""))

    @property
    def tags(self) -> str:
        """The CSS words: extra tags, the level's, and "read" or "unread"."""
        return " ".join(tag for tag in (self.extra_tags, self.level_tag, "read" if self.read else "unread") if tag)

    def save(self, *args: Any, update_fields: Iterable[str] | None = None, **kwargs: Any) -> None:
        names = None if update_fields is None else stored_names(update_fields)
        super().save(*args, update_fields=names, **kwargs)
