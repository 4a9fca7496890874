"""Database helpers of the import: statements, quoted names, tenants and a lock."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from django.db import connections
from django_tenants.utils import get_public_schema_name, quote_schema_name

from messages_extends.exceptions import MessagesExtendsError
from messages_extends.tenancy import table_location
from messages_extends.tenancy.databases import using_primary, write_database
from messages_extends.tenancy.schemas import tenants_with_messages

# The key of an advisory lock: an arbitrary number.
_LOCK: Final = 7_205_759_403_792_794

Parameters = Sequence[Any] | Mapping[str, Any]


class ImportRefused(MessagesExtendsError, ValueError):
    """The import cannot continue. Fix the problem and run it again."""


def fetch(statement: str, parameters: Parameters = (), **names: str) -> list[tuple[Any, ...]]:
    """Run a statement and return its rows.

    Each `{name}` in it is replaced by a name that `qualified` or `column` returned, or by other SQL.
    """
    with connections[write_database()].cursor() as cursor:
        cursor.execute(statement.format(**names), parameters)
        return list(cursor.fetchall())


def execute(statement: str, parameters: Parameters = (), **names: str) -> int:
    """Run a statement like `fetch`; return the number of changed rows."""
    with connections[write_database()].cursor() as cursor:
        cursor.execute(statement.format(**names), parameters)
        return int(cursor.rowcount)


def qualified(schema: str, table: str) -> str:
    """Return the quoted name of a table with its schema, for `fetch` and `execute`."""
    return f"{column(schema)}.{column(table)}"


def column(name: str | None) -> str:
    """Return a quoted name, with percent signs doubled for statements with parameters."""
    return str(quote_schema_name(name or "")).replace("%", "%%")


def public() -> str:
    return str(get_public_schema_name())


def has_table(schema: str, table: str) -> bool:
    return table_location.has_table(connections[write_database()], schema, table)


def tenant_schemas() -> list[str]:
    """Return the existing schemas of all tenants that have messages, in order."""
    named = using_primary(tenants_with_messages()).values_list("schema_name", flat=True)
    rows = fetch("SELECT nspname FROM pg_namespace WHERE nspname = ANY(%s) ORDER BY 1", [list(named)])
    return [schema for (schema,) in rows]


@contextmanager
def one_import_at_a_time() -> Iterator[None]:
    """Raise ImportRefused if another import is running. PostgreSQL releases the lock if this process dies."""
    ((locked,),) = fetch("SELECT pg_try_advisory_lock(%s)", [_LOCK])
    if not locked:
        raise ImportRefused("Another import is running in this database: wait for it to end, or stop it.")
    try:
        yield
    finally:
        # The connection may return to a pool and would keep the lock.
        fetch("SELECT pg_advisory_unlock(%s)", [_LOCK])
