"""Snapshots of what a page showed, for "mark all as read" and for changes to all that a filter shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar, Self
from uuid import UUID

from django.db.models import Q

from messages_extends.inbox.cursor import epoch


@dataclass(frozen=True)
class UnreadSnapshot:
    """What was unread, or shown, when a page was rendered; "mark all as read" marks nothing that was committed later.

    `messages` are the primary keys of the newest `LISTED` messages. `newest` is the time of the first of them, because
    a restored database assigns primary keys again. `publications` maps primary keys to the shown revision. `before` is
    None if all messages are listed; otherwise messages that were created until then belong to the snapshot as well.
    """

    messages: Sequence[int] = ()
    newest: datetime | None = None
    before: datetime | None = None
    publications: Mapping[UUID, int] = field(default_factory=dict)

    LISTED: ClassVar = 500
    # For messages that are not listed; longer than a transaction that sends messages takes.
    MARGIN: ClassVar = timedelta(minutes=10)

    @classmethod
    def of(cls, rows: Sequence[tuple[Any, ...]], at: datetime) -> Self:
        """Return the snapshot of the rows that `snapshot_rows` returned at `at`."""
        messages = [(int(pk), appeared) for kind, pk, _revision, appeared in rows if kind == "message"]
        messages.sort(key=lambda message: message[1], reverse=True)
        # The rows may be those of several queries, each with this limit.
        del messages[cls.LISTED :]
        return cls(
            messages=[pk for pk, _appeared in messages],
            newest=messages[0][1] if messages else None,
            before=min(messages[-1][1], at - cls.MARGIN) if len(messages) >= cls.LISTED else None,
            publications={UUID(pk): revision for kind, pk, revision, _appeared in rows if kind != "message"},
        )

    def __len__(self) -> int:
        return len(self.messages) + len(self.publications)

    @property
    def seen_messages(self) -> Q:
        """The condition for the messages in the snapshot."""
        listed = Q(pk__in=self.messages, shows_at__lte=self.newest or epoch())
        return listed if self.before is None else listed | Q(shows_at__lte=self.before)

    @property
    def seen_publications(self) -> Q:
        """The condition for the publications in the snapshot, in the shown revision."""
        seen = Q(pk__in=[])
        for revision in set(self.publications.values()):
            seen |= Q(revision=revision, pk__in=[pk for pk, shown in self.publications.items() if shown == revision])
        return seen
