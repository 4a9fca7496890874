"""Assertions for the tests of a host project: what was sent, to whom, in the organisation that is current then.

With pytest, ask for the fixture `sent_messages`: it is installed with this package.
"""

from collections.abc import Iterator
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser

from messages_extends.api import Inbox
from messages_extends.constants import base_level
from messages_extends.entries import Entry, Kind
from messages_extends.models import Announcement, Message

SHOWN = 5


def sent_to(user: AbstractBaseUser) -> list[Message | Entry]:
    """Return all that `user` can read in the current organisation, oldest first; WrongTenant if from another."""
    return list(reversed(list(_entries(user))))


def assert_sent_to(
    user: AbstractBaseUser,
    text: str | None = None,
    *,
    level: int | None = None,
    kind: Kind | None = None,
    count: int | None = None,
) -> list[Message | Entry]:
    """Return what `user` can read of this text (as it is rendered), level and kind; AssertionError if there is none.

    `level` stands for its family: INFO finds what was sent as INFO_PERSISTENT. With `count` there have to be exactly
    so many.
    """
    entries = sent_to(user)
    found = [entry for entry in entries if _fits(entry, text, level, kind)]
    if not found if count is None else len(found) != count:
        wanted = "a message" if count is None else f"{count} messages"
        raise AssertionError(f"{user} was to be sent {wanted}{_described(text, level, kind)}, but {_told(entries)}.")
    return found


def assert_nothing_sent(user: AbstractBaseUser | None = None) -> None:
    """Raise AssertionError if `user` can read anything; without one, if anything was sent or announced here at all."""
    if user is not None:
        assert_sent_to(user, count=0)
        return
    written = [*Message.objects.newest_first()[: SHOWN + 1], *Announcement.objects.newest_first()[: SHOWN + 1]]
    if written:
        raise AssertionError(f"Nothing was to be sent, but {_told(written)}.")


def _entries(user: AbstractBaseUser) -> Iterator[Message | Entry]:
    inbox, after = Inbox(user), ""
    while True:
        page = inbox.page(after, size=100)
        yield from page.entries
        after = page.next
        if not after:
            return


def _fits(entry: Message | Entry, text: str | None, level: int | None, kind: Kind | None) -> bool:
    return (
        text in {None, str(entry)}
        and (level is None or base_level(level) == base_level(entry.level))
        and kind in {None, entry.kind}
    )


def _described(text: Any, level: Any, kind: Any) -> str:
    conditions = {"text": text, "level": level, "kind": kind}
    given = [f"{name} {value!r}" for name, value in conditions.items() if value is not None]
    return f" with {' and '.join(given)}" if given else ""


def _told(entries: list[Any]) -> str:
    if not entries:
        return "there is none"
    texts = ", ".join(repr(str(entry)) for entry in entries[:SHOWN])
    return f"there is {texts}{' and more' if len(entries) > SHOWN else ''}"
