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
class Letter:
    """A message to one person."""

    id: int
    user: int
    text: str
    key: str
    level: int
    read_at: Any = None
    is_expired: bool = False


@dataclass
class Receipt:
    revision: int
    read_at: Any
    earlier: "tuple[int, Any] | None" = None


@dataclass
class Paper:
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
        return True

    def take_back(self, schema: str, user: int, at: Any) -> bool:
        there = self.receipts.get((schema, user))
        if there is None or there.read_at != at:
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
    letters: list[Letter] = field(default_factory=list)
    papers: list[Paper] = field(default_factory=list)

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

    def may_change(self, sender: int, paper: Paper) -> bool:
        own = paper.sender == sender and self.may_announce(sender, paper.to)
        return self.holds(sender, CHANGE_ANNOUNCEMENTS) or own


@dataclass
class World:
    organisations: dict[str, Organisation]
    broadcasts: list[Paper] = field(default_factory=list)

    def papers_for(self, schema: str, user: int) -> list[Paper]:
        """Return the publications that a person can read now."""
        here = self.organisations[schema]
        groups = {group for group, members in here.groups.items() if user in members}
        announced = [each for each in here.papers if each.to is None or each.to & groups]
        broadcast = [each for each in self.broadcasts if each.to is None or schema in each.to]
        return [each for each in announced + broadcast if each.state == "live"]

    def letters_to(self, schema: str, user: int) -> list[Letter]:
        """Return the messages that a person can read now."""
        return [each for each in self.organisations[schema].letters if each.user == user and not each.is_expired]

    def seen_by(self, schema: str, user: int) -> list[Seen]:
        """Return kind, text and whether it is read, of all that a person sees, in any order that is sorted."""
        letters = [("message", each.text, each.read_at is not None) for each in self.letters_to(schema, user)]
        papers = [(each.kind, each.text, each.is_read_by(schema, user)) for each in self.papers_for(schema, user)]
        return sorted([*letters, *papers])

    def levels_of(self, schema: str, user: int) -> dict[str, int]:
        everything: list[Any] = [*self.letters_to(schema, user), *self.papers_for(schema, user)]
        return {each.text: each.level for each in everything}

    def read_all(self, schema: str, user: int, at: Any) -> int:
        unread = [each for each in self.letters_to(schema, user) if each.read_at is None]
        for letter in unread:
            letter.read_at = at
        papers = [each for each in self.papers_for(schema, user) if not each.must_acknowledge]
        return len(unread) + sum(paper.read(schema, user, paper.revision, at) for paper in papers)

    def undo(self, schema: str, user: int, at: Any) -> int:
        here = self.organisations[schema]
        count = 0
        for letter in [each for each in here.letters if each.user == user and each.read_at == at]:
            count += self.unread(schema, letter)
        for paper in [*here.papers, *self.broadcasts]:
            count += paper.take_back(schema, user, at)
        return count

    def unread(self, schema: str, letter: Letter) -> bool:
        """Mark a message as unread; not if it is, nor if the same news has been sent again and is unread."""
        again = any(
            letter.key and each.key == letter.key and each.user == letter.user and each.read_at is None
            for each in self.organisations[schema].letters
        )
        if letter.read_at is None or again:
            return False
        letter.read_at = None
        return True
