"""Many organisations in little time: the statements that made the first one are sent again for each other.

Making one by Django's migrations takes about half a second, of which little is the database's. What a clone holds is
compared with its model by `shape`.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql

# What only looks, or belongs to a transaction that is over.
SKIPPED = re.compile(
    r"\s*(SELECT(?!\s+setval)|SET search_path|SAVEPOINT|RELEASE|ROLLBACK|CREATE SCHEMA)", re.IGNORECASE
)
SHAPE = """
SELECT kind, name, count FROM (
    SELECT 'table' AS kind, c.relname::text AS name, c.relnatts::bigint AS count
    FROM pg_class c WHERE c.relnamespace = %(schema)s::regnamespace
    UNION ALL
    SELECT 'trigger', t.tgname::text, 1 FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
    WHERE c.relnamespace = %(schema)s::regnamespace AND NOT t.tgisinternal
    UNION ALL
    SELECT 'constraint', conname::text, 1 FROM pg_constraint WHERE connamespace = %(schema)s::regnamespace
    UNION ALL
    SELECT 'function', proname::text, 1 FROM pg_proc WHERE pronamespace = %(schema)s::regnamespace
) AS parts ORDER BY 1, 2, 3
"""


@contextmanager
def recorded(connection: Any) -> Iterator[list[str]]:
    """Give the statements that Django sends in the block, with their values in place."""
    statements: list[str] = []

    def record(execute: Any, statement: str, params: Any, many: bool, context: Any) -> Any:
        text = str(statement)
        if not SKIPPED.match(text):
            cursor = psycopg.ClientCursor(connection.connection)
            rows = params if many else [params]
            statements.extend(cursor.mogrify(text, row) if row else text for row in rows)
        return execute(statement, params, many, context)

    with connection.execute_wrapper(record):
        yield statements


def clone(database: psycopg.Connection[Any], model: str, statements: Sequence[str], schema: str) -> None:
    """Make one more schema as `model` was made."""
    script = ";\n".join(statements).replace(model, schema)
    with database.transaction():
        database.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
        database.execute(sql.SQL("SET LOCAL search_path = {}, public").format(sql.Identifier(schema)))
        # Without parameters, so that all of it goes in one round trip.
        database.execute(script.encode())
    if shape(database, schema) != shape(database, model):
        raise AssertionError(f"{schema} is not what {model} is.")


def shape(database: psycopg.Connection[Any], schema: str) -> list[Any]:
    """Return what a schema consists of, by name."""
    return database.execute(SHAPE, {"schema": schema}).fetchall()
