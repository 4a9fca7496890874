"""Search for words in titles and texts.

There is no index of words: it would make sending to many people three times as slow, and a user's own rows are found by
another index. A test that costs little leaves few rows to the regular expression.
"""

import re
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from django.db.models import BooleanField, Expression, F, Func, Value

MAX_LENGTH: Final = 100
# What cannot be sent to PostgreSQL, or would not be found.
UNUSABLE: Final = re.compile("[\0\ud800-\udfff\\s]+")
NON_ASCII: Final = re.compile("[^\0-\x7f]")
LIKE_ESCAPES: Final = str.maketrans({character: f"\\{character}" for character in "%_\\"})


class SearchWords(NamedTuple):
    """The words of a search as patterns for LIKE, in lower case, and as regular expressions of PostgreSQL."""

    likes: list[str]
    regexes: list[str]

    @classmethod
    def of(cls, text: str) -> "SearchWords | None":
        """Return the words of a search text, in which every character is literal; None if there are none."""
        words = UNUSABLE.sub(" ", text)[:MAX_LENGTH].split()
        # Characters with a meaning in LIKE are escaped. Letters that it does not fold become a wildcard.
        likes = [f"%{NON_ASCII.sub('_', word.translate(LIKE_ESCAPES)).lower()}%" for word in words]
        return cls(likes, [*map(_regex, words)]) if words else None

    @property
    def values(self) -> dict[str, list[str]]:
        """The arguments of `ContainsWords` by name."""
        return {"likes": self.likes, "regexes": self.regexes}


class ContainsWords(Func):
    """Test whether the title, the text or the parameters contain a word that begins like each of those searched for."""

    output_field = BooleanField()

    def __init__(self, likes: "Sequence[str] | Expression", regexes: "Sequence[str] | Expression") -> None:
        # Without an ArrayField, which would import all fields and forms of `django.contrib.postgres`.
        words = (each if isinstance(each, Expression) else Value(each) for each in (likes, regexes))
        super().__init__(F("title"), F("message"), F("params"), *words)

    def as_sql(self, compiler: Any, connection: Any, **_context: Any) -> tuple[str, list[Any]]:  # type: ignore[override]
        (title, message, params), (likes, like_values), (regexes, regex_values) = (
            [compiler.compile(each)[0] for each in self.source_expressions[:3]],
            *(compiler.compile(each) for each in self.source_expressions[3:]),
        )
        whole = f"{title} || ' ' || {message} || coalesce(' ' || CAST({params} AS text), '')"
        # Joining texts takes as long as searching them.
        text = f"(CASE WHEN {title} = '' AND {params} IS NULL THEN {message} ELSE {whole} END)"
        # Only ASCII letters are folded in "C", which is ten times as fast; other letters match any character here.
        sql = (
            f'CASE WHEN lower({text} COLLATE "C") LIKE ALL (CAST({likes} AS text[])) '
            f"THEN {text} ~* ALL (CAST({regexes} AS text[])) ELSE false END"
        )
        return sql, [*like_values, *regex_values]


def _regex(word: str) -> str:
    text = "".join(letter if _is_plain(letter) else f"\\{letter}" for letter in word)
    if not _is_plain(word[0]):
        return text
    # For letters that are not ASCII, \m depends on the locale of the database, which may not know them.
    return rf"\m{text}" if word[0].isascii() else f"(?:^|[^[:alnum:]_]){text}"


def _is_plain(letter: str) -> bool:
    return letter.isalnum() or letter == "_" or not letter.isascii()
