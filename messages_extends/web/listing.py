"""The list of the inbox: days, and entries of one group folded into one line."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cached_property
from hashlib import blake2b

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import pgettext

from messages_extends.inbox.items import FeedItem
from messages_extends.models import Message
from messages_extends.sending.cleaning import shown_zone

Entry = Message | FeedItem


@dataclass
class Row:
    """A line of the list: an entry, or several entries of one group and day."""

    day: date
    group: str
    # Before this row, if the previous row belongs to another period.
    heading: str = ""
    entries: list[Entry] = field(default_factory=list)

    @property
    def is_folded(self) -> bool:
        return len(self.entries) > 1

    @property
    def newest(self) -> Entry:
        return self.entries[0]

    @property
    def unread(self) -> int:
        return sum(not entry.read for entry in self.entries)

    @cached_property
    def id(self) -> str:
        """A part of an HTML id, which stays the same if entries are added to the group."""
        return blake2b(f"{self.day} {self.group}".encode(), digest_size=8).hexdigest()

    @property
    def keys(self) -> str:
        """The primary keys of the entries that can be archived and snoozed."""
        return " ".join(str(entry.pk) for entry in self.entries if entry.read or not entry.must_acknowledge)


def rows_of(entries: Iterable[Entry]) -> list[Row]:
    """Return the rows of a page, in the order of their newest entries."""
    rows: list[Row] = []
    groups: dict[tuple[date, str], Row] = {}
    for entry in entries:
        day = _date_of(entry.shows_at)
        row = groups.get((day, entry.group)) if entry.group else None
        if row is None:
            row = groups[day, entry.group] = Row(day, entry.group)
            rows.append(row)
        row.entries.append(entry)
    before = ""
    for row in rows:
        period = _period(row.day)
        row.heading = "" if period == before else period
        before = period
    return rows


def _date_of(at: datetime) -> date:
    return (at.astimezone(shown_zone()) if timezone.is_aware(at) else at).date()


def _period(day: date) -> str:
    today = _date_of(timezone.now())
    if day >= today:
        return pgettext("day", "Today")
    if day == today - timedelta(days=1):
        return pgettext("day", "Yesterday")
    if day > today - timedelta(days=7):
        return pgettext("day", "Last 7 days")
    return date_format(day, "YEAR_MONTH_FORMAT")
