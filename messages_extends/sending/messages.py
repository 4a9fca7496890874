"""From what the caller says to rows, one for each recipient: checked first, then all written or nothing."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import connections
from django.db.models.expressions import RawSQL
from django.utils import timezone

from messages_extends.access.guards import require_may_send
from messages_extends.access.rate_limits import check_rate_limit
from messages_extends.constants import INFO_PERSISTENT
from messages_extends.deprecation import log_once
from messages_extends.events.changes import notify_changed
from messages_extends.exceptions import RecipientUnavailable
from messages_extends.models import Announcement, Message, audit
from messages_extends.sending.cleaning import (
    MAX_LEGACY_TEXT,
    MAX_TEXT,
    as_stored,
    clean_content,
    clean_future_datetime,
    clean_legacy_datetime,
)
from messages_extends.sending.constraints import translate_fk_violation
from messages_extends.sending.idempotency import Sent, run_once
from messages_extends.sending.publications import retract_all
from messages_extends.sending.recipients import Recipients
from messages_extends.tenancy.databases import atomic, write_database
from messages_extends.tenancy.origin import require_here
from messages_extends.tenancy.schemas import current_schema, require_messages
from messages_extends.texts.rendering import Params

# In the order of their keys, so that two who send with one key wait for each other and never deadlock.
INSERT_MESSAGES: Final = """
INSERT INTO {messages} ({columns})
SELECT person.{key}, {values} FROM {people} AS person WHERE person.{key} = ANY(CAST(%s AS {type}[]))
ORDER BY person.{key}
ON CONFLICT DO NOTHING
RETURNING {user}
"""

OVER: Final = "expires is in the past (%s): the message was saved but will never be shown. Use a time in the future."
NEVER: Final = "expires is %s, which is too far away to be stored: the message does not expire. Give none instead."
NO_DATETIME: Final = "expires is %r, which was taken for %s. Give a datetime."
LONG_TEXT: Final = (
    "The text of a message has %d characters. It was saved; write at most %d. What is beyond %d is cut off."
)
INACTIVE: Final = "The user with the primary key %s is inactive: they will see the message once they are active again."


def send(
    recipients: Any,
    message: Any,
    *,
    level: int = INFO_PERSISTENT,
    sender: AbstractBaseUser | None = None,
    params: Params = None,
    url: str = "",
    key: str = "",
    extra_tags: str = "",
    expires: datetime | None = None,
) -> int:
    """Write one message to each recipient, all or none; return how many were written.

    `recipients`: a user, a group, an iterable of users, or a queryset of users, which is evaluated anew, once, in the
    current schema. Of a group or queryset those who are inactive are left out; people given one by one have all to be
    there. Who is deleted in the very same moment is left out too.
    `sender`: the person who writes, whom the policy is asked about; None is the application itself. With `key`,
    nothing is written to those who have it unread, and an unread one that has expired is replaced.

    Raises WrongTenant, RecipientUnavailable, PermissionDenied, NoTenant; TooManyMessages for a sender who has sent as
    often as SEND_LIMITS allows; TypeError for recipients that are none; ValueError for a text (1 to 10,000
    characters), link, key, level, tags (128) or time that is not allowed.
    """
    require_messages(current_schema())
    to = Recipients.of(recipients)
    values = clean_content(message, level=level, params=params, url=url, key=key, extra_tags=extra_tags)
    values |= {"expires": None if expires is None else clean_future_datetime("expires", expires)}
    return _save(to, values | {"sender": _other_than(recipients, sender)})


def send_leniently(
    recipient: AbstractBaseUser,
    message: Any,
    *,
    sender: AbstractBaseUser | None = None,
    params: Params = None,
    expires: Any = None,
    **options: Any,
) -> int:
    """Send to one person as django-messages-extends did: for its own interface, where `send` would refuse.

    A time that is over, a long text and an inactive recipient are logged and saved. What the policy refuses is refused.
    """
    require_messages(current_schema())
    to, text = Recipients.of(recipient), as_stored(message, params)
    if len(text) > MAX_TEXT:
        log_once(LONG_TEXT, len(text), MAX_TEXT, MAX_LEGACY_TEXT)
    # What is cut is a plain str, so that half an element is never shown as HTML.
    text = text if len(text) <= MAX_LEGACY_TEXT else text[:MAX_LEGACY_TEXT]
    values = clean_content(text, params=params, max_text=MAX_LEGACY_TEXT, **options)
    values |= {"expires": _clean_legacy_expires(expires), "sender": _other_than(recipient, sender)}
    try:
        return _save(to, values)
    except RecipientUnavailable:
        # Inactive, if this does not raise it again.
        count = _save(Recipients.with_inactive(recipient), values, inactive=True)
        log_once(INACTIVE, recipient.pk)
        return count


def _clean_legacy_expires(value: Any) -> datetime | None:
    if value is None:
        return None
    at = clean_legacy_datetime("expires", value)
    if at is None:
        log_once(NEVER, value)
    elif at <= timezone.now():
        log_once(OVER, at)
    elif not isinstance(value, datetime):
        log_once(NO_DATETIME, value, at)
    return at


def _other_than(recipients: Any, sender: AbstractBaseUser | None) -> AbstractBaseUser | None:
    """Return the sender; None, the application, where somebody asks for a message to themselves."""
    # Before they are compared: the same primary key is somebody else's in another organisation.
    require_here(sender)
    return None if sender == recipients else sender


def send_once(form: UUID, recipients: Any, message: Any, **options: Any) -> Sent:
    """Send what a page's form says, as `send` does, unless this very form has been sent before."""
    return run_once(form, lambda: send(recipients, message, **options))


def cancel(key: str) -> int:
    """Take back what was sent or announced under `key` in this organisation; return how many messages that were.

    Messages that nobody has read are deleted, an announcement is retracted. A broadcast is retracted by `retract`.
    """
    if not key:
        raise ValueError("key is empty: name the one that was given when it was sent.")
    with atomic():
        deleted = Message.objects.filter(key=key).unread().delete_in_order()
        count = len(deleted) + retract_all(Announcement.objects.filter(key=key))
        if count:
            audit.log_event(audit.Action.CANCEL, actor=None, subject=f"messages with the key {key}", count=count)
    notify_changed(users=deleted)
    return count


def _save(to: Recipients, values: Mapping[str, Any], *, inactive: bool = False) -> int:
    values = {**values, "from_person": values["sender"] is not None}
    with translate_fk_violation(), atomic():
        check_rate_limit(values["sender"])
        keys = require_may_send(values["sender"], to.people, exactly=to.exactly, inactive=inactive)
        if values["key"]:
            _delete_expired(keys, values["key"])
        written_to = _insert(keys, values)
        if values["sender"] is not None:
            _record(to, values, len(written_to))
    notify_changed(users=written_to)
    return len(written_to)


def _delete_expired(people: Sequence[Any], key: str) -> None:
    """Delete what has expired unread under this key."""
    column = _column("user").db_type(connections[write_database()])
    # One parameter, however many they are.
    chosen = RawSQL(f"SELECT unnest(CAST(%s AS {column}[]))", [[*people]])  # noqa: S611 - a column's type
    with_key = Message.objects.filter(key=key, expires__lte=timezone.now(), user__in=chosen)
    with_key.unread().delete_in_order()


def _insert(people: Sequence[Any], values: Mapping[str, Any]) -> list[Any]:
    """Write a row for each of the people with these keys; return the keys of those who got one."""
    if not people:
        return []
    connection = connections[write_database()]
    quote = connection.ops.quote_name
    stored = {_column(name): value for name, value in {**values, **_times()}.items()}
    users: Any = get_user_model()._meta
    statement = INSERT_MESSAGES.format(
        messages=quote(Message._meta.db_table),
        columns=", ".join(quote(field.column) for field in (_column("user"), *stored)),
        key=quote(users.pk.column),
        user=quote(_column("user").column),
        type=_column("user").db_type(connection),
        values=", ".join(f"CAST(%s AS {field.db_type(connection)})" for field in stored),
        people=quote(users.db_table),
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [*(_stored(field, value, connection) for field, value in stored.items()), [*people]])
        return [user for (user,) in cursor.fetchall()]


def _column(name: str) -> Any:
    return Message._meta.get_field(name)


def _times() -> dict[str, datetime]:
    now = timezone.now()
    return {"created": now, "modified": now}


def _stored(field: Any, value: Any, connection: Any) -> Any:
    return field.get_db_prep_save(value.pk if isinstance(value, AbstractBaseUser) else value, connection)


def _record(to: Recipients, values: Mapping[str, Any], count: int) -> None:
    what = f"messages with the key {values['key']}" if values["key"] else "messages"
    audit.log_event(
        audit.Action.SEND, actor=values["sender"], subject=what, audience=to.named, count=count, text=values["message"]
    )
