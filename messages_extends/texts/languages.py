"""The language of our own words, which is another than the reader's where they have not been translated into that."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.utils import translation
from django.utils.html import format_html
from django.utils.translation import get_language, get_language_bidi, pgettext

_readers_language: ContextVar[str | None] = ContextVar("readers_language", default=None)


def interface_language() -> str:
    """Return the code of the language that our words are shown in.

    Django looks for a translation text by text, in the catalogues of all apps: some of our words have one in a
    language that we do not speak. A text that translates to the code of its own language says which it is.
    """
    # Translators: the code of the language that you translate into, as in LANGUAGES.
    return pgettext("language code", "en")


@contextmanager
def in_interface_language() -> Iterator[None]:
    """Run a block in the language of our words.

    So an interface that has not been translated is shown in one language as a whole, dates and Django's own texts
    included.
    """
    readers, ours = get_language(), interface_language()
    if readers is None or readers == ours or readers.startswith(f"{ours}-"):
        yield
        return
    token = _readers_language.set(readers)
    try:
        with translation.override(ours):
            yield
    finally:
        _readers_language.reset(token)


@contextmanager
def in_readers_language() -> Iterator[None]:
    """Run a block in the reader's own language, within a block in the language of our words too."""
    language = _readers_language.get()
    if language is None:
        yield
        return
    with translation.override(language):
        yield


def language_attributes() -> str:
    """Return the `lang` and `dir` of our words for an element of a page in another language; "" on a page in theirs."""
    if _readers_language.get() is None:
        return ""
    return format_html('lang="{}" dir="{}"', get_language(), "rtl" if get_language_bidi() else "ltr")
