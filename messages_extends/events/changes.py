"""Hints: whose open pages have something new. They are published once the transaction has committed, and only then."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, Self

from django.contrib.auth import get_user_model
from django.contrib.auth.signals import user_logged_out
from django.db import connections, transaction
from django.db.models import Model
from django.db.models.signals import post_delete, post_save
from django.http import HttpRequest
from django.utils.crypto import salted_hmac

from messages_extends.events.bus import current_bus
from messages_extends.tenancy.databases import note_write, write_database
from messages_extends.tenancy.schemas import current_schema, users_are_shared

# What is left of a text's limit once all but the keys is written: braces, names, a schema of 63 characters as JSON.
OVERHEAD_BYTES: Final = 600
KEY_FIELDS: Final = ("users", "groups", "sessions", "accounts")

_changes: ContextVar[int] = ContextVar("messages_extends.events.changes", default=0)


@dataclass(frozen=True)
class ChangeEvent:
    """Something has changed for these people, these groups' members, or everybody in the organisation, or anywhere.

    Or sessions have ended, or the accounts of these people have changed, so that their streams may have to end. Keys
    are texts: whatever a user model's primary key is, it can be written so.
    """

    # None: in every organisation.
    schema: str | None
    users: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    everyone: bool = False
    # Fingerprints: a key would let whoever reads it in.
    sessions: frozenset[str] = frozenset()
    accounts: frozenset[str] = frozenset()

    def texts(self, limit: int) -> Iterator[str]:
        """Yield it as texts of at most `limit` bytes, several where it names many."""
        if self.everyone:
            yield _text(schema=self.schema, everyone=True)
        for name in KEY_FIELDS:
            for part in _parts(sorted(getattr(self, name)), limit - OVERHEAD_BYTES):
                yield _text(**{"schema": self.schema, name: part})

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `texts` has written; ValueError for anything else that somebody may have published."""
        said = json.loads(text)
        if not isinstance(said, dict) or not said.keys() <= {"schema", "everyone", *KEY_FIELDS}:
            raise ValueError(f"{text[:200]!r} is not a change event.")
        schema = said.get("schema", "")
        if not (schema is None or (isinstance(schema, str) and schema)):
            raise ValueError(f"{text[:200]!r} names no schema.")
        return cls(schema, everyone=said.get("everyone") is True, **{name: _keys(said, name) for name in KEY_FIELDS})


def notify_changed(*, users: Iterable[object] = (), groups: Iterable[object] = (), everyone: bool = False) -> None:
    """Tell open pages of the current organisation, once the transaction commits, that something has changed.

    `users`, `groups`: primary keys. It is called where the change is made, because the schema may be another one when
    the transaction ends.
    """
    event = ChangeEvent(current_schema(), _as_keys(users), _as_keys(groups), everyone)
    if event.users or event.groups or event.everyone:
        _on_commit([event])


def notify_changed_everywhere(schemas: Iterable[str] | None = None) -> None:
    """Tell the open pages of these organisations, or of all; see `notify_changed`."""
    _on_commit([ChangeEvent(schema, everyone=True) for schema in ([None] if schemas is None else schemas)])


def connect_signals() -> None:
    """Have streams end at once when their session ends, or their person is deactivated, deleted or changes a password.

    What Django sends no signal of, such as `update()`, is found at the next look at who may stay.
    """
    user_logged_out.connect(_end_streams_of_session, dispatch_uid="messages_extends.events")
    for signal in (post_save, post_delete):
        signal.connect(_review_streams_of, sender=get_user_model(), dispatch_uid="messages_extends.events")


def fingerprint(session_key: str) -> str:
    """Return what stands for a session on the bus."""
    return salted_hmac("messages_extends.push.session", session_key, algorithm="sha256").hexdigest()


def _end_streams_of_session(request: HttpRequest | None, **_signal: object) -> None:
    key = getattr(getattr(request, "session", None), "session_key", None)
    if key:
        # Everywhere: with shared sessions it was one of several organisations.
        _on_commit([ChangeEvent(None, sessions=frozenset({fingerprint(key)}))])


def _review_streams_of(
    instance: Model, created: bool = False, update_fields: Iterable[str] | None = None, **_signal: object
) -> None:
    # Logging in writes the time of it, and changes nobody's right to stay.
    if created or (update_fields is not None and set(update_fields) <= {"last_login"}):
        return
    _on_commit([ChangeEvent(None if users_are_shared() else current_schema(), accounts=_as_keys([instance.pk]))])


def change_counter() -> int:
    """Return a number that is another one once this thread, task or command has changed what anybody may read."""
    return _changes.get()


class PendingEvents:
    """What a transaction has to publish when it commits: several change events in one statement."""

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
    # A loop that sends a thousand times in one transaction publishes once. Only what dies with the same savepoints
    # can go together.
    if isinstance(waiting, PendingEvents) and not waiting.is_published and savepoints == set(connection.savepoint_ids):
        waiting.events.extend(events)
    elif connection.in_atomic_block or connection.get_autocommit():
        # Robust: what has been committed stands, whether anybody hears of it or not.
        transaction.on_commit(PendingEvents(events).publish, using=connection.alias, robust=True)


def _text(**said: object) -> str:
    return json.dumps(said, separators=(",", ":"))


def _parts(keys: Sequence[str], limit: int) -> Iterator[list[str]]:
    part: list[str] = []
    size = 0
    for key in keys:
        # As JSON writes it: in ASCII, with quotes and a comma.
        size += len(json.dumps(key)) + 1
        if part and size > limit:
            yield part
            part, size = [], len(json.dumps(key)) + 1
        part.append(key)
    if part:
        yield part


def _as_keys(keys: Iterable[object]) -> frozenset[str]:
    given = list(keys)
    for key in given:
        if isinstance(key, Model):
            raise TypeError(f"{key!r} is an object: name primary keys, for example user.pk.")
    return frozenset(str(key) for key in given)


def _keys(said: Mapping[str, object], name: str) -> frozenset[str]:
    keys = said.get(name, [])
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise ValueError(f"{name} of a change event are strings in a list, not {keys!r:.100}.")
    return frozenset(keys)
