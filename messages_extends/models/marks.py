"""The marks of triage, which messages have themselves and publications in the receipts of their readers."""

from collections.abc import Mapping
from typing import Final

MARKS: Final = ("archived_at", "snoozed_until", "saved_at")
# The columns that keep the marks before the last change, whose time is `marked_at`. They are columns rather than one
# JSON document, because Citus refuses its functions in an UPDATE.
PREVIOUS: Final[Mapping[str, str]] = {name: f"previous_{name}" for name in MARKS}
