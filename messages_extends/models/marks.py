"""The marks of triage, which messages have themselves and publications in the receipts of their readers."""

from collections.abc import Mapping
from typing import Any, Final

from django.utils import timezone

MARKS: Final = ("archived_at", "snoozed_until", "saved_at")
# The columns that keep the marks before the last change, whose time is `marked_at`. They are columns rather than one
# JSON document, because Citus refuses its functions in an UPDATE.
PREVIOUS: Final[Mapping[str, str]] = {name: f"previous_{name}" for name in MARKS}
UNDO_FIELDS: Final = ("marked_at", *PREVIOUS.values())


class HasMarks:
    """Base class of the items of an inbox, with their marks as booleans."""

    # Of any type, because a Django field and a dataclass's field declare them differently.
    archived_at: Any
    snoozed_until: Any
    saved_at: Any

    @property
    def archived(self) -> bool:
        return self.archived_at is not None

    @property
    def saved(self) -> bool:
        return self.saved_at is not None

    @property
    def snoozed(self) -> bool:
        return self.snoozed_until is not None and self.snoozed_until > timezone.now()
