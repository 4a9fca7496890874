"""One user's messages, announcements and broadcasts as one union, whose branches each have a limit.

A union with only an outer limit sorts all rows. With a limit in each branch, each stops at its index.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.db.models import Exists, F, Q, QuerySet, TextField, Value
from django.db.models.functions import Cast

from messages_extends.access.membership import members
from messages_extends.broadcasts.models import Broadcast
from messages_extends.conf import settings
from messages_extends.inbox.filters import Branches, InboxFilter
from messages_extends.inbox.items import KINDS, TEXT_COLUMNS, TIME_COLUMNS, Kind
from messages_extends.models import Announcement, Message
from messages_extends.models.publication import PublicationQuerySet
from messages_extends.models.search import ContainsWords


def branches(
    user: AbstractBaseUser, at: datetime, schema: str, chosen: InboxFilter, sender: Any = None, **words: Any
) -> Branches:
    """Return what `user` can see at `at` in the organisation `schema` with a filter, by kind.

    `sender` filters by the sender, and `words`, the values of SearchWords, by words in the text.
    """
    found: Branches = {
        "message": Message.objects.for_user(user),
        "announcement": for_members(Announcement.objects.addressed_to(user), user).live(at),
        "broadcast": for_members(Broadcast.objects.addressed_to(schema), user).live(at),
    }
    if sender is not None:
        found = {kind: branch.filter(sender=sender) for kind, branch in found.items() if kind != "broadcast"}
    found = {
        kind: branch.in_view(chosen.view, user, at, unread=chosen.unread) for kind, branch in chosen.of(found).items()
    }
    return {kind: branch.filter(ContainsWords(**words)) for kind, branch in found.items()} if words else found


def for_members(publications: PublicationQuerySet, user: AbstractBaseUser) -> PublicationQuerySet:
    """Return no publications for a user who is not a member, if MEMBERS defines the members."""
    return publications.filter(Exists(members().filter(pk=user.pk))) if settings.members else publications


def newest_banners(user: AbstractBaseUser, at: datetime, schema: str, *, limit: int) -> "QuerySet[Any, Any]":
    """Return rows of the newest unread messages that are shown as banners."""
    messages: Any = branches(user, at, schema, InboxFilter(unread=True, kind="message"))["message"]
    return union([("message", messages.banners()[:limit])])


def urgent_publications(user: AbstractBaseUser, at: datetime, schema: str, *, limit: int) -> "QuerySet[Any, Any]":
    """Return rows of the most urgent unread publications, with the numbers of unread ones and of banners of their kind.

    There is a row for each kind with unread items.
    """
    unread: dict[Kind, Any] = {**branches(user, at, schema, InboxFilter(unread=True))}
    return union([(kind, branch.banners(limit)) for kind, branch in unread.items() if kind != "message"])


def page(
    user: AbstractBaseUser,
    at: datetime,
    schema: str,
    *,
    size: int,
    chosen: InboxFilter,
    last: Kind | None = None,
    last_at: datetime | None = None,
    last_id: Any = None,
    sender: AbstractBaseUser | None = None,
    **words: Any,
) -> "QuerySet[Any, Any]":
    """Return the rows of a page: the newest `size` items of each kind after the last item of the previous page."""
    found = branches(user, at, schema, chosen, sender, **words)
    if last is not None:
        found = {kind: branch.filter(_comes_after(kind, last, last_at, last_id)) for kind, branch in found.items()}
    return union([(kind, rows[:size]) for kind, rows in _ordered(found, chosen)])


def _ordered(found: Branches, chosen: InboxFilter) -> "Iterator[tuple[Kind, QuerySet[Any, Any]]]":
    """Yield querysets that are each in the order of an index, so that a limit ends them early."""
    for kind, branch in found.items():
        for rows in branch.ordered_for(chosen.view, unread=chosen.unread):
            yield kind, rows


def _comes_after(kind: Kind, last: Kind, last_at: datetime | None, last_id: Any) -> Q:
    """Return the condition for the items that come after the last item of a page, which is of the kind `last`."""
    earlier, not_later = Q(shows_at__lt=last_at), Q(shows_at__lte=last_at)
    if kind == last:
        return not_later & (earlier | Q(pk__lt=last_id))
    return not_later if KINDS.index(kind) > KINDS.index(last) else earlier


def unread_marks(
    user: AbstractBaseUser, at: datetime, schema: str, *, limit: int | None, chosen: InboxFilter
) -> "QuerySet[Any, Any]":
    """Return a row for each unread item, at most `limit` of each kind, to count them."""
    unread = branches(user, at, schema, chosen)
    # With a limit and no order, PostgreSQL scans the table and expects to find enough rows soon.
    ordered = {kind: branch.newest_first() if limit else branch.order_by() for kind, branch in unread.items()}
    return union_all([branch.annotate(one=Value(1)).values_list("one")[:limit] for branch in ordered.values()])


def snapshot_rows(
    user: AbstractBaseUser,
    at: datetime,
    schema: str,
    *,
    limit: int,
    chosen: InboxFilter,
    sender: AbstractBaseUser | None = None,
    **words: Any,
) -> "QuerySet[Any, Any]":
    """Return kind, primary key, revision and time of the newest `limit` items of each kind in a filter."""
    found = branches(user, at, schema, chosen, sender, **words)
    return union_all(
        [
            rows.values_list(
                Value(kind),
                Cast("pk", TextField()),
                Value(0) if kind == "message" else F("revision"),
                "shows_at",
            )[:limit]
            for kind, rows in _ordered(found, chosen)
        ]
    )


def union(branches: "Iterable[tuple[Kind, Any]]") -> "QuerySet[Any, Any]":
    """Return the rows of all branches, each already ordered and limited, with the totals that they have."""
    rows = []
    for kind, branch in branches:
        counts = [name for name in ("total", "banners") if name in branch.query.annotations]
        text = (Cast(name, TextField()) if name == "params" else name for name in TEXT_COLUMNS)
        columns = (Value(kind), Cast("pk", TextField()), *text, TIME_COLUMNS[kind], *_own_columns(kind), *counts)
        rows.append(branch.with_marks().values_list(*columns))
    return union_all(rows)


def union_all(branches: Sequence["QuerySet[Any, Any]"]) -> "QuerySet[Any, Any]":
    first, *others = branches
    rows: QuerySet[Any, Any] = first.union(*others, all=True) if others else first
    return rows


def _own_columns(kind: Kind) -> tuple[Any, ...]:
    """Return the columns of the sender, `from_person`, the author, the revision and `must_acknowledge`."""
    if kind == "message":
        return ("sender_id", "from_person", Value(""), Value(0), Value(False))
    if kind == "announcement":
        return ("sender_id", "from_person", Value(""), "revision", "must_acknowledge")
    nobody = Cast(Value(None), Message._meta.get_field("sender").target_field)
    return (nobody, Value(False), "author", "revision", "must_acknowledge")
