"""The rendered parts of a message or publication, which templates show."""

from typing import Any
from urllib.parse import urlsplit

from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext

from messages_extends.texts.html import text_as_html
from messages_extends.texts.languages import in_interface_language
from messages_extends.texts.rendering import Params, render


def with_title(title: str, text: str) -> str:
    """Return "title: text", or the text alone without a title."""
    return f"{title}: {text}" if title else text


class RenderedContent:
    """Base class of objects with a title, a text and a link, which are rendered in the reader's language.

    With `is_safe`, the title is safe HTML like the text.
    """

    # Of any type, because a Django field and a dataclass's field declare them differently.
    title: Any
    message: Any
    params: Any
    url: Any
    url_label: Any
    is_safe: Any

    def __str__(self) -> str:
        """Return "title: text", or the text alone without a title; a SafeString if it is safe HTML."""
        text = with_title(self.heading, self.body)
        return mark_safe(text) if self.is_safe else text  # noqa: S308 - as in `render`

    @property
    def heading(self) -> str:
        """The title in the reader's language; "" if there is none."""
        return self._render(self.title, is_safe=self.is_safe) if self.title else ""

    @property
    def body(self) -> str:
        """The text in the reader's language, without the title."""
        return self._render(self.message, is_safe=self.is_safe)

    @property
    def body_html(self) -> SafeString:
        """The text as HTML: with links and line breaks, unless it is safe HTML already."""
        return mark_safe(self.body) if self.is_safe else text_as_html(self.body)  # noqa: S308 - as in `render`

    @property
    def link_label(self) -> str:
        """The words of the link: its own label, or "Open", with the host name of another site."""
        if self.url_label:
            return self._render(self.url_label, is_safe=False)
        with in_interface_language():
            host = urlsplit(self.url).hostname
            return gettext("Open %(host)s") % {"host": host} if host else gettext("Open")

    def _render(self, text: str, *, is_safe: bool) -> str:
        params: Params = self.params
        return render(text, params, is_safe=is_safe)
