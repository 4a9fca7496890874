"""Change events: which users' open pages are out of date. They are published after the transaction commits."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextvars import ContextVar
from typing import Final, NamedTuple, Self

from django.conf import settings
from django.contrib.auth.signals import user_logged_out
from django.db import connections, transaction
from django.db.models import Model
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils.crypto import salted_hmac

from messages_extends.events.bus import current_bus
from messages_extends.tenancy.databases import note_write, write_database
from messages_extends.tenancy.schemas import current_schema, users_are_shared

# The bytes of a text without its keys: braces, names and a schema of 63 characters as JSON.
OVERHEAD_BYTES: Final = 600
KEY_FIELDS: Final = ("users", "groups", "sessions", "accounts")

# `json.dumps` makes an encoder at each call that differs from its defaults.
_encode: Final = json.JSONEncoder(separators=(",", ":")).encode
_changes: ContextVar[int] = ContextVar("messages_extends.events.changes", default=0)


class ChangeEvent(NamedTuple):
    """A change that concerns users, the members of groups, or everybody in one tenant or in all.

    It may also say that sessions have ended or accounts have changed, so that streams may have to end. Primary keys are
    strings, because user models have keys of different types.
    """

    # None for all tenants.
    schema: str | None
    users: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    everyone: bool = False
    # Fingerprints: a session key would allow whoever reads it to log in.
    sessions: frozenset[str] = frozenset()
    accounts: frozenset[str] = frozenset()
    # Whether something has changed that appears later, so that a refresh must be scheduled.
    later: bool = False

    def texts(self, limit: int) -> Iterator[str]:
        """Yield the event as one or more texts of at most `limit` bytes."""
        if self.everyone:
            yield _text(schema=self.schema, everyone=True)
        later = {"later": True} if self.later else {}
        for name in KEY_FIELDS:
            for part in _split(sorted(getattr(self, name)), limit - OVERHEAD_BYTES):
                yield _text(**{"schema": self.schema, name: part, **later})

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the event of a text that `texts` yielded. Raises ValueError for any other text."""
        data = json.loads(text)
        if not isinstance(data, dict) or not data.keys() <= {"schema", "everyone", "later", *KEY_FIELDS}:
            raise ValueError(f"{text[:200]!r} is not a change event.")
        schema = data.get("schema", "")
        if not (schema is None or (isinstance(schema, str) and schema)):
            raise ValueError(f"{text[:200]!r} does not name a schema.")
        keys = {name: data.get(name, []) for name in KEY_FIELDS}
        for name, given in keys.items():
            if not isinstance(given, list) or not all(isinstance(key, str) for key in given):
                raise ValueError(f"{name} of a change event must be a list of strings, not {given!r:.100}.")
        key_sets = {name: frozenset(given) for name, given in keys.items()}
        return cls(schema, everyone=data.get("everyone") is True, later=data.get("later") is True, **key_sets)


def notify_changed(
    *, users: Iterable[object] = (), groups: Iterable[object] = (), everyone: bool = False, later: bool = False
) -> None:
    """Notify open pages of the current tenant of a change after the transaction commits.

    `users` and `groups` are primary keys. With `later` something of the users appears later, of which their pages are
    notified then. Call it where the change is made, because the schema may be a different one
    at the end of the transaction.
    """
    event = ChangeEvent(current_schema(), _key_texts(users), _key_texts(groups), everyone, later=later)
    if event.users or event.groups or event.everyone:
        _on_commit([event])


def notify_changed_everywhere(schemas: Iterable[str] | None = None) -> None:
    """Notify open pages of these tenants, or of all tenants; see `notify_changed`."""
    _on_commit([ChangeEvent(schema, everyone=True) for schema in ([None] if schemas is None else schemas)])


def fingerprint(session_key: str) -> str:
    """Return a hash that identifies a session on the bus."""
    return salted_hmac("messages_extends.push.session", session_key, algorithm="sha256").hexdigest()


# Streams end when their session ends, or when the user is deactivated, deleted or changes the password. Changes
# without a signal, such as those by `update()`, are found by the hub's periodic check.
@receiver(user_logged_out)
def _end_streams_of_session(request: HttpRequest | None, **_signal: object) -> None:
    key = getattr(getattr(request, "session", None), "session_key", None)
    if key:
        # In all tenants: a shared session may be used in several.
        _on_commit([ChangeEvent(None, sessions=frozenset({fingerprint(key)}))])


@receiver((post_save, post_delete), sender=settings.AUTH_USER_MODEL)
def _review_streams_of_user(
    instance: Model, created: bool = False, update_fields: Iterable[str] | None = None, **_signal: object
) -> None:
    # A login updates last_login, which does not affect open streams.
    if created or (update_fields is not None and set(update_fields) <= {"last_login"}):
        return
    _on_commit([ChangeEvent(None if users_are_shared() else current_schema(), accounts=_key_texts([instance.pk]))])


def change_counter() -> int:
    """Return a counter that increases when this thread or task changes what users may read."""
    return _changes.get()


class PendingEvents:
    """The change events that a transaction publishes when it commits, in one statement."""

    def __init__(self, events: Sequence[ChangeEvent]) -> None:
        self.events = list(events)
        self.is_published = False

    def publish(self) -> None:
        self.is_published = True
        bus = current_bus()
        if bus is not None:
            bus.publish(list(dict.fromkeys(text for event in self.events for text in event.texts(bus.limit))))


def _on_commit(events: Sequence[ChangeEvent]) -> None:
    if not events:
        return
    if any(event.users or event.groups or event.everyone for event in events):
        _changes.set(_changes.get() + 1)
    note_write()
    if current_bus() is None:
        return
    connection = connections[write_database()]
    savepoints, last, *_robust = connection.run_on_commit[-1] if connection.run_on_commit else (None, None)
    waiting = getattr(last, "__self__", None)
    # A loop that sends a thousand messages in one transaction publishes once. Events are combined only if they are
    # rolled back by the same savepoints.
    if isinstance(waiting, PendingEvents) and not waiting.is_published and savepoints == set(connection.savepoint_ids):
        waiting.events.extend(events)
    elif connection.in_atomic_block or connection.get_autocommit():
        # Robust: an error of the bus does not affect what has been committed.
        transaction.on_commit(PendingEvents(events).publish, using=connection.alias, robust=True)


def _text(**data: object) -> str:
    return _encode(data)


def _split(keys: Sequence[str], limit: int) -> Iterator[list[str]]:
    part: list[str] = []
    size = 0
    for key in keys:
        # The size in JSON: ASCII, with quotes and a comma.
        size += len(json.dumps(key)) + 1
        if part and size > limit:
            yield part
            part, size = [], len(json.dumps(key)) + 1
        part.append(key)
    if part:
        yield part


def _key_texts(keys: Iterable[object]) -> frozenset[str]:
    given = list(keys)
    for key in given:
        if isinstance(key, Model):
            raise TypeError(f"Expected a primary key, got {key!r}: pass user.pk, for example.")
    return frozenset(str(key) for key in given)
