"""The pages of the documentation, and their code blocks."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(page for page in DOCS.rglob("*.md") if "_build" not in page.parts)]
BLOCK = re.compile(r"^```([\w{}]+)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block: its line, its language, and its text."""

    page: str
    number: int
    language: str
    code: str

    @property
    def name(self) -> str:
        return f"{self.page}:{self.number}"

    def is_titled(self, title: str) -> bool:
        """Tell whether the first line is a comment that begins with the file name `title`."""
        return bool(re.match(rf"(#|<!--|/\*) {re.escape(title)}\b", self.code))


def blocks_of(page: Path) -> Iterator[Block]:
    """Return the code blocks of a page in order, without directives of Sphinx such as lists of pages."""
    for number, match in enumerate(BLOCK.finditer(page.read_text("utf-8")), 1):
        if not match[1].startswith("{"):
            yield Block(str(page.relative_to(ROOT)), number, match[1], match[2])


def all_blocks() -> list[Block]:
    return [block for page in PAGES for block in blocks_of(page)]


def block_of(page: str, language: str, title: str = "") -> str:
    """Return the only block of a page in this language, or with `title`, the one for the file with this name."""
    [code] = [
        block.code
        for block in all_blocks()
        if block.page == page and block.language == language and (not title or block.is_titled(title))
    ]
    return code
