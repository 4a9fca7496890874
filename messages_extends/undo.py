"""What a page carries so that "mark all as read" can be undone: signed, and bound to organisation and user."""

from datetime import datetime
from typing import Any

from django.core.signing import BadSignature, Signer
from django.http import HttpRequest

from messages_extends.inbox import Marked
from messages_extends.tenancy.schemas import schema_of


def token_of(request: HttpRequest, marked: Marked) -> str:
    return _signer(request).sign_object([marked.at.isoformat(), marked.count])


def read_token(request: HttpRequest, token: str) -> Marked | None:
    """Return what `token_of` was given in this organisation for this user; None for anything else."""
    try:
        at, count = _signer(request).unsign_object(token)
    except (BadSignature, ValueError):
        return None
    return Marked(datetime.fromisoformat(at), count)


def _signer(request: HttpRequest) -> Signer:
    user: Any = request.user
    return Signer(salt=f"messages_extends.undo:{schema_of(request)}:{user.pk}")
