"""What was unread at one moment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar, Self
from uuid import UUID

from django.db.models import Q

from messages_extends.inbox.cursor import epoch


@dataclass(frozen=True)
class UnreadSnapshot:
    """What one statement saw of what is unread: what "mark all as read" may mark, whatever is committed meanwhile.

    `messages` are primary keys, of the newest `LISTED`; `newest` is when the first of them was written, because a
    restored database gives primary keys again. `publications` are primary keys with the revision that was shown.
    `before` is None where all messages are listed; otherwise those that were written until then were seen as well.
    """

    messages: Sequence[int] = ()
    newest: datetime | None = None
    before: datetime | None = None
    publications: Mapping[UUID, int] = field(default_factory=dict)

    LISTED: ClassVar = 500
    # Of those that are not listed one by one. Longer than any sending takes from its first statement to its commit.
    MARGIN: ClassVar = timedelta(minutes=10)

    @classmethod
    def of(cls, rows: Sequence[tuple[Any, ...]], at: datetime) -> Self:
        """Return what the rows of `unread_rows` say, which were found at `at`."""
        messages = [(int(pk), appeared) for kind, pk, _revision, appeared in rows if kind == "message"]
        messages.sort(key=lambda message: message[1], reverse=True)
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
        """The condition that keeps the messages that were seen; of those that are not listed, no doubtful one."""
        listed = Q(pk__in=self.messages, created__lte=self.newest or epoch())
        return listed if self.before is None else listed | Q(created__lte=self.before)

    @property
    def seen_publications(self) -> Q:
        """The condition that keeps the publications that were seen, in the revision that was shown."""
        seen = Q(pk__in=[])
        for revision in set(self.publications.values()):
            seen |= Q(revision=revision, pk__in=[pk for pk, shown in self.publications.items() if shown == revision])
        return seen
