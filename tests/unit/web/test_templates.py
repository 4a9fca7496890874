"""The form of templates: lines that fit into an editor, and files that fit on a screen."""

from pathlib import Path

import pytest

from config.running.folders import PROJECT

MAX_COLUMNS = 120
MAX_LINES = 60
TEMPLATES = [path for name in ("messages_extends", "config", "tests") for path in (PROJECT / name).rglob("*.html")]
EMAILS = [*(PROJECT / "config").rglob("email/*.txt")]


@pytest.mark.parametrize("template", [*TEMPLATES, *EMAILS], ids=lambda path: str(path.relative_to(PROJECT)))
def test_template_stays_within_line_and_column_limits(template: Path) -> None:
    lines = template.read_text().splitlines()
    assert len(lines) <= MAX_LINES
    assert [number for number, line in enumerate(lines, 1) if len(line) > MAX_COLUMNS] == []
