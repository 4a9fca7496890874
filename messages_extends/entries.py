"""One user's messages, announcements and broadcasts as one list: one statement, each branch with its own limit.

A union that is limited only outside sorts everything there is; limited inside, each branch stops at its index.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final, Literal, Self, get_args
from uuid import UUID

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.messages.constants import DEFAULT_LEVELS
from django.contrib.messages.storage import base as messages_storage
from django.db.models import Exists, Q, QuerySet, TextField, Value
from django.db.models.functions import Cast

from messages_extends.broadcasts.models import Broadcast
from messages_extends.conf import settings
from messages_extends.constants import PERSISTENT_MESSAGE_LEVELS, base_level
from messages_extends.models import Announcement, Message
from messages_extends.policy import members
from messages_extends.publications import PublicationQuerySet, Reference
from messages_extends.rendering import Params, render
from messages_extends.tenancy.schemas import current_schema

Kind = Literal["message", "announcement", "broadcast"]
# Also the order of what appeared in the same microsecond.
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
MODELS: Final[Mapping[Kind, Any]] = {"message": Message, "announcement": Announcement, "broadcast": Broadcast}
# What each kind is ordered by.
APPEARED: Final[Mapping[Kind, str]] = {"message": "created", "announcement": "publish_at", "broadcast": "publish_at"}
TEXT: Final = ("level", "message", "params", "extra_tags", "url", "is_safe", "key", "expires", "read_at")
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

# A queryset of messages or of publications: both know `newest_first`, `unread_by` and their like.
Branch = Any
Branches = Mapping[Kind, Branch]


@dataclass(kw_only=True)
class Entry:
    """A publication as one reader sees it; it has what a template asks a message for."""

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
    sender: Any = None

    def __str__(self) -> str:
        return render(self.message, self.params, is_safe=self.is_safe)

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
        return f"{(self.at - EPOCH) // timedelta(microseconds=1)}-{self.kind}-{getattr(self.id, 'hex', self.id)}"

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
        at = EPOCH + timedelta(microseconds=int(found[1]))
        kind: Any = found[3] or "message"
        return cls(at, kind, UUID(found[4]) if found[3] else int(found[2]))

    @property
    def rank(self) -> tuple[Any, ...]:
        """What sorts entries as the queries do: the newest first."""
        return (self.at, -KINDS.index(self.kind), self.id)

    def after(self, kind: Kind) -> Q:
        """Return the condition that keeps what comes after, in a branch of this kind."""
        column = APPEARED[kind]
        earlier, not_later = Q(**{f"{column}__lt": self.at}), Q(**{f"{column}__lte": self.at})
        if kind == self.kind:
            return not_later & (earlier | Q(pk__lt=self.id))
        return not_later if KINDS.index(kind) > KINDS.index(self.kind) else earlier


def branches(user: AbstractBaseUser, at: datetime) -> Branches:
    """Return what `user` can read at `at` in the current organisation, read or not, by kind."""
    return {
        "message": Message.objects.for_user(user).live(at),
        "announcement": publications(Announcement.objects.addressed_to(user), user).live(at),
        "broadcast": publications(Broadcast.objects.addressed_to(current_schema()), user).live(at),
    }


def publications(queryset: PublicationQuerySet, user: AbstractBaseUser) -> PublicationQuerySet:
    """Keep `queryset` for a member of the current organisation; whose users are its own has members only."""
    return queryset.filter(Exists(members().filter(pk=user.pk))) if settings.members else queryset


def of_level(branch: Branch, level: int) -> Branch:
    """Keep one family of levels, of which `level` is any; ValueError for one that has no persistent level."""
    family = [each for each in PERSISTENT_MESSAGE_LEVELS if base_level(each) == base_level(level)]
    if not family:
        raise ValueError(f"level {level!r} is not one of {', '.join(str(each) for each in DEFAULT_LEVELS.values())}.")
    return branch.filter(level__in=family)


def fetch(branches: Branches, user: AbstractBaseUser) -> "list[tuple[Message | Entry, int]]":
    """Load what the branches hold, each already ordered and limited, with its `total` (0 if not counted)."""
    rows = [_rows(kind, branch, user) for kind, branch in branches.items()]
    union = rows[0].union(*rows[1:], all=True) if len(rows) > 1 else rows[0]
    return [(_entry(values, user), values[-1]) for values in union]


def _rows(kind: Kind, branch: Branch, user: AbstractBaseUser) -> "QuerySet[Any, Any]":
    branch = branch.with_read_at(user)
    total = "total" if "total" in branch.query.annotations else Value(0)
    columns = (Value(kind), Cast("pk", TextField()), *TEXT, APPEARED[kind], *_own_columns(kind), total)
    rows: QuerySet[Any, Any] = branch.values_list(*columns)
    return rows


def _own_columns(kind: Kind) -> tuple[Any, ...]:
    """Return sender, author, revision and whether it must be acknowledged."""
    if kind == "message":
        return ("sender_id", Value(""), Value(0), Value(False))
    if kind == "announcement":
        return ("sender_id", Value(""), "revision", "must_acknowledge")
    nobody = Cast(Value(None), Message._meta.get_field("sender").target_field)
    return (nobody, "author", "revision", "must_acknowledge")


def _entry(values: tuple[Any, ...], user: AbstractBaseUser) -> "Message | Entry":
    kind, pk, *text, created, sender_id, author, revision, must_acknowledge, _total = values
    columns = dict(zip(TEXT, text, strict=True)) | {"created": created, "sender_id": sender_id}
    if kind == "message":
        columns |= {"id": Message._meta.pk.to_python(pk), "user_id": user.pk}
        # Django takes them in the order of the model's own; the rest is loaded when asked for.
        names = [field.attname for field in Message._meta.concrete_fields if field.attname in columns]
        return Message.from_db(Message.objects.db, names, [columns[name] for name in names])
    reference = Reference(UUID(pk), revision)
    return Entry(kind=kind, pk=str(reference), author=author, must_acknowledge=must_acknowledge, **columns)
