"""One user's messages, announcements and broadcasts as one list: one statement, each branch with its own limit.

A union that is limited only outside sorts everything there is; limited inside, each branch stops at its index.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final, Literal, Self, get_args
from uuid import UUID

from django.conf import settings as django_settings
from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.messages.constants import DEFAULT_LEVELS
from django.contrib.messages.storage import base as messages_storage
from django.db.models import Exists, F, Q, QuerySet, TextField, Value
from django.db.models.functions import Cast
from django.utils.functional import cached_property
from django.utils.translation import gettext

from messages_extends.broadcasts.models import Broadcast
from messages_extends.conf import settings
from messages_extends.constants import PERSISTENT_MESSAGE_LEVELS, base_level, name_of_level
from messages_extends.content import equals_ordinary
from messages_extends.languages import in_interface_language
from messages_extends.models import Announcement, Message
from messages_extends.policy import members
from messages_extends.prepared import Reader
from messages_extends.publications import PublicationQuerySet, Reference
from messages_extends.rendering import Params, render, shown_link
from messages_extends.tenancy.databases import read_database
from messages_extends.tenancy.schemas import current_schema, inside

Kind = Literal["message", "announcement", "broadcast"]
# Also the order of what appeared in the same microsecond.
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
# What each kind is ordered by.
APPEARED: Final[Mapping[Kind, str]] = {"message": "created", "announcement": "publish_at", "broadcast": "publish_at"}
TEXT: Final = ("level", "message", "params", "extra_tags", "url", "is_safe", "key", "expires", "read_at")
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

# A queryset of messages or of publications: both know `newest_first`, `unread_by` and their like.
Branch = Any
Branches = Mapping[Kind, Branch]


@dataclass(kw_only=True)
class Entry:
    """A publication as one reader sees it; it has what a template asks a message for.

    `from_person` stays true of an announcement whose sender has been deleted.
    """

    kind: Kind
    pk: str
    level: int
    message: str
    params: Params
    extra_tags: str
    url: str
    is_safe: bool
    key: str
    created: datetime
    expires: datetime
    read_at: datetime | None
    must_acknowledge: bool
    author: str
    sender_id: Any
    from_person: bool
    # Of this organisation: elsewhere the same primary key is somebody else's.
    schema: str = field(default_factory=current_schema)

    def __str__(self) -> str:
        return render(self.message, self.params, is_safe=self.is_safe)

    def __eq__(self, other: object) -> bool:
        """Equal an ordinary message too that has this level and text: Django's `assertMessages` compares with those."""
        if isinstance(other, messages_storage.Message):
            return equals_ordinary(self, other)
        if not isinstance(other, Entry):
            return NotImplemented
        return all(getattr(self, each.name) == getattr(other, each.name) for each in fields(self))

    # It can be changed, as a dataclass that is compared by its fields.
    __hash__ = None  # type: ignore[assignment]

    @cached_property
    def sender(self) -> Any:
        """The person who wrote an announcement, loaded when asked for; of a broadcast, the name that it is under.

        None for the application, and for somebody who is gone.
        """
        if self.kind == "broadcast":
            with in_interface_language():
                return self.author or gettext("The platform")
        if self.sender_id is None:
            return None
        with inside(self.schema):
            return get_user_model()._default_manager.using(read_database()).filter(pk=self.sender_id).first()

    @property
    def read(self) -> bool:
        return self.read_at is not None

    @property
    def level_tag(self) -> str:
        return str(messages_storage.LEVEL_TAGS.get(self.level, ""))

    @property
    def tags(self) -> str:
        """The CSS words: extra tags, the level's, the kind, and "read" or "unread"."""
        words = (self.extra_tags, self.level_tag, self.kind, "read" if self.read else "unread")
        return " ".join(word for word in words if word)


@dataclass(frozen=True)
class Position:
    """Where a page ends: the next one begins with what comes after."""

    at: datetime
    kind: Kind
    id: Any

    PATTERN: ClassVar = re.compile(r"([0-9]{1,16})-(?:message-([0-9]{1,18})|(announcement|broadcast)-([0-9a-f]{32}))")

    def __str__(self) -> str:
        return f"{(self.at - _epoch()) // timedelta(microseconds=1)}-{self.kind}-{getattr(self.id, 'hex', self.id)}"

    @classmethod
    def of(cls, entry: "Message | Entry") -> Self:
        reference = Reference.parse(entry.pk) if isinstance(entry, Entry) else None
        kind: Kind = entry.kind
        return cls(entry.created, kind, reference.id if reference else entry.pk)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `str` has written; ValueError for anything else."""
        found = cls.PATTERN.fullmatch(text)
        if found is None:
            raise ValueError(f"{text[:100]!r} is no position in an inbox: use the one that a page names as its next.")
        at = _epoch() + timedelta(microseconds=int(found[1]))
        kind: Any = found[3] or "message"
        return cls(at, kind, UUID(found[4]) if found[3] else int(found[2]))

    @property
    def rank(self) -> tuple[Any, ...]:
        """What sorts entries as the queries do: the newest first."""
        return (self.at, -KINDS.index(self.kind), self.id)


def _epoch() -> datetime:
    return EPOCH if django_settings.USE_TZ else EPOCH.replace(tzinfo=None)


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
        listed = Q(pk__in=self.messages, created__lte=self.newest or _epoch())
        return listed if self.before is None else listed | Q(created__lte=self.before)

    @property
    def seen_publications(self) -> Q:
        """The condition that keeps the publications that were seen, in the revision that was shown."""
        seen = Q(pk__in=[])
        for revision in set(self.publications.values()):
            seen |= Q(revision=revision, pk__in=[pk for pk, shown in self.publications.items() if shown == revision])
        return seen


@dataclass(frozen=True)
class Chosen:
    """What a page is narrowed down to; ValueError, with the allowed values, for what does not exist."""

    unread: bool = False
    level: int | None = None
    kind: Kind | None = None

    def __post_init__(self) -> None:
        if self.kind is not None and self.kind not in KINDS:
            raise ValueError(f"kind {self.kind!r} is not one of {', '.join(KINDS)}.")
        if self.level is not None and not self._levels:
            allowed = ", ".join(name_of_level(level) for level in DEFAULT_LEVELS.values())
            raise ValueError(f"level {name_of_level(self.level)} is not one of {allowed}.")

    def of(self, branches: Branches) -> dict[Kind, Branch]:
        chosen = {kind: branch for kind, branch in branches.items() if self.kind in (None, kind)}
        if self.level is None:
            return chosen
        return {kind: branch.filter(level__in=self._levels) for kind, branch in chosen.items()}

    @property
    def _levels(self) -> list[int]:
        """The levels of the family, of which `level` is any."""
        return [each for each in PERSISTENT_MESSAGE_LEVELS if base_level(each) == base_level(self.level or 0)]


def after(kind: Kind, reader: Reader, last: Kind) -> Q:
    """Return the condition that keeps what comes after the reader's position, an entry of kind `last`."""
    column = APPEARED[kind]
    earlier, not_later = Q(**{f"{column}__lt": reader.after}), Q(**{f"{column}__lte": reader.after})
    if kind == last:
        return not_later & (earlier | Q(pk__lt=reader.after_id))
    return not_later if KINDS.index(kind) > KINDS.index(last) else earlier


def branches(reader: Reader) -> Branches:
    """Return what the reader can see, read or not, by kind."""
    user, at = reader.user, reader.at
    return {
        "message": Message.objects.for_user(user).live(at),
        "announcement": for_members(Announcement.objects.addressed_to(user), user).live(at),
        "broadcast": for_members(Broadcast.objects.addressed_to(reader.schema), user).live(at),
    }


def unread_branches(reader: Reader) -> Branches:
    return {kind: branch.unread_by(reader.user) for kind, branch in branches(reader).items()}


def for_members(publications: PublicationQuerySet, user: AbstractBaseUser) -> PublicationQuerySet:
    """Keep `publications` for a member of the current organisation; who has people of its own has members only."""
    return publications.filter(Exists(members().filter(pk=user.pk))) if settings.members else publications


def banners(reader: Reader, limit: int) -> "QuerySet[Any, Any]":
    """Return rows of what is unread, each with the `total` of its kind."""
    unread = unread_branches(reader)
    return union({kind: branch.counted().most_urgent_first()[:limit] for kind, branch in unread.items()}, reader)


def page(reader: Reader, size: int, chosen: Chosen, last: Kind | None) -> "QuerySet[Any, Any]":
    """Return rows of a page: the newest `size` of each kind that come after the reader's position, of kind `last`."""
    found = chosen.of(unread_branches(reader) if chosen.unread else branches(reader))
    if last is not None:
        found = {kind: branch.filter(after(kind, reader, last)) for kind, branch in found.items()}
    return union({kind: branch.newest_first()[:size] for kind, branch in found.items()}, reader)


def marks(reader: Reader, limit: int | None, chosen: Chosen) -> "QuerySet[Any, Any]":
    """Return a row for each unread entry, `limit` of each kind: for counting them."""
    unread = chosen.of(unread_branches(reader))
    # With a limit and no order, PostgreSQL reads the whole table in the hope of finding some of this reader soon.
    ordered = {kind: branch.newest_first() if limit else branch.order_by() for kind, branch in unread.items()}
    return united([branch.annotate(one=Value(1)).values_list("one")[:limit] for branch in ordered.values()])


def unread_rows(reader: Reader, limit: int, chosen: Chosen) -> "QuerySet[Any, Any]":
    """Return kind, primary key, revision and time of what is unread, the newest `limit` of each kind."""
    unread = chosen.of(unread_branches(reader))
    return united(
        [
            branch.newest_first().values_list(
                Value(kind), Cast("pk", TextField()), Value(0) if kind == "message" else F("revision"), APPEARED[kind]
            )[:limit]
            for kind, branch in unread.items()
        ]
    )


def union(branches: Branches, reader: Reader) -> "QuerySet[Any, Any]":
    """Return the rows of all branches, each already ordered and limited."""
    return united([_rows(kind, branch.with_read_at(reader.user)) for kind, branch in branches.items()])


def united(branches: Sequence["QuerySet[Any, Any]"]) -> "QuerySet[Any, Any]":
    first, *others = branches
    rows: QuerySet[Any, Any] = first.union(*others, all=True) if others else first
    return rows


def _rows(kind: Kind, branch: Branch) -> "QuerySet[Any, Any]":
    total = "total" if "total" in branch.query.annotations else Value(0)
    text = (Cast(name, TextField()) if name == "params" else name for name in TEXT)
    columns = (Value(kind), Cast("pk", TextField()), *text, APPEARED[kind], *_own_columns(kind), total)
    rows: QuerySet[Any, Any] = branch.values_list(*columns)
    return rows


def _own_columns(kind: Kind) -> tuple[Any, ...]:
    """Return sender, whether that was a person, author, revision and whether it must be acknowledged."""
    if kind == "message":
        return ("sender_id", "from_person", Value(""), Value(0), Value(False))
    if kind == "announcement":
        return ("sender_id", "from_person", Value(""), "revision", "must_acknowledge")
    nobody = Cast(Value(None), Message._meta.get_field("sender").target_field)
    return (nobody, Value(False), "author", "revision", "must_acknowledge")


def as_entry(values: tuple[Any, ...], user: AbstractBaseUser) -> "Message | Entry":
    """Return the entry that a row of a union says; without the total, which is the row's last."""
    kind, pk, *text, created, sender_id, from_person, author, revision, must_acknowledge, _total = values
    columns = dict(zip(TEXT, text, strict=True))
    columns |= {"created": created, "sender_id": sender_id, "from_person": from_person}
    if columns["params"] is not None:
        columns["params"] = json.loads(columns["params"])
    # Compiled statements know nothing of fields.
    columns["url"] = shown_link(columns["url"])
    if kind == "message":
        columns |= {"id": Message._meta.pk.to_python(pk), "user_id": user.pk}
        # Django takes them in the order of the model's own; the rest is loaded when asked for.
        names = [each.attname for each in Message._meta.concrete_fields if each.attname in columns]
        return Message.from_db(read_database(), names, [columns[name] for name in names])
    reference = Reference(UUID(pk), revision)
    return Entry(kind=kind, pk=str(reference), author=author, must_acknowledge=must_acknowledge, **columns)
