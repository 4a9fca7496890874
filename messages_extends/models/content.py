"""The abstract base model of messages and publications."""

from collections.abc import Sequence
from typing import Protocol

from django.contrib.messages.storage import base as messages_storage
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Expression
from django.utils.translation import gettext_lazy as _

from messages_extends import constants
from messages_extends.texts.links import shown_link
from messages_extends.texts.rendering import render


class HasLevel(Protocol):
    """An object with a level, whose text is what `str` returns."""

    level: int


class LinkField(models.CharField):  # type: ignore[type-arg]
    """A link that is loaded as "" if it is not allowed, because SQL and other code may write it unvalidated."""

    def from_db_value(self, value: str | None, _expression: Expression, _connection: BaseDatabaseWrapper) -> str | None:
        return shown_link(value) if value else value

    def deconstruct(self) -> tuple[str, str, Sequence[object], dict[str, object]]:
        name, _path, args, kwargs = super().deconstruct()
        return name, "django.db.models.CharField", args, kwargs


class Content(models.Model):
    """A text with its level and link.

    The text is literal if `params` is null. Otherwise it is a msgid that is translated into the reader's language.
    """

    LEVEL_CHOICES = (
        (constants.DEBUG_PERSISTENT, _("debug")),
        (constants.INFO_PERSISTENT, _("info")),
        (constants.SUCCESS_PERSISTENT, _("success")),
        (constants.WARNING_PERSISTENT, _("warning")),
        (constants.ERROR_PERSISTENT, _("error")),
    )

    level = models.IntegerField(_("level"), choices=LEVEL_CHOICES)
    message = models.TextField(_("text"))
    params = models.JSONField(_("parameters"), blank=True, null=True)
    extra_tags = models.CharField(_("extra tags"), max_length=128, blank=True)
    url = LinkField(_("link"), max_length=2000, blank=True)
    is_safe = models.BooleanField(_("safe HTML"), default=False)
    key = models.CharField(_("key"), max_length=200, blank=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return render(self.message, self.params, is_safe=self.is_safe)

    def __eq__(self, other: object) -> bool:
        """Compare equal to an ordinary message with the same level and text, as Django's `assertMessages` needs."""
        if isinstance(other, messages_storage.Message):
            return equals_ordinary(self, other)
        return super().__eq__(other)

    __hash__ = models.Model.__hash__

    @property
    def level_tag(self) -> str:
        return str(messages_storage.LEVEL_TAGS.get(self.level, ""))


def equals_ordinary(message: HasLevel, ordinary: messages_storage.Message) -> bool:
    """Tell whether a saved message has the level and text of an ordinary one."""
    return bool(message.level == ordinary.level and str(message) == str(ordinary.message))
