"""Move the content types of all tenants into the public schema.

Django and guardian cache content types per process. If a model has a different id in each tenant, a cached id refers to
a different model in another tenant, and permissions are granted and refused wrongly.
"""

import re
from collections import Counter
from dataclasses import dataclass
from typing import Final

from django.apps import apps
from django.contrib.contenttypes.models import ContentType
from django.db import connections, models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from django_tenants.utils import get_public_schema_name, get_tenant_database_alias, quote_schema_name

from messages_extends.exceptions import MessagesExtendsError
from messages_extends.tenancy.schemas import is_per_tenant, is_shared
from messages_extends.tenancy.table_location import has_table

TABLE: Final = "django_content_type"
# Do not wait long for locks on the tables of a tenant in use: the command continues with the next tenant.
LOCK_TIMEOUT: Final = "10s"

# The ids that change.
CHANGED_IDS: Final = """
SELECT old.id AS old_id, new.id AS new_id
FROM {tenant} AS old JOIN {shared} AS new USING (app_label, model)
WHERE old.id <> new.id
"""
ADD_MISSING: Final = """
INSERT INTO {shared} (app_label, model) SELECT app_label, model FROM {tenant} ORDER BY id ON CONFLICT DO NOTHING
"""
# Write negative ids first: unique constraints are checked row by row, and two ids may be swapped.
WRITE_NEGATIVE_IDS: Final = """
UPDATE {table} AS target SET {column} = -changed.new_id FROM ({changed}) AS changed
WHERE target.{column} = changed.old_id
"""
NEGATE_IDS: Final = "UPDATE {table} SET {column} = -{column} WHERE {column} < 0"
# The rows that the move will change, including those of content types that the public schema does not have yet.
COUNT_CHANGED: Final = """
SELECT count(*) FROM {table} WHERE {column} IN (
    SELECT old.id FROM {tenant} AS old LEFT JOIN {shared} AS new USING (app_label, model)
    WHERE new.id IS DISTINCT FROM old.id
)
"""
REFERENCES: Final = """
SELECT source_schema.nspname, source.relname, attname, conname, pg_get_constraintdef(c.oid)
FROM pg_constraint c
JOIN pg_class source ON source.oid = c.conrelid
JOIN pg_namespace source_schema ON source_schema.oid = source.relnamespace
JOIN pg_attribute ON attrelid = c.conrelid AND attnum = c.conkey[1]
WHERE c.contype = 'f' AND c.confrelid = to_regclass(%s) AND c.conparentid = 0
ORDER BY 1, 2, 3
"""
# The definition of a foreign key up to its rules.
BEFORE_RULES: Final = re.compile(r"FOREIGN KEY \([^)]*\) REFERENCES [^(]*\([^)]*\) ?")


class ContentTypesNotShared(MessagesExtendsError, RuntimeError):
    """The content types of the tenants cannot be moved yet."""


@dataclass(frozen=True)
class Reference:
    """A column that holds content type ids, with its foreign key constraint if there is one."""

    schema: str
    table: str
    column: str
    constraint: str = ""
    # The part of the constraint after the referenced column: ON DELETE, DEFERRABLE.
    rules: str = ""

    def __str__(self) -> str:
        return f"{self.table}.{self.column}"


def require_ready() -> None:
    """Raise ContentTypesNotShared unless the settings and the public schema are prepared for the move."""
    if is_per_tenant("contenttypes") or not is_shared("contenttypes"):
        raise ContentTypesNotShared("List django.contrib.contenttypes in SHARED_APPS only, then run this again.")
    if not has_table(_connection(), get_public_schema_name(), TABLE):
        raise ContentTypesNotShared(f"The public schema has no table {TABLE}: run create_missing_tables first.")


def has_own_content_types(schema: str) -> bool:
    return has_table(_connection(), schema, TABLE)


def count_changes(schema: str) -> Counter[str]:
    """Return the number of rows that `share_content_types` would change in a tenant, by column."""
    counted: Counter[str] = Counter()
    with _connection().cursor() as cursor:
        for reference in _references(cursor, schema):
            table, column = _qualified(reference.schema, reference.table), quote_schema_name(reference.column)
            cursor.execute(
                COUNT_CHANGED.format(table=table, column=column, tenant=_qualified(schema, TABLE), shared=_shared())
            )
            counted[str(reference)] = cursor.fetchone()[0]
    return +counted


def share_content_types(schema: str) -> Counter[str] | None:
    """Make a tenant use the public content types and drop its own table; return the changed rows by column.

    It runs in one transaction. Permissions, and all other rows that refer to content types, keep their primary keys and
    refer to the same models as before. Return None if the tenant has no table of its own.
    """
    changed: Counter[str] = Counter()
    names = {"tenant": _qualified(schema, TABLE), "shared": _shared()}
    with transaction.atomic(using=get_tenant_database_alias()), _connection().cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
        # Two transactions must not add the same content types.
        cursor.execute(f"LOCK TABLE {_shared()} IN SHARE ROW EXCLUSIVE MODE")
        if not has_own_content_types(schema):
            return None
        cursor.execute("LOCK TABLE {tenant} IN ACCESS EXCLUSIVE MODE".format(**names))
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(ADD_MISSING.format(**names))
        for reference in _references(cursor, schema):
            changed[str(reference)] = _replace_ids(cursor, reference, CHANGED_IDS.format(**names))
        # Without CASCADE, so that a view that uses the table is reported as an error.
        cursor.execute("DROP TABLE {tenant}".format(**names))
    ContentType.objects.clear_cache()
    return +changed


def _replace_ids(cursor: CursorWrapper, reference: Reference, changed: str) -> int:
    table, column = _qualified(reference.schema, reference.table), quote_schema_name(reference.column)
    if reference.constraint:
        cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT {quote_schema_name(reference.constraint)}")
    cursor.execute(WRITE_NEGATIVE_IDS.format(table=table, column=column, changed=changed))
    count = int(cursor.rowcount)
    if count:
        cursor.execute(NEGATE_IDS.format(table=table, column=column))
    if reference.constraint:
        cursor.execute(
            f"ALTER TABLE {table} ADD CONSTRAINT {quote_schema_name(reference.constraint)} "
            f"FOREIGN KEY ({column}) REFERENCES {_shared()} (id) {reference.rules}"
        )
    return count


def _references(cursor: CursorWrapper, schema: str) -> list[Reference]:
    cursor.execute(REFERENCES, [_qualified(schema, TABLE)])
    known = [
        Reference(source, table, column, constraint, BEFORE_RULES.sub("", definition))
        for source, table, column, constraint, definition in cursor.fetchall()
    ]
    columns = {(each.schema, each.table, each.column) for each in known}
    # Foreign keys with db_constraint=False.
    unconstrained = [
        Reference(schema, model._meta.db_table, field.column)
        for model in apps.get_models(include_auto_created=True)
        if model._meta.managed and not model._meta.proxy and has_table(_connection(), schema, model._meta.db_table)
        for field in model._meta.local_concrete_fields
        if isinstance(field, models.ForeignKey) and field.related_model is ContentType
    ]
    return known + [each for each in unconstrained if (each.schema, each.table, each.column) not in columns]


def _qualified(schema: str, table: str) -> str:
    return f"{quote_schema_name(schema)}.{quote_schema_name(table)}"


def _shared() -> str:
    return _qualified(get_public_schema_name(), TABLE)


def _connection() -> BaseDatabaseWrapper:
    return connections[get_tenant_database_alias()]
