"""What everybody must see and may do, said again in plain Python and without a database.

The application is held against it, so it shares nothing with it: no code, no query, no words of its errors.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

# A user, a group, or everybody: ("user", 1), ("group", 2), EVERYBODY.
Who = tuple[str, int]
EVERYBODY: Who = ("everybody", 0)

WRITE_TO_ALL = "people.send_message"
WRITE_TO_GROUPS = "auth.send_group_message"
ANNOUNCE = "messages_extends.add_announcement"
CHANGE_ANNOUNCEMENTS = "messages_extends.change_announcement"
BROADCAST = "broadcasts.add_broadcast"
CHANGE_BROADCASTS = "broadcasts.change_broadcast"
PERMISSIONS = (WRITE_TO_ALL, WRITE_TO_GROUPS, ANNOUNCE, CHANGE_ANNOUNCEMENTS, BROADCAST, CHANGE_BROADCASTS)

Seen = tuple[str, str, bool]


@dataclass
class Marks:
    """What a person has done with a message or publication, and what it was before the last change at `changed_at`."""

    is_archived: bool = False
    is_snoozed: bool = False
    is_saved: bool = False
    changed_at: Any = None
    previous: tuple[bool, bool, bool] = (False, False, False)

    def change(self, act: str, at: Any) -> bool:
        before = (self.is_archived, self.is_snoozed, self.is_saved)
        if act == "snooze":
            self.is_archived, self.is_snoozed = False, True
        else:
            name = {"archive": "is_archived", "save": "is_saved", "snooze": "is_snoozed"}[act.removeprefix("un")]
            wanted = not act.startswith("un")
            if getattr(self, name) == wanted:
                return False
            setattr(self, name, wanted)
        self.changed_at, self.previous = at, before
        return True

    def restore(self, at: Any) -> bool:
        if self.changed_at is None or self.changed_at != at:
            return False
        self.is_archived, self.is_snoozed, self.is_saved = self.previous
        self.changed_at = None
        return True

    def unread(self) -> None:
        """What is unread is in the inbox again."""
        self.is_archived, self.changed_at = False, None

    def shown_in(self, view: str, *, is_snoozed: bool, is_archived: bool) -> bool:
        return {
            "inbox": not is_archived and not is_snoozed,
            "saved": self.is_saved,
            "snoozed": is_snoozed and not is_archived,
            "archived": is_archived,
            "all": True,
        }[view]


@dataclass
class OracleMessage:
    """A message to one person."""

    id: int
    user: int
    text: str
    key: str
    level: int
    read_at: Any = None
    is_expired: bool = False
    is_scheduled: bool = False
    marks: Marks = field(default_factory=Marks)

    @property
    def is_put_away(self) -> bool:
        """Whether a new message with the same key replaces this one."""
        return self.marks.is_archived or (self.read_at is None and (self.is_expired or self.marks.is_snoozed))

    def is_in(self, view: str) -> bool:
        if self.is_expired or self.is_scheduled:
            return False
        return self.marks.shown_in(view, is_snoozed=self.marks.is_snoozed, is_archived=self.marks.is_archived)


@dataclass
class Receipt:
    revision: int
    read_at: Any
    earlier: "tuple[int, Any] | None" = None


@dataclass
class OraclePublication:
    """A publication. `to` is None for everybody; `sender` is nobody's number once that person is gone."""

    kind: Literal["announcement", "broadcast"]
    id: Any
    text: str
    to: "set[Any] | None"
    key: str
    level: int
    must_acknowledge: bool
    sender: int | None = None
    state: Literal["scheduled", "live", "expired", "retracted"] = "live"
    revision: int = 1
    receipts: dict[tuple[str, int], Receipt] = field(default_factory=dict)
    marks: dict[tuple[str, int], Marks] = field(default_factory=dict)

    @property
    def has_ended(self) -> bool:
        return self.state in ("expired", "retracted")

    def is_read_by(self, schema: str, user: int) -> bool:
        receipt = self.receipts.get((schema, user))
        return receipt is not None and receipt.revision >= self.revision

    def read(self, schema: str, user: int, revision: int, at: Any) -> bool:
        there = self.receipts.get((schema, user))
        if there is not None and there.revision >= revision:
            return False
        earlier = None if there is None else (there.revision, there.read_at)
        self.receipts[schema, user] = Receipt(revision, at, earlier)
        self.marks_of(schema, user).is_archived = False
        return True

    def marks_of(self, schema: str, user: int) -> Marks:
        return self.marks.setdefault((schema, user), Marks())

    def is_in(self, view: str, schema: str, user: int) -> bool:
        marks, is_read = self.marks_of(schema, user), self.is_read_by(schema, user)
        is_snoozed = marks.is_snoozed and (is_read or not self.must_acknowledge)
        return marks.shown_in(view, is_snoozed=is_snoozed, is_archived=marks.is_archived and is_read)

    def unread(self, schema: str, user: int) -> bool:
        if self.receipts.pop((schema, user), None) is None:
            return False
        self.marks_of(schema, user).unread()
        return True

    def undo(self, schema: str, user: int, at: Any) -> bool:
        restored = self.marks_of(schema, user).restore(at)
        return self.take_back(schema, user, at) or restored

    def take_back(self, schema: str, user: int, at: Any) -> bool:
        there = self.receipts.get((schema, user))
        if there is None or there.read_at != at or self.marks_of(schema, user).is_archived:
            return False
        if there.earlier is None:
            del self.receipts[schema, user]
        else:
            self.receipts[schema, user] = Receipt(*there.earlier)
        return True


@dataclass
class Person:
    is_active: bool = True
    is_superuser: bool = False


@dataclass
class Organisation:
    schema: str
    people: dict[int, Person] = field(default_factory=dict)
    groups: dict[int, set[int]] = field(default_factory=dict)
    grants: set[tuple[Who, Who]] = field(default_factory=set)
    permissions: set[tuple[Who, str]] = field(default_factory=set)
    letters: list[OracleMessage] = field(default_factory=list)
    papers: list[OraclePublication] = field(default_factory=list)

    # People ---------------------------------------------------------------------------------------------------------

    def active(self, people: Iterable[int]) -> set[int]:
        return {each for each in people if each in self.people and self.people[each].is_active}

    def hats(self, user: int) -> set[Who]:
        """Return as what a person holds grants: as themselves, and as a member of each of their groups."""
        return {("user", user)} | {("group", group) for group, members in self.groups.items() if user in members}

    def forget(self, who: Who) -> None:
        """Take away all that hung on a person or group that is gone."""
        self.grants = {grant for grant in self.grants if who not in grant}
        self.permissions = {(holder, each) for holder, each in self.permissions if holder != who}

    # Who may --------------------------------------------------------------------------------------------------------

    def holds(self, user: int, permission: str) -> bool:
        person = self.people[user]
        by_grant = any((hat, permission) in self.permissions for hat in self.hats(user))
        return person.is_active and (person.is_superuser or by_grant)

    def may_write_to_group(self, sender: int, group: int) -> bool:
        everywhere = self.holds(sender, WRITE_TO_ALL) or self.holds(sender, WRITE_TO_GROUPS)
        return everywhere or any((hat, ("group", group)) in self.grants for hat in self.hats(sender))

    def may_write_to(self, sender: int, user: int) -> bool:
        if not self.people[sender].is_active:
            return False
        if sender == user or self.holds(sender, WRITE_TO_ALL):
            return True
        if any((hat, ("user", user)) in self.grants for hat in self.hats(sender)):
            return True
        return any(user in members and self.may_write_to_group(sender, each) for each, members in self.groups.items())

    def may_announce(self, sender: int, to: set[int] | None) -> bool:
        if not self.people[sender].is_active:
            return False
        if self.holds(sender, ANNOUNCE):
            return to is None or bool(to)
        return bool(to) and all(self.may_write_to_group(sender, group) for group in to or ())

    def may_change(self, sender: int, paper: OraclePublication) -> bool:
        own = paper.sender == sender and self.may_announce(sender, paper.to)
        return self.holds(sender, CHANGE_ANNOUNCEMENTS) or own


def contains(text: str, words: str) -> bool:
    """Return whether each of `words` is the beginning of a word in `text`."""
    return all(any(each.startswith(word) for each in text.lower().split()) for word in words.lower().split())


@dataclass
class OracleState:
    organisations: dict[str, Organisation]
    broadcasts: list[OraclePublication] = field(default_factory=list)

    def papers_for(self, schema: str, user: int, view: str = "all") -> list[OraclePublication]:
        """Return the publications that a person can read now, in a view of their inbox."""
        here = self.organisations[schema]
        groups = {group for group, members in here.groups.items() if user in members}
        announced = [each for each in here.papers if each.to is None or each.to & groups]
        broadcast = [each for each in self.broadcasts if each.to is None or schema in each.to]
        live = [each for each in announced + broadcast if each.state == "live"]
        return [each for each in live if each.is_in(view, schema, user)]

    def letters_to(self, schema: str, user: int, view: str = "all") -> list[OracleMessage]:
        """Return the messages that a person can read now, in a view of their inbox."""
        return [each for each in self.organisations[schema].letters if each.user == user and each.is_in(view)]

    def seen_by(self, schema: str, user: int, view: str = "inbox") -> list[Seen]:
        """Return kind, text and whether it is read, of all that a person sees, in any order that is sorted."""
        return self.as_seen(schema, user, [*self.letters_to(schema, user, view), *self.papers_for(schema, user, view)])

    def as_seen(self, schema: str, user: int, items: "Iterable[OracleMessage | OraclePublication]") -> list[Seen]:
        return sorted(
            (each.kind, each.text, each.is_read_by(schema, user))
            if isinstance(each, OraclePublication)
            else ("message", each.text, each.read_at is not None)
            for each in items
        )

    def is_to_acknowledge(self, schema: str, user: int, item: "OracleMessage | OraclePublication") -> bool:
        return isinstance(item, OraclePublication) and item.must_acknowledge and not item.is_read_by(schema, user)

    def levels_of(self, schema: str, user: int) -> dict[str, int]:
        everything: list[Any] = [*self.letters_to(schema, user), *self.papers_for(schema, user)]
        return {each.text: each.level for each in everything}

    def read_all(self, schema: str, user: int, at: Any, view: str = "inbox", words: str = "") -> int:
        found = [each for each in self.letters_to(schema, user, view) if contains(each.text, words)]
        unread = [each for each in found if each.read_at is None]
        for letter in unread:
            letter.read_at = at
        shown = [each for each in self.papers_for(schema, user, view) if contains(each.text, words)]
        papers = [each for each in shown if not each.must_acknowledge]
        return len(unread) + sum(paper.read(schema, user, paper.revision, at) for paper in papers)

    def undo(self, schema: str, user: int, at: Any) -> int:
        here = self.organisations[schema]
        count = 0
        own = [each for each in here.letters if each.user == user]
        count += sum(self.unread(schema, each) for each in own if each.read_at == at and not each.marks.is_archived)
        restored = [each for each in own if each.marks.restore(at)]
        for letter in own if restored else []:
            if letter.read_at == at and not letter.marks.is_archived:
                self.unread(schema, letter)
        return count + len(restored) + sum(paper.undo(schema, user, at) for paper in [*here.papers, *self.broadcasts])

    def triage(
        self, schema: str, user: int, chosen: "Iterable[OracleMessage | OraclePublication]", act: str, at: Any
    ) -> int:
        """Archive, snooze or save; return how many that changed."""
        count = 0
        for each in chosen:
            if isinstance(each, OraclePublication):
                if act == "archive":
                    each.read(schema, user, each.revision, at)
                count += each.marks_of(schema, user).change(act, at)
            elif each.marks.change(act, at):
                count += 1
                each.read_at = (each.read_at or at) if act == "archive" else each.read_at
        return count

    def unread(self, schema: str, letter: OracleMessage) -> bool:
        """Mark a message as unread; not if it is, nor if the same news has been sent again and is unread."""
        again = any(
            letter.key and each.key == letter.key and each.user == letter.user and each.read_at is None
            for each in self.organisations[schema].letters
        )
        if letter.read_at is None or again:
            return False
        letter.read_at = None
        letter.marks.unread()
        return True
