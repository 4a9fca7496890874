"""How the pages are built: `python3 run.py docs`."""

from pygments.lexers.sql import PostgresLexer
from sphinx.application import Sphinx

project = "messages_extends"
author = "The messages_extends maintainers"
extensions = ["myst_parser"]
exclude_patterns = ["_build"]
# A link that leads nowhere is a failure.
nitpicky = True
myst_heading_anchors = 3
html_theme = "furo"
html_title = "messages_extends"
html_show_copyright = False
html_show_sphinx = False
html_copy_source = False


def setup(app: Sphinx) -> None:
    # The one for standard SQL stumbles over PostgreSQL's quoting with dollars.
    app.add_lexer("sql", PostgresLexer)
