"""The marks of triage, which messages have themselves and publications in the receipts of their readers."""

from datetime import UTC, datetime, timedelta
from typing import Final

from django.utils import timezone

MARKS: Final = ("archived_at", "snoozed_until", "saved_at")
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def as_microseconds(at: datetime) -> int:
    """Return a time as a number that JSON represents exactly."""
    aware = timezone.make_aware(at, timezone.get_default_timezone()) if timezone.is_naive(at) else at
    return (aware - EPOCH) // timedelta(microseconds=1)
