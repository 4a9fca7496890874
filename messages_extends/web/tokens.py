"""Signed tokens for "mark all as read" and for undoing it, bound to the tenant and the user."""

from datetime import datetime
from uuid import UUID

from django.core.signing import BadSignature, Signer
from django.http import HttpRequest

from messages_extends.inbox.selection import Marked
from messages_extends.inbox.snapshot import UnreadSnapshot
from messages_extends.tenancy.schemas import schema_of


def undo_token(request: HttpRequest, marked: Marked) -> str:
    return _signer(request, "undo").sign_object([marked.at.isoformat(), marked.count])


def read_undo_token(request: HttpRequest, token: str) -> Marked | None:
    """Return the value of a token by `undo_token` for this tenant and user; None for any other token."""
    try:
        at, count = _signer(request, "undo").unsign_object(token)
    except (BadSignature, ValueError):
        return None
    return Marked(datetime.fromisoformat(at), count)


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
