"""Create many organisations quickly, by repeating the statements that created the first one.

Making one by Django's migrations takes about half a second, of which little is the database's. What a clone holds is
compared with its model by `require_same`.
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
PARTS = """
    SELECT relnamespace AS schema, 'table' AS kind, relname::text AS name, relnatts::int AS size FROM pg_class
    UNION ALL
    SELECT c.relnamespace, 'trigger', t.tgname::text, 1 FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
    WHERE NOT t.tgisinternal
    UNION ALL
    SELECT connamespace, 'constraint', conname::text, 1 FROM pg_constraint
    UNION ALL
    SELECT pronamespace, 'function', proname::text, 1 FROM pg_proc
"""
# One look at all of them: one for each would go through the whole catalogue every time.
SHAPES = f"""
    SELECT nspname, md5(string_agg(format('%%s %%s %%s', kind, name, size), ',' ORDER BY kind, name, size))
    FROM ({PARTS}) AS parts JOIN pg_namespace n ON n.oid = schema WHERE nspname LIKE %(like)s GROUP BY nspname
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


def require_same(database: psycopg.Connection[Any], like: str) -> None:
    """Raise unless all schemas of such names consist of the same parts."""
    shapes: dict[str, str] = dict(database.execute(SHAPES, {"like": like}).fetchall())
    if len(set(shapes.values())) != 1:
        raise AssertionError(f"Some of these schemas differ: {sorted(shapes)[:5]} ...")


def shape(database: psycopg.Connection[Any], schema: str) -> list[Any]:
    """Return what a schema consists of, by name."""
    statement = f"SELECT kind, name, size FROM ({PARTS}) AS parts WHERE schema = %s::regnamespace ORDER BY 1, 2, 3"
    return database.execute(statement.encode(), [schema]).fetchall()
