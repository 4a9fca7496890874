"""Triggers that protect tables from writes that bypass this package.

They prevent accidents. The owner of a table can drop its triggers, so protection against malicious code requires a
database role without write privileges.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from django.db import connections
from django.db.migrations import RunSQL
from django_tenants.utils import get_public_schema_name

from messages_extends.tenancy.databases import write_database

# A parameter of the transaction that allows an actor's name to be emptied, for erasing a person.
ERASING: Final = "messages_extends.erasing"

APPEND_ONLY = """
CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.actor_name = '' AND current_setting('{erasing}', true) = 'on' THEN
        OLD.actor_name := '';
        IF NEW IS NOT DISTINCT FROM OLD THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'The records in % are kept: they can be neither changed nor deleted.', TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation', HINT = 'To erase a person, use the command erase_messages.';
END
$body$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION {function}();
"""
NOT_APPEND_ONLY = "DROP TRIGGER append_only ON {table}; DROP FUNCTION {function}();"

# current_schema() is null while a dump is restored.
PUBLIC_ONLY = """
CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    IF current_schema() IS NOT NULL AND current_schema() <> '{public}' THEN
        RAISE EXCEPTION 'Only the platform writes to %, and this is the schema %.', TG_TABLE_NAME, current_schema()
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NULL;
END
$body$;
"""
PUBLIC_ONLY_TABLE = """
CREATE TRIGGER public_only BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION {function}();
"""


def append_only(table: str) -> RunSQL:
    """Return an operation that forbids updates and deletes, except emptying the actor's name in `erasing_names`.

    TRUNCATE is allowed, because Django's tests flush with it. Only the owner of the table may truncate it.
    """
    names = {"table": table, "function": f"{table}_append_only", "erasing": ERASING}
    return RunSQL(APPEND_ONLY.format(**names), NOT_APPEND_ONLY.format(**names))


@contextmanager
def erasing_names() -> Iterator[None]:
    """Allow emptying the actor's name of audit records in this block, which must be in a transaction."""
    _set_erasing("on")
    yield
    # After an error the rollback resets the parameter.
    _set_erasing("off")


def _set_erasing(value: str) -> None:
    with connections[write_database()].cursor() as cursor:
        cursor.execute("SELECT set_config(%s, %s, true)", [ERASING, value])


def public_only(app_label: str, *tables: str) -> RunSQL:
    """Return an operation that forbids writes to `tables` unless the current schema is public."""
    function = f"{app_label}_public_only"
    public = get_public_schema_name().replace("'", "''")
    make = "".join(PUBLIC_ONLY_TABLE.format(table=table, function=function) for table in tables)
    drop = "".join(f"DROP TRIGGER public_only ON {table};" for table in tables)
    return RunSQL(PUBLIC_ONLY.format(function=function, public=public) + make, f"{drop} DROP FUNCTION {function}();")
