"""What a reader sees of a text: translated where it has params, filled in where there are any, never an error."""

import struct
from pathlib import Path
from typing import Any

import pytest
from django.utils import translation
from django.utils.safestring import SafeData, mark_safe

from messages_extends.api import inbox, send
from messages_extends.texts.rendering import render
from tenants.models import Tenant
from tests.factories import MakeUser

GERMAN = {
    "": "Content-Type: text/plain; charset=UTF-8\n",
    "Save 50% today": "Heute 50% sparen",
    "100% sure": "100% sicher",
    "Your quota is at 90%.": "Ihr Kontingent ist zu 90 % belegt.",
    "Hello %(name)s": "Hallo %(vorname)s",
    "%(done)s of %(all)s at 100%": "%(done)s von %(all)s bei 100%",
}


def write_catalogue(path: Path, texts: dict[str, str]) -> None:
    """Write a compiled catalogue, as msgfmt does."""
    entries = [(key.encode(), text.encode()) for key, text in sorted(texts.items())]
    start = 28 + 16 * len(entries)
    tables, strings = [b"", b""], b""
    for index in (0, 1):
        for entry in entries:
            tables[index] += struct.pack("<II", len(entry[index]), start + len(strings))
            strings += entry[index] + b"\0"
    header = struct.pack("<7I", 0x950412DE, 0, len(entries), 28, 28 + 8 * len(entries), 0, start)
    path.write_bytes(header + tables[0] + tables[1] + strings)


@pytest.fixture(autouse=True)
def in_german(tmp_path: Path, settings: Any) -> Any:
    folder = tmp_path / "de" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    write_catalogue(folder / "django.mo", GERMAN)
    settings.LOCALE_PATHS = [tmp_path]
    with translation.override("de"):
        yield


@pytest.mark.parametrize("params", [{}, [], ()])
@pytest.mark.parametrize("text", ["Save 50% today", "100% sure", "Your quota is at 90%."])
@pytest.mark.parametrize("is_safe", [False, True])
def test_render_with_empty_params_keeps_percent_sign(params: Any, text: str, is_safe: bool) -> None:
    shown = render(text, params, is_safe=is_safe)
    assert shown == GERMAN[text]
    assert isinstance(shown, SafeData) is is_safe


@pytest.mark.parametrize(
    ("text", "params"),
    [("Hello %(name)s", {"name": "Ann"}), ("%(done)s of %(all)s at 100%", {"done": 1, "all": 2})],
)
def test_render_with_unusable_placeholders_returns_translation_unfilled(text: str, params: Any) -> None:
    assert render(text, params, is_safe=False) == GERMAN[text]


def test_render_without_params_translates_nothing() -> None:
    assert render("100% sure", None, is_safe=False) == "100% sure"


def test_inbox_page_renders_percent_sign_in_reader_language(in_acme: Tenant, make_user: MakeUser) -> None:
    alice = make_user("alice")
    send(alice, "Save 50% today", params={})
    send(alice, mark_safe("100% sure"), params={})
    assert [str(each) for each in inbox(alice).page().entries] == ["100% sicher", "Heute 50% sparen"]


def test_repr_of_shown_message_names_class_and_text(in_acme: Tenant, make_user: MakeUser) -> None:
    alice = make_user("alice")
    send(alice, "Hello")
    (entry,) = inbox(alice).page().entries
    assert repr(entry) == "<ShownMessage: Hello>"
