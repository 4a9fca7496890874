"""The inbox of one user: messages, announcements and broadcasts of the current organisation.

All items that a request names are looked up here, so that no user reads or marks items of others.
"""

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any, NamedTuple

from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.messages.storage.base import Message as OrdinaryMessage
from django.core.exceptions import EmptyResultSet
from django.db.models import Case, Q, QuerySet, Value, When
from django.utils import timezone
from django.utils.translation import ngettext

from messages_extends import constants
from messages_extends.conf import settings
from messages_extends.events.changes import notify_changed
from messages_extends.exceptions import MustAcknowledge, NoSuchMessage
from messages_extends.inbox import feed
from messages_extends.inbox.cursor import Cursor
from messages_extends.inbox.filters import Branches, InboxFilter
from messages_extends.inbox.items import DISPLAY_COLUMN, FeedItem, Kind, as_feed_item
from messages_extends.inbox.selection import Marked, Selection
from messages_extends.inbox.snapshot import UnreadSnapshot
from messages_extends.inbox.sql import BANNERS, COUNT_EACH, WITH_PUBLICATIONS
from messages_extends.models import Message, Receipt
from messages_extends.models.content import Display, View
from messages_extends.models.message import UNREAD_CAP, MessageQuerySet
from messages_extends.models.publication import Reference
from messages_extends.models.search import SearchWords
from messages_extends.queries import compiled
from messages_extends.queries.compiled import CompiledQuery
from messages_extends.queries.sql import names_of_people
from messages_extends.sending.cleaning import clean_datetime
from messages_extends.tenancy.databases import atomic, read_database, using_primary
from messages_extends.tenancy.origin import check_tenant
from messages_extends.tenancy.schemas import current_schema
from messages_extends.texts import rendering
from messages_extends.texts.languages import in_interface_language

PAGE_SIZE = 20
# The content of a banner; the primary key of a publication contains its revision.
VERSION_FIELDS = (
    *("kind", "pk", "level", "title", "message", "params", "extra_tags", "url", "url_label", "is_safe"),
    "must_acknowledge",
)


class Page(NamedTuple):
    """Items of the inbox, newest first; `next` is the cursor of the next page, or "" on the last page."""

    entries: Sequence[Message | FeedItem]
    next: str


@dataclass(frozen=True)
class Unread:
    """The most urgent unread banners, the number of unread items, and the number of banners among those.

    Messages are counted up to UNREAD_CAP.
    """

    shown: Sequence[Message | FeedItem]
    total: int
    banner_total: int

    @property
    def count(self) -> int:
        """Return the same number as `Inbox.unread_count`."""
        return min(self.total, UNREAD_CAP)

    @property
    def banners(self) -> list[Message | FeedItem | OrdinaryMessage]:
        hidden = self.banner_total - len(self.shown)
        if not hidden:
            return [*map(rendering.shown, self.shown)]
        beyond = f"{hidden}+" if self.banner_total >= UNREAD_CAP else str(hidden)
        with in_interface_language():
            text = ngettext("and %(count)s more", "and %(count)s more", hidden) % {"count": beyond}
        more = OrdinaryMessage(constants.INFO, text)
        more.is_more = True  # type: ignore[attr-defined]
        more.beyond = beyond  # type: ignore[attr-defined]
        return [*map(rendering.shown, self.shown), more]

    @property
    def version(self) -> str:
        """Return a hash that changes with the shown items and their number, whatever the language."""
        said = [[str(getattr(entry, name)) for name in VERSION_FIELDS] for entry in self.shown]
        return blake2b(json.dumps([self.total, said]).encode(), digest_size=8).hexdigest()


class Inbox:
    """The items that one user can read now in the current organisation.

    Raises WrongTenant if the user object was loaded in another tenant.
    """

    def __init__(self, user: AbstractBaseUser) -> None:
        check_tenant(user)
        self.user = user

    def banners(self) -> list[Message | FeedItem | OrdinaryMessage]:
        """Return the unread banners, and an item "and n more": one query.

        Banners that must be acknowledged come first, followed by those with the highest level, then by the newest.
        There are at most MAX_BANNERS; only the newest MAX_BANNERS messages are considered.
        """
        return self.unread().banners

    def unread(self) -> Unread:
        """Return the unread banners with the number of unread items: one query."""
        # At least one, because a row carries the total of its kind.
        rows = banner_rows(self._values(), max(settings.max_banners, 1))
        found = [as_feed_item(row[:-2], self.user) for row in rows if row[DISPLAY_COLUMN] == Display.BANNER]
        # All rows of a kind have the same numbers. Without a banner, the row of messages has no kind.
        by_kind = {row[0]: row for row in rows}
        total, banners = (sum(row[column] for row in by_kind.values()) for column in (-2, -1))
        # Banners that must be acknowledged first, then by level, then the newest.
        found.sort(key=lambda entry: Cursor.of(entry).rank, reverse=True)
        found.sort(key=lambda entry: (not entry.must_acknowledge, -constants.base_level(entry.level)))
        return Unread(found[: settings.max_banners], total, banners)

    def page(
        self,
        after: str = "",
        *,
        unread: bool = False,
        level: int | None = None,
        kind: Kind | None = None,
        view: View = "inbox",
        sender: AbstractBaseUser | None = None,
        search: str = "",
        size: int = PAGE_SIZE,
    ) -> Page:
        """Return a page of `size` items, newest first, with their senders: at most two queries, however far down.

        `after` is the `next` of another page. `level` is one of the fifteen levels and includes all with the same base
        level. `kind` is message, announcement or broadcast. `view` is inbox, saved, snoozed, archived or all. `sender`
        is a user. `search` contains words, each the beginning of a word in the title or the text. Raises ValueError,
        with the allowed values, for anything else.
        """
        chosen = InboxFilter(unread=unread, level=level, kind=kind, view=view)
        values = self._values(sender, search)
        shape: dict[str, Any] = {"size": size + 1, "chosen": chosen}
        if after:
            last = Cursor.parse(after)
            values |= {"last_at": last.at, "last_id": last.id}
            shape |= {"last": last.kind}
        rows = compiled.rows(feed.page, values, read_database(), **shape)
        found = [as_feed_item(row, self.user) for row in rows]
        found.sort(key=lambda entry: Cursor.of(entry).rank, reverse=True)
        entries_here = with_senders(found[:size])
        following = str(Cursor.of(entries_here[-1])) if len(found) > size else ""
        return Page([rendering.shown(entry) for entry in entries_here], following)

    def search(self, words: str, after: str = "", *, view: View = "all", size: int = PAGE_SIZE) -> Page:
        """Return a page of the items of `view` with words, in title or text, that begin with each of these words.

        By default, archived and snoozed items are included. It is a short form of `page(search=words)`. Raises
        ValueError if there are no words.
        """
        if SearchWords.of(words) is None:
            raise ValueError("words is empty: pass what to search for.")
        return self.page(after, view=view, search=words, size=size)

    def unread_count(self, *, exact: bool = False, level: int | None = None, kind: Kind | None = None) -> int:
        """Return the number of unread items, counted up to 100 unless `exact`: one query."""
        chosen = InboxFilter(unread=True, level=level, kind=kind)
        limit = None if exact else UNREAD_CAP
        count = compiled.count(feed.unread_marks, self._values(), read_database(), limit=limit, chosen=chosen)
        return count if exact else min(count, UNREAD_CAP)

    def mark_read(self, pk: str | int) -> bool:
        """Mark an item as read; return whether anything was changed.

        Raises NoSuchMessage for items that this user cannot read, and MustAcknowledge for those that need
        `acknowledge`.
        """
        return self._read(pk, acknowledge=False)

    def acknowledge(self, pk: str | int) -> bool:
        """Acknowledge an item; one that need not be acknowledged is marked as read."""
        return self._read(pk, acknowledge=True)

    def mark_unread(self, pk: str | int) -> bool:
        """Mark an item as unread; return whether anything was changed. Raises the same errors as `mark_read`."""
        reference = Reference.parse(str(pk))
        if reference is None:
            return self._change(pk, MessageQuerySet.mark_unread)
        if self._must_acknowledge(reference):
            raise MustAcknowledge
        return self._notify_changed(
            Receipt.objects.for_user(self.user).filter(publication_id=reference.id).mark_unread()
        )

    def archive(self, *pks: str | int) -> Marked:
        """Archive items, which marks them as read; return the time for `undo`, and the number of changed items.

        Either all of them are changed or none. Raises NoSuchMessage for items that this user cannot read, and
        MustAcknowledge for those that must still be acknowledged.
        """
        return self.select(*pks).archive()

    def unarchive(self, *pks: str | int) -> Marked:
        """Move items back to the inbox. They remain read. Raises NoSuchMessage like `archive`."""
        return self.select(*pks).unarchive()

    def snooze(self, *pks: str | int, until: datetime) -> Marked:
        """Hide items until a time, at which they appear again as the newest.

        Whether they are read does not change. Raises the same errors as `archive`, and ValueError unless `until` is in
        the future.
        """
        return self.select(*pks).snooze(until)

    def unsnooze(self, *pks: str | int) -> Marked:
        """Show items again at their own time. Raises the same errors as `unarchive`."""
        return self.select(*pks).unsnooze()

    def save(self, *pks: str | int) -> Marked:
        """Save items, which are not purged unless they have expired. Raises the same errors as `unarchive`."""
        return self.select(*pks).save()

    def unsave(self, *pks: str | int) -> Marked:
        """Remove items from the saved ones. Raises the same errors as `unarchive`."""
        return self.select(*pks).unsave()

    def select(self, *pks: str | int) -> Selection:
        """Return items by their `pk`, to change them together. Raises NoSuchMessage if the user cannot read them."""
        references = {pk: Reference.parse(str(pk)) for pk in pks}
        shown = {reference.id: reference for reference in references.values() if reference is not None}
        keys = {str(pk) for pk, reference in references.items() if reference is None}
        if not all(re.fullmatch("[0-9]{1,18}", key) for key in keys):
            raise NoSuchMessage
        messages = messages_of(self.user).published().filter(pk__in=keys)
        if keys and using_primary(messages).count() < len({int(key) for key in keys}):
            raise NoSuchMessage
        if not shown:
            return Selection(self.user, messages, None, None, strict=True)
        readable = self._readable()
        columns = ("pk", "revision", "must_acknowledge", "read_at")
        known = _publications(readable, lambda each: each.filter(pk__in=shown).with_marks().values_list(*columns))
        found = {pk: state for pk, *state in using_primary(known)}
        if any(pk not in found or found[pk][0] < reference.revision for pk, reference in shown.items()):
            raise NoSuchMessage
        revision = Case(*[When(pk=pk, then=Value(each.revision)) for pk, each in shown.items()])
        chosen = _publications(
            readable, lambda each: each.filter(pk__in=shown).annotate(shown=revision).values_list("pk", "shown")
        )
        is_open = any(must_acknowledge and read_at is None for _revision, must_acknowledge, read_at in found.values())
        return Selection(self.user, messages, chosen, None if is_open else chosen, strict=True)

    def select_all(
        self,
        snapshot: UnreadSnapshot | None = None,
        *,
        unread: bool = False,
        level: int | None = None,
        kind: Kind | None = None,
        view: View = "inbox",
        sender: AbstractBaseUser | None = None,
        search: str = "",
    ) -> Selection:
        """Return the items of a filter, to change them together: those in `snapshot`, or without one the current ones.

        Items that must still be acknowledged are neither archived nor snoozed.
        """
        chosen = InboxFilter(unread=unread, level=level, kind=kind, view=view)
        messages, publications = self._seen(chosen, self._values(sender, search), snapshot)
        if not publications:
            return Selection(self.user, messages, None, None)
        every = feed.union_all([each.values_list("pk", "revision") for each in publications])
        done = feed.union_all([each.acknowledged_by(self.user).values_list("pk", "revision") for each in publications])
        return Selection(self.user, messages, every, done)

    def snapshot(
        self,
        *,
        unread: bool = True,
        level: int | None = None,
        kind: Kind | None = None,
        view: View = "inbox",
        sender: AbstractBaseUser | None = None,
        search: str = "",
    ) -> UnreadSnapshot:
        """Return a snapshot of the unread items for `mark_all_read`, or without `unread` of a filter for `select_all`.

        Take it before the page that it belongs to. It is one query.
        """
        chosen = InboxFilter(unread=unread, level=level, kind=kind, view=view)
        values, limit = self._values(sender, search), UnreadSnapshot.LISTED
        rows = compiled.rows(feed.snapshot_rows, values, read_database(), limit=limit, chosen=chosen)
        return UnreadSnapshot.of(rows, values["at"])

    def mark_all_read(
        self,
        snapshot: UnreadSnapshot | None = None,
        *,
        level: int | None = None,
        kind: Kind | None = None,
        view: View = "inbox",
        sender: AbstractBaseUser | None = None,
        search: str = "",
    ) -> Marked:
        """Mark the items in `snapshot` as read, or the current ones, except those that must be acknowledged.

        Messages that were not committed when the snapshot was taken stay unread. The filter is that of `page`. Return
        the time of the change, for `undo`, and the number of changed items: two statements.
        """
        values = self._values(sender, search)
        at = values["at"]
        chosen = InboxFilter(unread=True, level=level, kind=kind, view=view)
        messages, others = self._seen(chosen, values, snapshot)
        publications = [each.filter(must_acknowledge=False).values_list("pk", "revision") for each in others]
        with atomic():
            count = messages.locked_in_pk_order().mark_read(at)
            if publications:
                count += Receipt.objects.write(self.user, feed.union_all(publications), at)
        self._notify_changed(count)
        return Marked(at, count)

    def undo(self, at: datetime) -> int:
        """Undo what `mark_all_read`, archiving, snoozing or saving changed at `at`; return the number of items.

        Earlier receipts are restored. Items that were changed again since are kept, and a message whose key was sent
        again since stays read. Two statements.
        """
        at = clean_datetime("at", at)
        with atomic():
            count = messages_of(self.user).undo(at) + Receipt.objects.restore(self.user, at)
        self._notify_changed(count)
        return count

    def _read(self, pk: str | int, *, acknowledge: bool) -> bool:
        reference = Reference.parse(str(pk))
        if reference is None:
            return self._change(pk, MessageQuerySet.mark_read)
        if self._must_acknowledge(reference) and not acknowledge:
            raise MustAcknowledge
        # The shown revision, which may no longer be the current one.
        shown = _publications(self._readable(), lambda each: _shown(each, reference).values_list("pk", "shown"))
        return self._notify_changed(Receipt.objects.write(self.user, shown, timezone.now()))

    def _change(self, pk: str | int, act: Callable[[MessageQuerySet], int]) -> bool:
        """Change one message. Raises NoSuchMessage unless it is one of this user's."""
        if not re.fullmatch("[0-9]{1,18}", str(pk)):
            raise NoSuchMessage
        own = messages_of(self.user).filter(pk=pk).filter(Q(publish_at=None) | Q(publish_at__lte=timezone.now()))
        changed = act(own)
        if not changed and not using_primary(own).exists():
            raise NoSuchMessage
        return self._notify_changed(changed)

    def _notify_changed(self, changed: int) -> bool:
        """Notify this user's open pages of a change; return whether anything was changed."""
        if changed:
            notify_changed(users=[self.user.pk])
        return changed > 0

    def _must_acknowledge(self, reference: Reference) -> bool:
        """Tell whether this publication must be acknowledged. Raises NoSuchMessage if this user cannot read it."""
        known = _publications(self._readable(), lambda each: _shown(each, reference).values_list("must_acknowledge"))
        # `first` would order the union by a primary key that it does not select.
        found = next(iter(using_primary(known)), None)
        if found is None:
            raise NoSuchMessage
        return bool(found[0])

    def _seen(
        self, chosen: InboxFilter, values: Mapping[str, Any], snapshot: UnreadSnapshot | None
    ) -> tuple[Any, Sequence[Any]]:
        """Return the messages and the querysets of publications in a filter, and in `snapshot` if there is one."""
        found = dict(feed.branches(**values, chosen=chosen))
        messages: Any = found.pop("message", Message.objects.none())
        publications: Sequence[Any] = [*found.values()]
        if snapshot is not None:
            messages = messages.filter(snapshot.seen_messages)
            publications = [each.filter(snapshot.seen_publications) for each in publications]
        return messages, publications

    def _readable(self) -> Branches:
        return feed.branches(**self._values(), chosen=InboxFilter(view="all"))

    def _values(self, sender: AbstractBaseUser | None = None, search: str = "") -> dict[str, Any]:
        # Checked again, because the inbox may be used later in another tenant.
        check_tenant(self.user)
        values = {"user": self.user, "at": timezone.now(), "schema": current_schema()}
        words = SearchWords.of(search)
        return values | ({} if sender is None else {"sender": sender}) | ({} if words is None else words.values)


def unread_counts(keys: Collection[Any], at: datetime | None = None) -> Mapping[Any, int]:
    """Return the `unread_count` of each of the users with these primary keys at `at`, by default now.

    It is one query, or one per user with MEMBERS. Users who do not exist are left out.
    """
    using, model = read_database(), get_user_model()
    shape = {"limit": UNREAD_CAP, "chosen": InboxFilter(unread=True)}
    values = {"user": model(), "at": at or timezone.now(), "schema": current_schema()}
    query = compiled.kept_query(feed.unread_marks, values, using, **shape)
    if query is None:
        people = model._base_manager.using(using).filter(pk__in=keys)
        counts = {
            each.pk: compiled.count(feed.unread_marks, values | {"user": each}, using, **shape) for each in people
        }
    else:
        names = names_of_people(using)
        counting = query.with_column("user", f"person.{names['key']}")
        counts = dict(counting.run({**values, "keys": [*keys]}, COUNT_EACH, **names))
    return {key: min(count, UNREAD_CAP) for key, count in counts.items()}


def banner_rows(values: Mapping[str, Any], limit: int) -> list[tuple[Any, ...]]:
    """Return rows of unread banners, with how many are unread of their kind, and how many of those are banners."""
    using, messages = read_database(), InboxFilter(unread=True, kind="message")
    queries = {
        "newest": compiled.compiled_query(feed.newest_banners, values, using, limit=UNREAD_CAP),
        "unread": compiled.compiled_query(feed.unread_marks, values, using, limit=UNREAD_CAP, chosen=messages),
    }
    with suppress(EmptyResultSet):
        queries["publications"] = compiled.compiled_query(feed.urgent_publications, values, using, limit=limit)
    statement = WITH_PUBLICATIONS if "publications" in queries else BANNERS
    return CompiledQuery.around(statement, **queries).run({**values, "limit": limit})


def messages_of(user: AbstractBaseUser) -> MessageQuerySet:
    """Return all messages to `user` in the current schema. Look up the ids of requests only in these."""
    return Message.objects.for_user(user)


def _publications(readable: Branches, select: Callable[[Any], Any]) -> "QuerySet[Any, Any]":
    union: QuerySet[Any, Any] = select(readable["announcement"]).union(select(readable["broadcast"]), all=True)
    return union


def _shown(publications: Any, reference: Reference) -> Any:
    known = publications.filter(pk=reference.id, revision__gte=reference.revision)
    return known.annotate(shown=Value(reference.revision))


def with_senders(shown: Sequence[Message | FeedItem]) -> Sequence[Message | FeedItem]:
    """Load the senders of all items with one query, or none if no item has a sender."""
    ids = {entry.sender_id for entry in shown if entry.sender_id is not None}
    # From the database of the items, so that a user who was just added is found.
    senders = get_user_model()._default_manager.using(read_database()).in_bulk(ids) if ids else {}
    for entry in shown:
        sender = senders.get(entry.sender_id)
        if isinstance(entry, Message):
            # Not assigned to the field, because the row would lose a sender whom the user model's manager hides.
            Message._meta.get_field("sender").set_cached_value(entry, sender)
        elif entry.sender_id is not None:
            entry.sender = sender
    return shown
