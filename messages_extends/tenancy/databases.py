"""Choose the database of a query if a router sends reads to a replica.

A replica lags behind and is read-only. Writes, reads that decide about a write, and all reads after a write in the same
request use the primary database.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from django.core.exceptions import ImproperlyConfigured
from django.core.signals import request_started
from django.db import connections, router, transaction
from django.db.models import Model, QuerySet
from django.dispatch import receiver

from messages_extends.tenancy.schemas import current_schema

Rows = TypeVar("Rows", bound="QuerySet[Model, object]")
Row = TypeVar("Row", bound=Model)


class _Routing:
    """The model for which the database routers are asked; it represents all models of this package."""

    model: type[Model]


_reads_what_is_written: ContextVar[bool] = ContextVar("messages_extends.databases", default=False)


def write_database() -> str:
    """Return the alias of the database to which messages, users and groups are written."""
    return router.db_for_write(_Routing.model)


def read_database() -> str:
    """Return the alias to read from: the router's choice, or the primary database once this request has written.

    Raises ImproperlyConfigured if the connection is not in the current schema and does not follow it.
    """
    alias = database_of_own_writes() or router.db_for_read(_Routing.model)
    connection = connections[alias]
    if not getattr(connection, "follows_tenant", False) and getattr(connection, "schema_name", "") != current_schema():
        raise ImproperlyConfigured(
            f"The connection {alias!r} is not in the schema {current_schema()!r}: set ENGINE = "
            f'"messages_extends.tenancy.backend" for {alias!r} in DATABASES, which follows the current schema.'
        )
    return alias


def database_of_own_writes() -> str | None:
    """Return the alias to which this request has written; None if it has not written."""
    return write_database() if _reads_what_is_written.get() else None


def using_primary(rows: Rows) -> Rows:
    """Return a queryset that reads from the primary database, for reads that decide about a write."""
    return rows.using(router.db_for_write(rows.model))


def atomic() -> transaction.Atomic:
    """Return a transaction in the primary database."""
    return transaction.atomic(using=write_database())


def note_write() -> None:
    """Make the rest of this request read from the primary database."""
    _reads_what_is_written.set(True)


@contextmanager
def reading_from_primary() -> Iterator[None]:
    """Read from the primary database in a block, to see the latest writes of all processes."""
    token = _reads_what_is_written.set(True)
    try:
        yield
    finally:
        _reads_what_is_written.reset(token)


def set_model(model: type[Model]) -> None:
    """Set the model for which the database routers are asked."""
    _Routing.model = model


@receiver(request_started)
def _reset(**_signal: object) -> None:
    _reads_what_is_written.set(False)


class ReadsOwnWrites(QuerySet[Row]):
    """A queryset that uses the primary database once this request has written."""

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

    # Like Django's own method, not available on managers.
    delete.alters_data = delete.queryset_only = True  # type: ignore[attr-defined]
