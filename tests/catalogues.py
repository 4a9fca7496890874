"""Read catalogues of translations, both source files and compiled ones."""

import ast
import gettext
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

LINE = re.compile(r'(?:(msgctxt|msgid|msgid_plural|msgstr|msgstr\[\d\]) )?(".*")')


@dataclass
class FeedItem:
    msgid: str = ""
    msgctxt: str = ""
    msgid_plural: str = ""
    texts: list[str] = field(default_factory=list)
    fuzzy: bool = False

    @property
    def key(self) -> str:
        return f"{self.msgctxt}\x04{self.msgid}" if self.msgctxt else self.msgid


def entries_of(path: Path) -> list[FeedItem]:
    """Return all entries of a .po file, without its header."""
    return [entry for block in path.read_text().split("\n\n") if (entry := _entry(block)).msgid]


def header_of(path: Path) -> str:
    return path.read_text().split("\n\n")[0]


def compiled(path: Path) -> dict[str, list[str]]:
    """Return the compiled translations of a .po file by key."""
    with path.with_suffix(".mo").open("rb") as file:
        catalogue = gettext.GNUTranslations(file)._catalog
    found: dict[str, list[str]] = {}
    # Plural forms have keys that contain their index.
    for key, text in catalogue.items():
        found.setdefault(key[0] if isinstance(key, tuple) else key, []).append(text)
    found.pop("")
    return found


def _entry(block: str) -> FeedItem:
    values: dict[str, str] = {}
    for name, text in _parts(block):
        values[name] = values.get(name, "") + text
    texts = [text for name, text in values.items() if name.startswith("msgstr")]
    fuzzy = bool(re.search(r"^#, .*\bfuzzy\b", block, re.MULTILINE))
    return FeedItem(values.get("msgid", ""), values.get("msgctxt", ""), values.get("msgid_plural", ""), texts, fuzzy)


def _parts(block: str) -> Iterator[tuple[str, str]]:
    name = ""
    for line in block.splitlines():
        if found := LINE.fullmatch(line):
            name = found[1] or name
            yield name, ast.literal_eval(found[2])
