"""Copy rows from the old table to the tenants' tables in batches.

A batch is one statement, which inserts the rows and records in the old table where each one went. An import that is
killed therefore neither loses nor duplicates rows, and continues when it is started again.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from django.db import IntegrityError

from messages_extends.maintenance.import_database import ImportRefused, fetch, qualified
from messages_extends.maintenance.import_people import PAIRS
from messages_extends.maintenance.import_table import TABLE, OldTable

BELOW_EVERY_ID: Final = -(2**31) - 1

# The levels of the released code of django-messages-extends are two higher. Other levels are kept.
BATCH: Final = """
    WITH batch AS MATERIALIZED (
        SELECT old.*, pair.new_id AS new_user_id
        FROM {old} old JOIN {pairs} pair ON pair.old_id = old.user_id
        WHERE pair.schema = %(schema)s AND pair.chosen AND {is_left} AND old.id > %(after)s
        ORDER BY old.id LIMIT %(size)s FOR UPDATE OF old
    ), numbered AS MATERIALIZED (
        SELECT ordered.*, nextval(%(sequence)s::regclass) AS new_id
        FROM (SELECT * FROM batch ORDER BY id) ordered
    ), inserted AS (
        INSERT INTO {new} (
            id, user_id, level, message, extra_tags, created, modified, expires, read_at, url, is_safe, key
        )
        SELECT new_id, new_user_id, CASE WHEN level IN (11, 21, 26, 31, 41) THEN level - 2 ELSE level END, message,
               extra_tags, created, modified, expires, CASE WHEN read THEN modified END, '', false, ''
        FROM numbered
    )
    UPDATE {old} old SET imported_into = %(schema)s, imported_id = numbered.new_id
    FROM numbered WHERE numbered.id = old.id RETURNING old.id
"""


def require_tables(schemas: Iterable[str]) -> None:
    """Raise ImportRefused unless each of these tenants has a table for messages."""
    ready = {
        schema
        for (schema,) in fetch(
            "SELECT table_schema FROM information_schema.columns WHERE table_name = %s AND column_name = 'is_safe'",
            [TABLE],
        )
    }
    missing = sorted(set(schemas) - ready)
    if missing:
        raise ImportRefused(
            f"{len(missing)} tenants have no table for messages yet ({first_of(missing)}). The old one was renamed: "
            "run migrate_schemas, then this command again."
        )


def transfer(table: OldTable, schema: str, *, batch_size: int, on_batch: Callable[[int], None]) -> int:
    """Copy one tenant's rows and return their number. `on_batch` is called with the number so far."""
    new = qualified(schema, TABLE)
    names = {"old": table.sql, "pairs": PAIRS, "is_left": table.is_left, "new": new}
    # A parameter, not part of the statement: its percent signs are not doubled.
    ((sequence,),) = fetch("SELECT pg_get_serial_sequence(%s, 'id')", [new.replace("%%", "%")])
    after, done = BELOW_EVERY_ID, 0
    while True:
        parameters = {"schema": schema, "size": batch_size, "sequence": sequence, "after": after}
        try:
            ids = [number for (number,) in fetch(BATCH, parameters, **names)]
        except IntegrityError as error:
            raise ImportRefused(f"A user of {schema} was deleted during the import: run it again ({error}).") from error
        if not ids:
            return done
        after, done = max(ids), done + len(ids)
        on_batch(done)


def first_of(names: Sequence[str], limit: int = 10) -> str:
    """Return the first names, with an ellipsis if there are more."""
    return ", ".join(names[:limit]) + (", …" if len(names) > limit else "")
