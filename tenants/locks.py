"""A lock that allows only one migration at a time in the whole database."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import psycopg

from tenants import database

# An arbitrary number.
_KEY: Final = 7_205_759_403_792_793
_VARIABLE: Final = "TENANTS_MIGRATION_LOCK_HELD_BY"
_held = threading.local()


@contextmanager
def migration_lock(on_wait: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Wait until no other migration runs in this database, and keep others waiting; call `on_wait` before waiting.

    It is an advisory lock in a connection of its own, because migrating closes Django's; PostgreSQL releases it when
    this process dies. It may be taken again inside itself, in this thread and in the child processes of
    `migrate_schemas --executor=subprocess`. It belongs to a session, so pgbouncer must be in session mode.
    """
    if _is_held():
        yield
        return
    with _own_connection() as connection:
        if not _try(connection):
            on_wait()
            connection.execute("SELECT pg_advisory_lock(%s)", [_KEY])
        _held.here = True
        os.environ[_VARIABLE] = str(os.getpid())
        try:
            yield
        finally:
            _held.here = False
            os.environ.pop(_VARIABLE, None)


def _is_held() -> bool:
    return getattr(_held, "here", False) or os.environ.get(_VARIABLE) == str(os.getppid())


def _try(connection: psycopg.Connection[Any]) -> bool:
    row = connection.execute("SELECT pg_try_advisory_lock(%s)", [_KEY]).fetchone()
    return bool(row and row[0])


def _own_connection() -> psycopg.Connection[Any]:
    parameters = database.connection().get_connection_params()
    # Django's cursor class and adapters are only for its own connections.
    for name in ("cursor_factory", "context", "prepare_threshold"):
        parameters.pop(name, None)
    connection = psycopg.connect(**parameters, autocommit=True)
    # Waiting is intended, whatever limits are set for requests.
    for limit in ("statement_timeout", "lock_timeout", "idle_session_timeout"):
        connection.execute(f"SET {limit} = 0")
    return connection
