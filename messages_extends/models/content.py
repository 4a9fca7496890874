"""The abstract base model of messages and publications."""

from collections.abc import Sequence
from typing import Final, Literal, Protocol, get_args

from django.contrib.messages.storage import base as messages_storage
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Expression
from django.utils.translation import gettext_lazy as _

from messages_extends import constants
from messages_extends.texts.content import RenderedContent
from messages_extends.texts.links import shown_link


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


class Display(models.TextChoices):
    """Where an unread text appears: on every page and in the inbox, or in the bell and the inbox only."""

    BANNER = "banner", _("On every page")
    INBOX = "inbox", _("In the inbox only")


# The views of an inbox. "all" has what is in any other, and what is archived and snoozed at once.
View = Literal["inbox", "saved", "snoozed", "archived", "all"]
VIEWS: Final[tuple[View, ...]] = get_args(View)


class Content(RenderedContent, models.Model):
    """A text with its title, level and link.

    Title, text and label of the link are literal if `params` is null. Otherwise they are msgids that are translated
    into the reader's language.
    """

    LEVEL_CHOICES = (
        (constants.DEBUG_PERSISTENT, _("debug")),
        (constants.INFO_PERSISTENT, _("info")),
        (constants.SUCCESS_PERSISTENT, _("success")),
        (constants.WARNING_PERSISTENT, _("warning")),
        (constants.ERROR_PERSISTENT, _("error")),
    )

    level = models.IntegerField(_("level"), choices=LEVEL_CHOICES)
    title = models.CharField(_("title"), max_length=200, blank=True, default="", db_default="")
    message = models.TextField(_("text"))
    params = models.JSONField(_("parameters"), blank=True, null=True)
    extra_tags = models.CharField(_("extra tags"), max_length=128, blank=True)
    url = LinkField(_("link"), max_length=2000, blank=True)
    url_label = models.CharField(_("label of the link"), max_length=100, blank=True, default="", db_default="")
    # The author's upper bound, which preferences may lower.
    display = models.CharField(
        _("display"), max_length=10, choices=Display, default=Display.BANNER, db_default=Display.BANNER
    )
    category = models.CharField(_("category"), max_length=100, blank=True, default="", db_default="")
    group = models.CharField(_("group"), max_length=200, blank=True, default="", db_default="")
    is_safe = models.BooleanField(_("safe HTML"), default=False)
    key = models.CharField(_("key"), max_length=200, blank=True)

    class Meta:
        abstract = True

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
