"""The table of django-messages-extends 0.6.3 that all tenants shared: moved out of the way, counted, dropped.

Only the table is renamed. Its indexes and its sequence keep their names, which mean nothing to anybody else: every
statement of ours, and of Django's migrations, finds a tenant's own by its table.
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
ASIDE: Final = "messages_extends_message_0_6_3"
COLUMNS: Final = {"id", "user_id", "message", "level", "extra_tags", "created", "modified", "read", "expires"}


@dataclass(frozen=True)
class OldTable:
    """The old table, under its first name or, out of the way, with a note in every row of where it went."""

    is_aside: bool

    def __str__(self) -> str:
        return f"{public()}.{ASIDE if self.is_aside else TABLE}"

    @property
    def sql(self) -> str:
        return qualified(public(), ASIDE if self.is_aside else TABLE)

    @property
    def is_left(self) -> str:
        """Return the condition that a row has not been imported; its table is called `old`."""
        return "old.imported_into IS NULL" if self.is_aside else "true"

    def count_left(self) -> int:
        ((number,),) = fetch("SELECT count(*) FROM {old} old WHERE {is_left}", old=self.sql, is_left=self.is_left)
        return int(number)


def find_old_table() -> OldTable:
    """Return the old table; ImportRefused unless there is exactly one."""
    if is_shared("messages_extends"):
        raise ImportRefused("messages_extends is still in SHARED_APPS: move it to TENANT_APPS first.")
    in_the_way, aside = (has_table(public(), name) for name in (TABLE, ASIDE))
    if in_the_way and aside:
        raise ImportRefused(
            f"{public()} has both {TABLE} and {ASIDE}: the second is the old table, so find out what the first is "
            "(perhaps restored from a backup), and rename or drop it."
        )
    if not (in_the_way or aside):
        raise ImportRefused(f"There is nothing to import: {public()} has neither {TABLE} nor {ASIDE}.")
    return OldTable(is_aside=aside)


def move_aside() -> OldTable:
    """Rename the old table and have every tenant's own made by the next migrate_schemas; again it changes nothing."""
    try:
        with transaction.atomic(using=write_database()):
            if not find_old_table().is_aside:
                _rename()
            _forget_tables_that_were_never_made()
    except OperationalError as error:
        if not isinstance(error.__cause__, psycopg.errors.LockNotAvailable):
            raise
        raise ImportRefused(f"{TABLE} is in use: stop what still runs the old code, then try again.") from error
    return OldTable(is_aside=True)


def _rename() -> None:
    _require_columns()
    # Whoever reads the table now makes us wait, and we everybody after them.
    execute("SET LOCAL lock_timeout = '3s'")
    execute("ALTER TABLE {old} RENAME TO {name}", old=OldTable(is_aside=False).sql, name=ASIDE)
    ledger = "ADD COLUMN imported_into text, ADD COLUMN imported_id bigint"
    execute("ALTER TABLE {old} {ledger}", old=OldTable(is_aside=True).sql, ledger=ledger)


def _require_columns() -> None:
    rows = fetch(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = %s AND table_name = %s",
        [public(), TABLE],
    )
    found = {name for (name,) in rows}
    if COLUMNS - found or "read_at" in found:
        raise ImportRefused(
            f"{public()}.{TABLE} is not the table of django-messages-extends 0.6.3: it has the columns "
            f"{', '.join(sorted(found))}, and that one {', '.join(sorted(COLUMNS))}."
        )


def _forget_tables_that_were_never_made() -> None:
    """Delete the records of our migrations where there is no table.

    While the app was shared django-tenants recorded them in every tenant, without doing anything there. In public the
    records stay: it is what django-tenants writes there for an app of the tenants.
    """
    for schema in tenant_schemas():
        if has_table(schema, "django_migrations") and not has_table(schema, TABLE):
            records = qualified(schema, "django_migrations")
            execute("DELETE FROM {records} WHERE app = 'messages_extends'", records=records)


def drop(*, discard: int = 0) -> None:
    """Drop the old table; ImportRefused unless all its rows are imported, but for `discard`, exactly as many."""
    table = find_old_table()
    left = table.count_left()
    if left != discard:
        raise ImportRefused(
            f"{table} was not dropped: {left} of its rows are not imported. Import them, or have them deleted "
            f"with it: --drop --discard {left}."
            if left
            else f"{table} was not dropped: all its rows are imported, and you expected {discard} that are not."
        )
    execute("DROP TABLE {old}", old=table.sql)
