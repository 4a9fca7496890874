"""One user's reading side: messages, announcements and broadcasts of the current organisation.

Whatever a request names is reached through here, so that nobody reads or marks what is not theirs.
"""

import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
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
# What a banner says; the key of a publication holds its revision.
VERSION_FIELDS = (
    *("kind", "pk", "level", "title", "message", "params", "extra_tags", "url", "url_label", "is_safe"),
    "must_acknowledge",
)


class Page(NamedTuple):
    """Some entries, newest first; `next` is what to ask for the page after, "" where this is the last."""

    entries: Sequence[Message | FeedItem]
    next: str


@dataclass(frozen=True)
class Unread:
    """The most urgent banners that are unread, and the numbers of all that is unread, and of the banners among it.

    Messages are counted up to UNREAD_CAP.
    """

    shown: Sequence[Message | FeedItem]
    total: int
    banner_total: int

    @property
    def count(self) -> int:
        """Return what `Inbox.unread_count` returns."""
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
        """Return a short text that is another one once there is anything else to show, in whatever language."""
        said = [[str(getattr(entry, name)) for name in VERSION_FIELDS] for entry in self.shown]
        return blake2b(json.dumps([self.total, said]).encode(), digest_size=8).hexdigest()


class Inbox:
    """What one user can read now in the current organisation.

    Raises WrongTenant if the user object was loaded in another.
    """

    def __init__(self, user: AbstractBaseUser) -> None:
        check_tenant(user)
        self.user = user

    def banners(self) -> list[Message | FeedItem | OrdinaryMessage]:
        """Return what is unread, and "and n more": one query.

        What must be acknowledged comes first, then the level decides, then the time. At most MAX_BANNERS of them; of
        messages only the newest MAX_BANNERS are considered.
        """
        return self.unread().banners

    def unread(self) -> Unread:
        """Return the same, with how many are unread in all, and a word that changes with either: one query."""
        # One at least: a row carries the total of its kind.
        rows = banner_rows(self._values(), max(settings.max_banners, 1))
        found = [as_feed_item(row[:-2], self.user) for row in rows if row[DISPLAY_COLUMN] == Display.BANNER]
        total, banners = (sum(_of_each_kind(rows, column)) for column in (-2, -1))
        # What must be acknowledged first, then by level, then the newest.
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
        """Return `size` entries, newest first, with their senders: two queries at most, however far down.

        `after`: the `next` of another page; `level`: one of the fifteen, which stands for its whole family; `kind`:
        message, announcement or broadcast; `view`: inbox, saved, snoozed, archived or all; `sender`: the person who has
        sent it; `search`: words, each the beginning of one in the title or the text. ValueError, with the allowed
        values, for anything else.
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
        """Return what contains words that begin like each of these, in title or text, as a page of `view`.

        Archived and snoozed items are found as well unless `view` says otherwise. It is `page(search=words)` for those
        who need no other filter. Raises ValueError if there are no words.
        """
        if SearchWords.of(words) is None:
            raise ValueError("words is empty: pass what to search for.")
        return self.page(after, view=view, search=words, size=size)

    def unread_count(self, *, exact: bool = False, level: int | None = None, kind: Kind | None = None) -> int:
        """Return how many are unread, counted up to 100 unless `exact`: one query."""
        chosen = InboxFilter(unread=True, level=level, kind=kind)
        limit = None if exact else UNREAD_CAP
        count = compiled.count(feed.unread_marks, self._values(), read_database(), limit=limit, chosen=chosen)
        return count if exact else min(count, UNREAD_CAP)

    def mark_read(self, pk: str | int) -> bool:
        """Mark one as read; return whether that changed anything.

        NoSuchMessage for what this user cannot read; MustAcknowledge for what `acknowledge` is for.
        """
        return self._read(pk, acknowledge=False)

    def acknowledge(self, pk: str | int) -> bool:
        """Mark one as read that must be acknowledged; any other too."""
        return self._read(pk, acknowledge=True)

    def mark_unread(self, pk: str | int) -> bool:
        """Take the reading of one back; return whether that changed anything. Errors as in `mark_read`."""
        reference = Reference.parse(str(pk))
        if reference is None:
            return self._change(pk, MessageQuerySet.mark_unread)
        if self._must_acknowledge(reference):
            raise MustAcknowledge
        return self._notify_changed(
            Receipt.objects.for_user(self.user).filter(publication_id=reference.id).mark_unread()
        )

    def archive(self, *pks: str | int) -> Marked:
        """Archive items, which marks them as read; return the time for `undo`, and how many were changed.

        Either all of them are changed or none. NoSuchMessage for what this user cannot read; MustAcknowledge for what
        is still to be acknowledged.
        """
        return self.select(*pks).archive()

    def unarchive(self, *pks: str | int) -> Marked:
        """Move items back to the inbox. They remain read. Errors as in `archive`, but for MustAcknowledge."""
        return self.select(*pks).unarchive()

    def snooze(self, *pks: str | int, until: datetime) -> Marked:
        """Hide items until a time, at which they appear again as the newest.

        Whether they are read does not change. Errors as in `archive`; ValueError unless `until` is in the future.
        """
        return self.select(*pks).snooze(until)

    def unsnooze(self, *pks: str | int) -> Marked:
        """Show items again at their own time. Errors as in `unarchive`."""
        return self.select(*pks).unsnooze()

    def save(self, *pks: str | int) -> Marked:
        """Save items, which are not purged while they have not expired. Errors as in `unarchive`."""
        return self.select(*pks).save()

    def unsave(self, *pks: str | int) -> Marked:
        """Remove items from those that are saved. Errors as in `unarchive`."""
        return self.select(*pks).unsave()

    def select(self, *pks: str | int) -> Selection:
        """Return items by their `pk`, to be changed together. Raises NoSuchMessage for what this user cannot read."""
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
        """Return what a filter shows, to be changed together: what `snapshot` saw, or without one what is there now.

        What is still to be acknowledged is neither archived nor snoozed.
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
        """Return what is unread now, for `mark_all_read`, or without `unread` what a filter shows, for `select_all`.

        Take it before the page that it belongs to. One query.
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
        """Mark as read what `snapshot` saw, or without one what is there now; never what must be acknowledged.

        What was still being sent when the snapshot was taken stays unread. The filter narrows it down as it does a
        page. Two statements; return how many they changed, and the time they wrote, which `undo` takes.
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
        """Restore what `mark_all_read`, or archiving, snoozing or saving, changed at `at`; return how many entries.

        Earlier receipts come back too. What has been marked again since stays as it is, and a message whose key has
        been sent again since stays read. Two statements.
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
        # The revision that was shown, which may not be the current one any more.
        shown = _publications(self._readable(), lambda each: _shown(each, reference).values_list("pk", "shown"))
        return self._notify_changed(Receipt.objects.write(self.user, shown, timezone.now()))

    def _change(self, pk: str | int, act: Callable[[MessageQuerySet], int]) -> bool:
        """Change one message; NoSuchMessage if it is none of this user's."""
        if not re.fullmatch("[0-9]{1,18}", str(pk)):
            raise NoSuchMessage
        own = messages_of(self.user).filter(pk=pk).filter(Q(publish_at=None) | Q(publish_at__lte=timezone.now()))
        changed = act(own)
        if not changed and not using_primary(own).exists():
            raise NoSuchMessage
        return self._notify_changed(changed)

    def _notify_changed(self, changed: int) -> bool:
        """Have this user's other pages learn of it; return whether anything was changed."""
        if changed:
            notify_changed(users=[self.user.pk])
        return changed > 0

    def _must_acknowledge(self, reference: Reference) -> bool:
        """Tell whether this publication must be acknowledged; NoSuchMessage if this user cannot read it."""
        known = _publications(self._readable(), lambda each: _shown(each, reference).values_list("must_acknowledge"))
        # Not `first`, which would order the union by a key that it has not selected.
        found = next(iter(using_primary(known)), None)
        if found is None:
            raise NoSuchMessage
        return bool(found[0])

    def _seen(
        self, chosen: InboxFilter, values: Mapping[str, Any], snapshot: UnreadSnapshot | None
    ) -> tuple[Any, Sequence[Any]]:
        """Return the messages and the querysets of publications that a filter shows, and that `snapshot` saw."""
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
        # Here too: an inbox that was kept may be asked in another organisation.
        check_tenant(self.user)
        values = {"user": self.user, "at": timezone.now(), "schema": current_schema()}
        words = SearchWords.of(search)
        return values | ({} if sender is None else {"sender": sender}) | ({} if words is None else words.values)


def unread_counts(keys: Collection[Any], at: datetime | None = None) -> Mapping[Any, int]:
    """Return what `unread_count` says at `at` (now) to each of the people with these primary keys.

    One query, or with MEMBERS one for each; who does not exist is left out.
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
    """Return every message to `user` in the current schema: the only way to reach one by an id from a request."""
    return Message.objects.for_user(user)


def _of_each_kind(rows: Sequence[tuple[Any, ...]], column: int) -> Iterable[int]:
    """Return the greatest number in a column for each kind, as each row of a kind has the number or 0."""
    numbers: dict[str, int] = {}
    for row in rows:
        numbers[row[0]] = max(numbers.get(row[0], 0), row[column])
    return numbers.values()


def _publications(readable: Branches, select: Callable[[Any], Any]) -> "QuerySet[Any, Any]":
    union: QuerySet[Any, Any] = select(readable["announcement"]).union(select(readable["broadcast"]), all=True)
    return union


def _shown(publications: Any, reference: Reference) -> Any:
    known = publications.filter(pk=reference.id, revision__gte=reference.revision)
    return known.annotate(shown=Value(reference.revision))


def with_senders(shown: Sequence[Message | FeedItem]) -> Sequence[Message | FeedItem]:
    """Load the senders of all of them: one query, none where no person has written."""
    ids = {entry.sender_id for entry in shown if entry.sender_id is not None}
    # From where the entries are, so that who has just been added is there too.
    senders = get_user_model()._default_manager.using(read_database()).in_bulk(ids) if ids else {}
    for entry in shown:
        sender = senders.get(entry.sender_id)
        if isinstance(entry, Message):
            # Not assigned: the row would lose a sender whom the user model's own manager hides.
            Message._meta.get_field("sender").set_cached_value(entry, sender)
        elif entry.sender_id is not None:
            entry.sender = sender
    return shown
