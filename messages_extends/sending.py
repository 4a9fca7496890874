"""From what the caller says to rows: checked first, then all written or nothing."""

import json
import re
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from django.db import IntegrityError, transaction
from django.utils import timezone, translation
from django.utils.safestring import SafeData
from psycopg.errors import ForeignKeyViolation

from messages_extends.exceptions import RecipientUnavailable
from messages_extends.models import Message
from messages_extends.policy import require_may_message
from messages_extends.rendering import Params


def deliver(
    recipient: Any,
    text: Any,
    level: int,
    *,
    sender: Any = None,
    params: Params = None,
    extra_tags: str = "",
    url: str = "",
    key: str = "",
    expires: datetime | None = None,
) -> None:
    """Save one message for one person of the current organisation.

    `sender` is the person who asks for it, or None: the application itself, which also speaks when one asks for a
    message to oneself.

    With a key nothing is written while the recipient has it unread; an unread one that has expired is replaced.
    Raises what `require_may_message` raises, and ValueError for a text, key, link or tags that cannot be stored; then
    nothing was saved.
    """
    text = _as_stored(text, params)
    message = Message(
        user_id=recipient.pk,
        sender=None if sender == recipient else sender,
        level=level,
        message=text,
        is_safe=isinstance(text, SafeData),
        params=params,
        extra_tags=str(extra_tags or ""),
        url=str(url),
        key=str(key),
        expires=expires,
    )
    require_storable(message)
    require_may_message(sender, recipient)
    _save(message)


def _as_stored(text: Any, params: Params) -> str:
    """Return the text as a str, or as the SafeString it is: in the sender's language, or as msgid if it has params."""
    if params is None:
        return str(text)
    with translation.override(None):
        return str(text)


def require_storable(message: Message) -> None:
    """Raise ValueError, with the allowed values, for what the table or a reader's browser must not get."""
    for name in ("message", "extra_tags", "url", "key"):
        value, limit = getattr(message, name), getattr(Message._meta.get_field(name), "max_length", None)
        require_characters(name, value)
        if limit is not None and len(value) > limit:
            raise ValueError(f"{name} has {len(value)} characters; at most {limit} are allowed.")
    require_params(message.params)
    require_link(message.url)


def require_characters(name: str, value: str) -> None:
    """Raise ValueError for what PostgreSQL cannot store as text: NUL and halves of surrogate pairs."""
    if re.search("[\0\ud800-\udfff]", value):
        raise ValueError(f"{name} contains a NUL character or half of a surrogate pair, which cannot be stored.")


def require_params(params: Any) -> None:
    """Raise ValueError unless `params` is None, or a dictionary or list of what JSON can hold."""
    if params is not None and not isinstance(params, dict | list | tuple):
        raise ValueError(f"params is a {type(params).__name__}: use a dictionary or a list.")
    try:
        text = json.dumps(params, allow_nan=False, ensure_ascii=False)
    except TypeError as error:
        raise ValueError(f"params can hold strings, numbers, true, false and null only: {error}.") from error
    require_characters("params", re.sub(r"(?<!\\)((?:\\\\)*)\\u0000", "\0", text))


def require_link(url: str) -> None:
    """Raise ValueError unless `url` is empty, a path on this site, or an http(s) address."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise ValueError(f"url {url!r} is not a valid address: {error}.") from error
    is_path = not parts.scheme and not parts.netloc
    is_web = parts.scheme in ("http", "https") and bool(parts.netloc)
    if not (is_path or is_web) or any(character in url for character in "\\\t\r\n"):
        raise ValueError(f"url {url!r} is not allowed: use a path on this site (/orders/5/) or an http(s) address.")


def _save(message: Message) -> None:
    try:
        with transaction.atomic():
            _write(message)
    except IntegrityError as error:
        # Recipient or sender was deleted since they were loaded.
        if isinstance(error.__cause__, ForeignKeyViolation):
            raise RecipientUnavailable from error
        raise


def _write(message: Message) -> None:
    if not message.key:
        message.save()
        return
    with_key = Message.objects.filter(user=message.user_id, key=message.key).unread()
    with_key.filter(expires__lte=timezone.now()).delete()
    Message.objects.bulk_create([message], ignore_conflicts=True)
