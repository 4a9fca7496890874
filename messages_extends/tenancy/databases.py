"""Which database a query goes to, where a router sends reads to a replica.

A replica is behind by a moment, and refuses to write. So what writes, and what decides about a write, goes to the
database that is written; and so does everything that is read once the same request has written.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from django.core.exceptions import ImproperlyConfigured
from django.core.signals import request_started
from django.db import connections, router, transaction
from django.db.models import Model, QuerySet

from messages_extends.tenancy.schemas import current_schema

Rows = TypeVar("Rows", bound="QuerySet[Model, object]")
Row = TypeVar("Row", bound=Model)


class _Routing:
    """What the host's routers are asked about: one model stands for all of ours."""

    model: type[Model]


_reads_what_is_written: ContextVar[bool] = ContextVar("messages_extends.databases", default=False)


def write_database() -> str:
    """Return the alias of the database that our tables, users and groups are written in."""
    return router.db_for_write(_Routing.model)


def read_database() -> str:
    """Return the alias to read from: the router's; once this request has written, the one it has written to.

    ImproperlyConfigured for a connection that is not in the current schema and does not follow it.
    """
    alias = database_of_own_writes() or router.db_for_read(_Routing.model)
    connection = connections[alias]
    if not getattr(connection, "follows_tenant", False) and getattr(connection, "schema_name", "") != current_schema():
        raise ImproperlyConfigured(
            f"The connection {alias!r} is not in the schema {current_schema()!r}: set ENGINE = "
            f'"messages_extends.tenancy.backend" for {alias!r} in DATABASES, which follows the current one.'
        )
    return alias


def database_of_own_writes() -> str | None:
    """Return the alias that this request has written to; None if it has not."""
    return write_database() if _reads_what_is_written.get() else None


def for_write(rows: Rows) -> Rows:
    """Return a queryset as the database knows it that is written in; for every read that decides about a write."""
    return rows.using(router.db_for_write(rows.model))


def atomic() -> transaction.Atomic:
    """Return a transaction in the database that is written in."""
    return transaction.atomic(using=write_database())


def note_write() -> None:
    """Have the rest of this request read from where it has written."""
    _reads_what_is_written.set(True)


@contextmanager
def reading_what_is_written() -> Iterator[None]:
    """Read, in a block, what has been written this very moment, by whomever."""
    token = _reads_what_is_written.set(True)
    try:
        yield
    finally:
        _reads_what_is_written.reset(token)


def connect(model: type[Model]) -> None:
    """Ask the routers about `model` for all tables of ours, and have each request begin as one that has not written."""
    _Routing.model = model
    request_started.connect(_begin, dispatch_uid="messages_extends.databases")


def _begin(**_signal: object) -> None:
    _reads_what_is_written.set(False)


class ReadsOwnWrites(QuerySet[Row]):
    """A queryset that goes to where this request has written, once it has."""

    @property
    def db(self) -> str:
        return str(getattr(self, "_db", None) or database_of_own_writes() or super().db)

    def update(self, **values: object) -> int:
        note_write()
        return super().update(**values)

    update.alters_data = True  # type: ignore[attr-defined]

    def delete(self) -> tuple[int, dict[str, int]]:
        note_write()
        return super().delete()

    # As with Django's own: a manager has no such method, which would delete all.
    delete.alters_data = delete.queryset_only = True  # type: ignore[attr-defined]
