"""Hints: whose open pages have something new. They are published once the transaction has committed, and only then."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final, Self

from django.db import connections, transaction
from django.db.models import Model
from django_tenants.utils import get_tenant_database_alias

from messages_extends.push.bus import current_bus
from messages_extends.tenancy.schemas import current_schema

# What is left of a text's limit once all but the keys is written: braces, names, a schema of 63 characters as JSON.
FRAME: Final = 600

_changes: ContextVar[int] = ContextVar("messages_extends.push.changes", default=0)


@dataclass(frozen=True)
class Hint:
    """Something has changed for these people, these groups' members, or everybody in the organisation, or anywhere.

    Keys are texts: whatever a user model's primary key is, it can be written so.
    """

    # None: in every organisation.
    schema: str | None
    users: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    everyone: bool = False

    def texts(self, limit: int) -> Iterator[str]:
        """Yield it as texts of at most `limit` bytes, several where it names many."""
        if self.everyone:
            yield _text(schema=self.schema, everyone=True)
        for name, keys in (("users", self.users), ("groups", self.groups)):
            for part in _parts(sorted(keys), limit - FRAME):
                yield _text(**{"schema": self.schema, name: part})

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `texts` has written; ValueError for anything else that somebody may have published."""
        said = json.loads(text)
        if not isinstance(said, dict) or not said.keys() <= {"schema", "users", "groups", "everyone"}:
            raise ValueError(f"{text[:200]!r} is no hint.")
        schema = said.get("schema", "")
        if not (schema is None or (isinstance(schema, str) and schema)):
            raise ValueError(f"{text[:200]!r} names no schema.")
        return cls(schema, _keys(said, "users"), _keys(said, "groups"), everyone=said.get("everyone") is True)


def wake(*, users: Iterable[Any] = (), groups: Iterable[Any] = (), everyone: bool = False) -> None:
    """Tell open pages of the current organisation, once the transaction commits, that something has changed.

    `users`, `groups`: primary keys. It is called where the change is made, because the schema may be another one when
    the transaction ends.
    """
    hint = Hint(current_schema(), _as_keys(users), _as_keys(groups), everyone)
    if hint.users or hint.groups or hint.everyone:
        _on_commit([hint])


def wake_everywhere(schemas: Iterable[str] | None = None) -> None:
    """Tell the open pages of these organisations, or of all; see `wake`."""
    _on_commit([Hint(schema, everyone=True) for schema in ([None] if schemas is None else schemas)])


def changes() -> int:
    """Return a number that is another one once this thread, task or command has changed what anybody may read."""
    return _changes.get()


class Publication:
    """What a transaction has to publish when it commits: several hints in one statement."""

    def __init__(self, hints: Sequence[Hint]) -> None:
        self.hints = list(hints)
        self.is_published = False

    def publish(self) -> None:
        self.is_published = True
        bus = current_bus()
        if bus is not None:
            bus.publish(list(dict.fromkeys(text for hint in self.hints for text in hint.texts(bus.limit))))


def _on_commit(hints: Sequence[Hint]) -> None:
    if not hints:
        return
    _changes.set(_changes.get() + 1)
    if current_bus() is None:
        return
    connection: Any = connections[get_tenant_database_alias()]
    savepoints, last, _robust = connection.run_on_commit[-1] if connection.run_on_commit else (None, None, None)
    waiting = getattr(last, "__self__", None)
    # A loop that sends a thousand times in one transaction publishes once. Only what dies with the same savepoints
    # can go together.
    if isinstance(waiting, Publication) and not waiting.is_published and savepoints == set(connection.savepoint_ids):
        waiting.hints.extend(hints)
    elif connection.in_atomic_block or connection.get_autocommit():
        # Robust: what has been committed stands, whether anybody hears of it or not.
        transaction.on_commit(Publication(hints).publish, using=connection.alias, robust=True)


def _text(**said: Any) -> str:
    return json.dumps(said, separators=(",", ":"))


def _parts(keys: Sequence[str], room: int) -> Iterator[list[str]]:
    part: list[str] = []
    size = 0
    for key in keys:
        # As JSON writes it: in ASCII, with quotes and a comma.
        size += len(json.dumps(key)) + 1
        if part and size > room:
            yield part
            part, size = [], len(json.dumps(key)) + 1
        part.append(key)
    if part:
        yield part


def _as_keys(keys: Iterable[Any]) -> frozenset[str]:
    given = list(keys)
    for key in given:
        if isinstance(key, Model):
            raise TypeError(f"{key!r} is an object: name primary keys, for example user.pk.")
    return frozenset(str(key) for key in given)


def _keys(said: dict[str, Any], name: str) -> frozenset[str]:
    keys = said.get(name, [])
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise ValueError(f"{name} of a hint are texts in a list, not {keys!r:.100}.")
    return frozenset(keys)
