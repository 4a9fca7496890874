"""The text of a message as its reader sees it."""

import logging
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, TypeVar, cast
from urllib.parse import urlsplit

from django.utils.functional import SimpleLazyObject
from django.utils.html import conditional_escape, escape
from django.utils.safestring import mark_safe
from django.utils.translation import gettext

from messages_extends.texts.languages import in_readers_language

logger = logging.getLogger(__name__)

# Browsers leave out line breaks and tabs, and control characters and spaces at both ends; a backslash is a slash.
NOT_IN_LINKS: Final = re.compile(r"[\\\x00-\x1f\x7f]|^ | $")

Params = Mapping[str, object] | Sequence[object] | None
Saved = TypeVar("Saved")


class ShownMessage(SimpleLazyObject):  # type: ignore[type-arg]
    """A message as its reader sees it: `message` is the text to show, a SafeString where that is safe HTML.

    Everything else is that of the saved message itself, whose own `message` stays the stored text. So `save()` never
    writes a text that has been rendered.
    """

    def __init__(self, saved: object) -> None:
        super().__init__(lambda: saved)

    def __reduce__(self) -> tuple[Any, ...]:
        # A lazy object's own way leads to what it wraps.
        _rebuild, wrapped = super().__reduce__()
        return type(self), wrapped

    @property
    def message(self) -> str:
        return str(self)

    def __setattr__(self, name: str, value: object) -> None:
        if name == "message":
            raise AttributeError("This is the text as its reader sees it: to change it, load the Message by its pk.")
        super().__setattr__(name, value)


def shown(saved: Saved) -> Saved:
    """Return `saved`, a message or a publication, as its reader sees it; it passes for an instance of its class."""
    return cast(Saved, ShownMessage(saved))


def without_rendering(message: Saved) -> Saved:
    """Return the row behind what `shown` has returned; anything else as it is."""
    return cast(Saved, cast(ShownMessage, message)._wrapped) if type(message) is ShownMessage else message


def render(message: str, params: Params, *, is_safe: bool) -> str:
    """Return `message` in the reader's language, filled in with `params`; a SafeString if `is_safe`.

    Without params the text is literal. With them (an empty dictionary counts) it is a msgid; empty ones fill in
    nothing, so that a percent sign is one. What cannot be filled in is shown as its translation stands: a reader is
    better off with that than with an error.
    """
    text = message if params is None else _translate(message, params, is_safe=is_safe)
    return mark_safe(text) if is_safe else str(text)  # noqa: S308 - the sending code vouched for it


def _translate(message: str, params: Mapping[str, object] | Sequence[object], *, is_safe: bool) -> str:
    with in_readers_language():
        translated = gettext(message)
        if not params:
            return translated
        try:
            return translated % (_escaped(params) if is_safe else _plain(params))
        except (ArithmeticError, LookupError, MemoryError, TypeError, ValueError):
            logger.warning("A message could not be filled in with its params; it is shown as it is: %.100r", message)
            return translated


def _plain(params: Mapping[str, object] | Sequence[object]) -> Mapping[str, object] | tuple[object, ...]:
    return params if isinstance(params, Mapping) else tuple(params)


def _escaped(params: Mapping[str, object] | Sequence[object]) -> Mapping[str, object] | tuple[object, ...]:
    if isinstance(params, Mapping):
        return _EscapedMapping({name: _escape(value) for name, value in params.items()})
    return tuple(_escape(value) for value in params)


class _EscapedMapping(dict[str, object]):
    """Escapes its names as well, for a "%s" that names none of them and so shows all."""

    def __repr__(self) -> str:
        return escape(super().__repr__())


def _escape(value: Any) -> int | float | str:
    # Numbers stay numbers, for "%d" and "%.2f".
    return value if isinstance(value, int | float) else conditional_escape(value)


def is_link(url: str) -> bool:
    """Tell whether `url` is empty, a path on this site or an http(s) address, whatever a browser makes of it."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    # Browsers take two slashes, and more, for the beginning of a host.
    is_path = not parts.scheme and not parts.netloc and not url.startswith("//")
    is_web = parts.scheme in ("http", "https") and bool(parts.netloc)
    return (is_path or is_web) and not NOT_IN_LINKS.search(url)


@lru_cache(maxsize=1_024)
def shown_link(url: str) -> str:
    """Return `url` if it may be shown as a link, "" otherwise: a row may have come from somewhere that checks nothing.

    What is not shown is logged, once a process.
    """
    if is_link(url):
        return url
    logger.warning("A message has a link that is no path and no http(s) address; it is not shown: %.100r", url)
    return ""
