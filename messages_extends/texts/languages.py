"""The language of this package's own texts, which may differ from the reader's language."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.utils import translation
from django.utils.html import format_html
from django.utils.translation import get_language, get_language_bidi, pgettext

_readers_language: ContextVar[str | None] = ContextVar("readers_language", default=None)


def interface_language() -> str:
    """Return the code of the language in which this package's texts are shown.

    Django looks up each text in the catalogues of all apps, so that some texts may be translated in a language for
    which this package has no catalogue. The translation of one special text is the code of the catalogue's language.
    """
    # Translators: the code of the language that you translate into, as in LANGUAGES.
    return pgettext("language code", "en")


@contextmanager
def in_interface_language() -> Iterator[None]:
    """Activate the language of this package's texts for a block.

    An interface that is not translated into the reader's language is then shown in one language as a whole, including
    dates and Django's own texts.
    """
    reader, interface = get_language(), interface_language()
    if reader is None or reader == interface or reader.startswith(f"{interface}-"):
        yield
        return
    token = _readers_language.set(reader)
    try:
        with translation.override(interface):
            yield
    finally:
        _readers_language.reset(token)


@contextmanager
def in_readers_language() -> Iterator[None]:
    """Activate the reader's own language for a block, also inside `in_interface_language`."""
    language = _readers_language.get()
    if language is None:
        yield
        return
    with translation.override(language):
        yield


def language_attributes() -> str:
    """Return the attributes `lang` and `dir` for an element whose language differs from the page's, otherwise ""."""
    if _readers_language.get() is None:
        return ""
    return format_html('lang="{}" dir="{}"', get_language(), "rtl" if get_language_bidi() else "ltr")
