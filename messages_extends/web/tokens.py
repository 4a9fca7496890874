"""Signed tokens for changes to all that a page showed and for undoing changes, bound to the tenant and the user."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.core.signing import BadSignature, Signer
from django.http import HttpRequest
from django.utils.translation import ngettext

from messages_extends.inbox.selection import Marked
from messages_extends.inbox.snapshot import UnreadSnapshot
from messages_extends.tenancy.schemas import schema_of


@dataclass(frozen=True)
class Undoable:
    """A change to the inbox that can be undone: its time, the number of changed items, and the name of the action."""

    at: datetime
    count: int
    action: str

    @property
    def words(self) -> str:
        """Return the description of a change, with the number of its messages."""
        count = self.count
        texts = {
            "read": ngettext("%(count)s message was marked as read.", "%(count)s messages were marked as read.", count),
            "archive": ngettext("%(count)s message is done.", "%(count)s messages are done.", count),
            "unarchive": ngettext(
                "%(count)s message is in the inbox again.", "%(count)s messages are in the inbox again.", count
            ),
            "snooze": ngettext("%(count)s message was snoozed.", "%(count)s messages were snoozed.", count),
            "unsnooze": ngettext(
                "%(count)s message is no longer snoozed.", "%(count)s messages are no longer snoozed.", count
            ),
            "save": ngettext("%(count)s message was saved.", "%(count)s messages were saved.", count),
            "unsave": ngettext(
                "%(count)s message is no longer saved.", "%(count)s messages are no longer saved.", count
            ),
        }
        return texts[self.action] % {"count": count}


def undo_token(request: HttpRequest, marked: Marked, action: str) -> str:
    return _signer(request, "undo").sign_object([marked.at.isoformat(), marked.count, action])


def read_undo_token(request: HttpRequest, token: str) -> Undoable | None:
    """Return the value of a token by `undo_token` for this tenant and user; None for any other token."""
    try:
        at, count, action = _signer(request, "undo").unsign_object(token)
    except (BadSignature, ValueError):
        return None
    return Undoable(datetime.fromisoformat(at), count, action)


def snapshot_token(request: HttpRequest, snapshot: UnreadSnapshot) -> str:
    times = [None if time is None else time.isoformat() for time in (snapshot.newest, snapshot.before)]
    publications = {pk.hex: revision for pk, revision in snapshot.publications.items()}
    return _signer(request, "snapshot").sign_object([list(snapshot.messages), *times, publications], compress=True)


def read_snapshot_token(request: HttpRequest, token: str) -> UnreadSnapshot | None:
    """Return the value of a token by `snapshot_token` for this tenant and user; None for any other token."""
    try:
        messages, newest, before, publications = _signer(request, "snapshot").unsign_object(token)
    except (BadSignature, ValueError):
        return None
    return UnreadSnapshot(
        messages=messages,
        newest=None if newest is None else datetime.fromisoformat(newest),
        before=None if before is None else datetime.fromisoformat(before),
        publications={UUID(pk): revision for pk, revision in publications.items()},
    )


def _signer(request: HttpRequest, purpose: str) -> Signer:
    return Signer(salt=f"messages_extends.{purpose}:{schema_of(request)}:{request.user.pk}")
