"""Rendering of message texts in the reader's language."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, cast

from django.utils.functional import SimpleLazyObject
from django.utils.html import conditional_escape, escape
from django.utils.safestring import mark_safe
from django.utils.translation import gettext

from messages_extends.texts.languages import in_readers_language

logger = logging.getLogger(__name__)


Params = Mapping[str, object] | Sequence[object] | None
Saved = TypeVar("Saved")


class ShownMessage(SimpleLazyObject):  # type: ignore[type-arg]
    """Wrap a saved message so that `message` is its rendered text, a SafeString if that is safe HTML.

    All other attributes are those of the saved message, whose own `message` remains the stored text. `save()` therefore
    never writes a rendered text.
    """

    def __init__(self, saved: object) -> None:
        super().__init__(lambda: saved)

    def __reduce__(self) -> tuple[Any, ...]:
        # SimpleLazyObject would pickle the wrapped object alone.
        _rebuild, wrapped = super().__reduce__()
        return type(self), wrapped

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self}>"

    @property
    def message(self) -> str:
        return str(self)

    def __setattr__(self, name: str, value: object) -> None:
        if name == "message":
            raise AttributeError("This is the rendered text. To change the message, load it by its primary key.")
        super().__setattr__(name, value)


def shown(saved: Saved) -> Saved:
    """Return a message or publication with its rendered text; the result passes `isinstance` checks for its class."""
    return cast(Saved, ShownMessage(saved))


def without_rendering(message: Saved) -> Saved:
    """Return the object that `shown` wrapped; return any other object unchanged."""
    return cast(Saved, cast(ShownMessage, message)._wrapped) if type(message) is ShownMessage else message


def render(message: str, params: Params, *, is_safe: bool) -> str:
    """Return `message` in the reader's language, formatted with `params`; a SafeString if `is_safe`.

    If `params` is None the text is literal. Otherwise it is a msgid, and is formatted unless `params` is empty. A text
    that cannot be formatted is shown unformatted, because an error would hide the page.
    """
    text = message if params is None else _translate(message, params, is_safe=is_safe)
    return mark_safe(text) if is_safe else str(text)  # noqa: S308 - the sending code declared it safe


def _translate(message: str, params: Mapping[str, object] | Sequence[object], *, is_safe: bool) -> str:
    with in_readers_language():
        translated = gettext(message)
        if not params:
            return translated
        try:
            if isinstance(params, Mapping):
                escaped = _EscapedMapping({name: _escape(value) for name, value in params.items()})
                return translated % (escaped if is_safe else params)
            return translated % tuple(_escape(value) if is_safe else value for value in params)
        except (ArithmeticError, LookupError, MemoryError, TypeError, ValueError):
            logger.warning("A message could not be formatted with its params and is shown unformatted: %.100r", message)
            return translated


class _EscapedMapping(dict[str, object]):
    """Escape the keys as well, because "%s" shows the whole mapping."""

    def __repr__(self) -> str:
        return escape(super().__repr__())


def _escape(value: Any) -> int | float | str:
    # Numbers stay numbers, for "%d" and "%.2f".
    return value if isinstance(value, int | float) else conditional_escape(value)
