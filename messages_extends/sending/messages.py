"""Send and cancel messages: validate the arguments, then write a row for each recipient in one transaction."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypedDict, Unpack
from uuid import UUID

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import connections
from django.db.models.expressions import RawSQL
from django.utils import timezone
from django.utils.functional import Promise

from messages_extends.access.guards import require_may_send
from messages_extends.access.rate_limits import check_rate_limit
from messages_extends.constants import INFO_PERSISTENT
from messages_extends.deprecation import log_once
from messages_extends.events.changes import notify_changed
from messages_extends.exceptions import RecipientUnavailable
from messages_extends.models import Announcement, Message, audit
from messages_extends.queries.sql import names_of_columns, names_of_people, shape_of, stored_values
from messages_extends.sending.cleaning import (
    MAX_LEGACY_TEXT,
    MAX_TEXT,
    as_stored,
    clean_content,
    clean_datetime,
    clean_future_datetime,
    clean_legacy_datetime,
)
from messages_extends.sending.constraints import translate_fk_violation
from messages_extends.sending.idempotency import Sent, run_once
from messages_extends.sending.publications import retract_all
from messages_extends.sending.recipients import Addressees, Recipients
from messages_extends.sending.single import write_to_one
from messages_extends.sending.sql import INSERT_MESSAGES
from messages_extends.tenancy.databases import atomic, write_database
from messages_extends.tenancy.origin import check_tenant
from messages_extends.tenancy.schemas import current_schema, require_messages
from messages_extends.texts.content import with_title
from messages_extends.texts.rendering import Params

EXPIRES_IN_PAST: Final = (
    "expires is in the past (%s): the message was saved but will never be shown. Use a time in the future."
)
EXPIRES_TOO_LATE: Final = (
    "expires is %s, which is too late to be stored: the message does not expire. Pass None instead."
)
NOT_A_DATETIME: Final = "expires is %r, which was interpreted as %s. Pass a datetime."
LONG_TEXT: Final = (
    "The text of a message has %d characters. It was saved, but at most %d are allowed. It is truncated after %d."
)
INACTIVE: Final = "The user with the primary key %s is inactive: the message is shown when the user is active again."


class Labels(TypedDict, total=False):
    """The keyword arguments about a text's title, the words of its link, and where it is shown."""

    title: str | Promise
    url_label: str | Promise
    display: str | None
    category: str
    group: str


class SendOptions(Labels, total=False):
    """The keyword arguments of `send`, for functions that pass them on."""

    level: int
    sender: AbstractBaseUser | None
    params: Params
    url: str
    key: str
    extra_tags: str
    expires: datetime | None
    publish_at: datetime | None


def send(
    recipients: Addressees | Recipients,
    message: str | Promise,
    *,
    level: int = INFO_PERSISTENT,
    sender: AbstractBaseUser | None = None,
    params: Params = None,
    url: str = "",
    key: str = "",
    extra_tags: str = "",
    expires: datetime | None = None,
    publish_at: datetime | None = None,
    **labels: Unpack[Labels],
) -> int:
    """Send a message to each recipient in one transaction; return the number of messages written.

    `recipients` is a user, a group, an iterable of users, or a queryset of users, which is evaluated once in the
    current schema. Inactive members of a group or queryset are skipped. Users in an iterable must all be active
    members of the tenant. Users who are deleted at the same time are skipped.
    `sender` is the user who writes, for the policy to check; None is the application. With `key`, users who have an
    unread message with this key receive no second one, unless it is snoozed or has expired. The new message replaces
    those and the ones with this key that were archived.
    `publish_at` is the time at which the message appears; by default it appears at once. A message that appears later
    does not replace archived ones.

    `labels` are `title` (at most 200 characters), `url_label` (the words of the link, at most 100), `display` (by
    default "banner"; "inbox" for the bell and the inbox only), `category` (at most 100) and `group` (at most 200).
    Title and url_label are rendered like the text, with `params`.

    Raises WrongTenant, RecipientUnavailable, PermissionDenied and NoTenant; RateLimitExceeded for a sender who exceeds
    SEND_LIMITS; TypeError for invalid recipients; and ValueError for an invalid text (1 to 10,000 characters), link,
    key, level, tags (at most 128 characters), label or time.
    """
    require_messages(current_schema())
    to = Recipients.of(recipients)
    values = clean_content(message, level=level, params=params, url=url, key=key, extra_tags=extra_tags, **labels)
    appears = None if publish_at is None else clean_datetime("publish_at", publish_at)
    values |= {
        "publish_at": appears,
        "expires": None if expires is None else clean_future_datetime("expires", expires, after=appears),
    }
    return _save(to, values | {"sender": _effective_sender(recipients, sender)})


def send_leniently(
    recipient: AbstractBaseUser,
    message: str | Promise,
    *,
    level: int,
    sender: AbstractBaseUser | None = None,
    params: Params = None,
    url: str = "",
    key: str = "",
    extra_tags: str = "",
    expires: object = None,
    publish_at: datetime | None = None,
    **labels: Unpack[Labels],
) -> int:
    """Send to one user with the leniency of django-messages-extends, for its interface.

    A time in the past, a long text and an inactive recipient are logged, and the message is saved. The policy is still
    enforced.
    """
    require_messages(current_schema())
    to, text = Recipients.of(recipient), as_stored(message, params)
    if len(text) > MAX_TEXT:
        log_once(LONG_TEXT, len(text), MAX_TEXT, MAX_LEGACY_TEXT)
    # A truncated text is a plain str, so that an incomplete element is never shown as HTML.
    text = text if len(text) <= MAX_LEGACY_TEXT else text[:MAX_LEGACY_TEXT]
    values = clean_content(
        text, level=level, params=params, url=url, key=key, extra_tags=extra_tags, max_text=MAX_LEGACY_TEXT, **labels
    )
    values |= {"publish_at": None if publish_at is None else clean_datetime("publish_at", publish_at)}
    values |= {"expires": _clean_legacy_expires(expires), "sender": _effective_sender(recipient, sender)}
    try:
        return _save(to, values)
    except RecipientUnavailable:
        # The recipient is inactive, unless this raises the error again.
        count = _save(to, values, inactive=True)
        log_once(INACTIVE, recipient.pk)
        return count


def _clean_legacy_expires(value: object) -> datetime | None:
    if value is None:
        return None
    at = clean_legacy_datetime("expires", value)
    if at is None:
        log_once(EXPIRES_TOO_LATE, value)
    elif at <= timezone.now():
        log_once(EXPIRES_IN_PAST, at)
    elif not isinstance(value, datetime):
        log_once(NOT_A_DATETIME, value, at)
    return at


def _effective_sender(recipients: Addressees | Recipients, sender: AbstractBaseUser | None) -> AbstractBaseUser | None:
    """Return the sender, or None (the application) for a message to the sender alone."""
    # Check before comparing, because a user of another tenant may have the same primary key.
    check_tenant(sender)
    return None if sender == recipients else sender


def send_once(
    form: UUID, recipients: Addressees | Recipients, message: str | Promise, **options: Unpack[SendOptions]
) -> Sent:
    """Send like `send`, unless this form has been submitted before."""
    return run_once(form, lambda: send(recipients, message, **options))


def cancel(key: str) -> int:
    """Cancel what was sent or announced with `key` in the current tenant; return the number of messages.

    Unread messages are deleted, and an announcement is retracted. Use `retract` for broadcasts.
    """
    if not key:
        raise ValueError("key is empty: pass the key with which the message was sent.")
    with atomic():
        deleted = [user for user, _saved_at in Message.objects.filter(key=key).unread().delete_in_order()]
        count = len(deleted) + retract_all(Announcement.objects.filter(key=key))
        if count:
            audit.log_event(audit.Action.CANCEL, actor=None, subject=f"messages with the key {key}", count=count)
    notify_changed(users=deleted)
    return count


def _save(to: Recipients, values: Mapping[str, Any], *, inactive: bool = False) -> int:
    sender = values["sender"]
    values = {**values, "from_person": sender is not None}
    later = values["publish_at"] is not None
    if len(to.keys) == 1 and not inactive:
        (key,) = to.keys
        if write_to_one(key, values, {} if sender is None else _event(to, values, count=1)):
            notify_changed(users=[key], later=later)
            return 1
    with translate_fk_violation(), atomic():
        check_rate_limit(sender)
        people, exactly = (to.keys, len(to.keys)) if to.queryset is None else (to.queryset, None)
        keys = require_may_send(sender, people, exactly=exactly, inactive=inactive)
        saved = _delete_replaced(keys, values["key"], values["publish_at"]) if values["key"] else []
        now = timezone.now()
        written_to = _insert(keys, values, now)
        if saved:
            # A message that replaces a saved one is saved.
            unread: Any = Message.objects.filter(key=values["key"]).unread()
            unread.filter(user__in=saved).update(saved_at=timezone.now())
        if sender is not None:
            # At the time of the messages, by which they find their record.
            audit.log_event(**_event(to, values, count=len(written_to)), at=now)
    notify_changed(users=written_to, later=later)
    return len(written_to)


def _event(to: Recipients, values: Mapping[str, Any], *, count: int) -> dict[str, Any]:
    """Return the arguments of `log_event` for a message of a person."""
    return {
        "action": audit.Action.SEND,
        "actor": values["sender"],
        "subject": f"messages with the key {values['key']}" if values["key"] else "messages",
        "audience": to.description,
        "count": count,
        "text": with_title(values["title"], values["message"]),
    }


def _delete_replaced(people: Sequence[object], key: str, publish_at: datetime | None) -> list[object]:
    """Delete the messages that a new one with this key replaces; return the keys of users who had saved theirs."""
    now = timezone.now()
    # One parameter for any number of users.
    column = _user_column().db_type(connections[write_database()])
    chosen = RawSQL(f"SELECT unnest(CAST(%s AS {column}[]))", [[*people]])  # noqa: S611 - a column's type
    replaced = Message.objects.filter(user__in=chosen).replaceable(key, now)
    if publish_at is not None and publish_at > now:
        # The new message is not shown yet, so archived ones are kept.
        replaced = replaced.unread()
    return [user for user, saved_at in replaced.delete_in_order() if saved_at is not None]


def _insert(people: Sequence[object], values: Mapping[str, Any], now: datetime) -> list[object]:
    """Insert a message for each of the users with these keys; return the keys of those who received one."""
    if not people:
        return []
    using = write_database()
    values = {**values, "created": now, "modified": now}
    shape = shape_of(values)
    statement = INSERT_MESSAGES.format(
        **names_of_columns(Message, shape, using),
        **names_of_people(using),
        user=connections[using].ops.quote_name(_user_column().column),
    )
    with connections[using].cursor() as cursor:
        cursor.execute(statement, stored_values(Message, values, shape, using) | {"keys": [*people]})
        return [user for (user,) in cursor.fetchall()]


def _user_column() -> Any:
    # In Django's stubs a field may be a reverse relation, and its column None.
    return Message._meta.get_field("user")
