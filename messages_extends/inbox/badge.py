"""The unread badge of the bell, as text and for screen readers."""

from typing import NamedTuple

from django.utils.translation import gettext, ngettext

from messages_extends.models.message import UNREAD_CAP


class UnreadBadge(NamedTuple):
    """The number of unread messages, up to UNREAD_CAP."""

    unread: int

    @property
    def text(self) -> str:
        """The visible text: "3", "99+", or "" for zero."""
        if not self.unread:
            return ""
        return str(self.unread) if self.unread < UNREAD_CAP else f"{UNREAD_CAP - 1}+"

    @property
    def name(self) -> str:
        """The accessible name: "Messages, 3 unread"."""
        if not self.unread:
            return gettext("Messages, none unread")
        return ngettext("Messages, %(count)s unread", "Messages, %(count)s unread", self.unread) % {"count": self.text}

    @property
    def as_json(self) -> dict[str, object]:
        return {"unread": self.unread, "text": self.text, "name": self.name}
