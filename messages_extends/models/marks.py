"""The marks of triage, which messages have themselves and publications in the receipts of their readers."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.utils import timezone

MARKS: Final = ("archived_at", "snoozed_until", "saved_at")
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


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


def as_microseconds(at: datetime) -> int:
    """Return a time as a number that JSON represents exactly."""
    aware = timezone.make_aware(at, timezone.get_default_timezone()) if timezone.is_naive(at) else at
    return (aware - EPOCH) // timedelta(microseconds=1)
