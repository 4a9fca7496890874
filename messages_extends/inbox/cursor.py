"""The cursor for keyset pagination of the inbox."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple, Self, cast
from uuid import UUID

from django.conf import settings as django_settings

from messages_extends.inbox.items import KINDS, FeedItem, Kind
from messages_extends.models import Message
from messages_extends.models.publication import Reference

PATTERN: Final = re.compile(r"([0-9]{1,16})-(?:message-([0-9]{1,18})|(announcement|broadcast)-([0-9a-f]{32}))")
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Cursor(NamedTuple):
    """The position of the last item of a page; the next page begins after it."""

    at: datetime
    kind: Kind
    id: int | UUID

    def __str__(self) -> str:
        return f"{(self.at - epoch()) // timedelta(microseconds=1)}-{self.kind}-{getattr(self.id, 'hex', self.id)}"

    @classmethod
    def of(cls, entry: "Message | FeedItem") -> Self:
        reference = Reference.parse(entry.pk) if isinstance(entry, FeedItem) else None
        kind: Kind = entry.kind
        return cls(entry.shows_at, kind, reference.id if reference else cast(int, entry.pk))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse the result of `str()`. Raises ValueError for any other text."""
        found = PATTERN.fullmatch(text)
        if found is None:
            raise ValueError(f"{text[:100]!r} is not a cursor: use the attribute `next` of a page.")
        at = epoch() + timedelta(microseconds=int(found[1]))
        kind = cast(Kind, found[3] or "message")
        return cls(at, kind, UUID(found[4]) if found[3] else int(found[2]))

    @property
    def rank(self) -> tuple[datetime, int, int | UUID]:
        """A key that sorts items like the queries, in reverse order."""
        return (self.at, -KINDS.index(self.kind), self.id)


def epoch() -> datetime:
    return EPOCH if django_settings.USE_TZ else EPOCH.replace(tzinfo=None)
