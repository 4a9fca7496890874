"""Rename, count and drop the shared table of django-messages-extends 0.6.3.

Only the table is renamed. Its indexes and its sequence keep their names, because all statements find those of a tenant
by the table.
"""

from dataclasses import dataclass
from typing import Final

import psycopg
from django.db import OperationalError, transaction

from messages_extends.maintenance.import_database import (
    ImportRefused,
    execute,
    fetch,
    has_table,
    public,
    qualified,
    tenant_schemas,
)
from messages_extends.tenancy.databases import write_database
from messages_extends.tenancy.schemas import is_shared

TABLE: Final = "messages_extends_message"
RENAMED_TABLE: Final = "messages_extends_message_0_6_3"
COLUMNS: Final = {"id", "user_id", "message", "level", "extra_tags", "created", "modified", "read", "expires"}


@dataclass(frozen=True)
class OldTable:
    """The old table, with its original name or renamed; renamed, it records where each row was imported to."""

    is_renamed: bool

    def __str__(self) -> str:
        return f"{public()}.{RENAMED_TABLE if self.is_renamed else TABLE}"

    @property
    def sql(self) -> str:
        return qualified(public(), RENAMED_TABLE if self.is_renamed else TABLE)

    @property
    def is_left(self) -> str:
        """Return the SQL condition that a row of the table alias `old` has not been imported."""
        return "old.imported_into IS NULL" if self.is_renamed else "true"

    def count_left(self) -> int:
        ((number,),) = fetch("SELECT count(*) FROM {old} old WHERE {is_left}", old=self.sql, is_left=self.is_left)
        return int(number)


def find_old_table() -> OldTable:
    """Return the old table. Raises ImportRefused unless there is exactly one."""
    if is_shared("messages_extends"):
        raise ImportRefused("messages_extends is still in SHARED_APPS: move it to TENANT_APPS first.")
    original, renamed = (has_table(public(), name) for name in (TABLE, RENAMED_TABLE))
    if original and renamed:
        raise ImportRefused(
            f"{public()} has both {TABLE} and {RENAMED_TABLE}: the second is the old table. Find out what the first is "
            "(perhaps restored from a backup), then rename or drop it."
        )
    if not (original or renamed):
        raise ImportRefused(f"There is nothing to import: {public()} has neither {TABLE} nor {RENAMED_TABLE}.")
    return OldTable(is_renamed=renamed)


def rename_old_table() -> OldTable:
    """Rename the old table and let the next migrate_schemas create the tenants' tables. It is idempotent."""
    try:
        with transaction.atomic(using=write_database()):
            if not find_old_table().is_renamed:
                _rename()
            # While the app was shared, django-tenants recorded its migrations in every tenant without creating tables.
            # Records in the public schema are kept: django-tenants writes them there for tenant apps as well.
            without_table = [
                schema
                for schema in tenant_schemas()
                if has_table(schema, "django_migrations") and not has_table(schema, TABLE)
            ]
            for schema in without_table:
                records = qualified(schema, "django_migrations")
                execute("DELETE FROM {records} WHERE app = 'messages_extends'", records=records)
    except OperationalError as error:
        if not isinstance(error.__cause__, psycopg.errors.LockNotAvailable):
            raise
        raise ImportRefused(f"{TABLE} is in use: stop the processes that run the old code, then try again.") from error
    return OldTable(is_renamed=True)


def _rename() -> None:
    rows = fetch(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = %s AND table_name = %s",
        [public(), TABLE],
    )
    found = {name for (name,) in rows}
    if COLUMNS - found or "read_at" in found:
        raise ImportRefused(
            f"{public()}.{TABLE} is not the table of django-messages-extends 0.6.3: it has the columns "
            f"{', '.join(sorted(found))}, instead of {', '.join(sorted(COLUMNS))}."
        )
    # While this statement waits for a lock, later statements wait behind it.
    execute("SET LOCAL lock_timeout = '3s'")
    execute("ALTER TABLE {old} RENAME TO {name}", old=OldTable(is_renamed=False).sql, name=RENAMED_TABLE)
    columns = "ADD COLUMN imported_into text, ADD COLUMN imported_id bigint"
    execute("ALTER TABLE {old} {columns}", old=OldTable(is_renamed=True).sql, columns=columns)


def drop(*, discard: int = 0) -> None:
    """Drop the old table. Raises ImportRefused unless exactly `discard` rows are not imported."""
    table = find_old_table()
    left = table.count_left()
    if left != discard:
        raise ImportRefused(
            f"{table} was not dropped: {left} of its rows are not imported. Import them, or delete them "
            f"with the table: --drop --discard {left}."
            if left
            else f"{table} was not dropped: all its rows are imported, but --discard is {discard}."
        )
    execute("DROP TABLE {old}", old=table.sql)
