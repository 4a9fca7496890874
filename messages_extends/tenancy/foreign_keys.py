"""Foreign keys whose deletion rule is enforced by the database.

Django deletes only the related rows that it sees from the current schema, but a row of a shared table is referred to
from every schema. `DO_NOTHING` in Python with `ON DELETE CASCADE` (or `SET NULL`) in the database is the only form that
leaves neither orphans nor errors, whatever the schema in which the row is deleted.
"""

from typing import Literal

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from django_tenants.utils import quote_schema_name

from messages_extends.tenancy.schemas import tenant_connection

Rule = Literal["CASCADE", "SET NULL"]

# The statement finds the constraint itself, so that the output of `sqlmigrate` can be run by hand.
REPLACE = """
DO $do$
DECLARE
    old record;
BEGIN
    -- A table with pending constraint checks, as when a tenant is created in a transaction, cannot be altered.
    SET CONSTRAINTS ALL IMMEDIATE;
    SELECT c.conname AS name, c.confrelid::regclass AS target, target.attname AS target_column INTO STRICT old
    FROM pg_constraint c
    JOIN pg_attribute source ON source.attrelid = c.conrelid AND source.attnum = c.conkey[1]
    JOIN pg_attribute target ON target.attrelid = c.confrelid AND target.attnum = c.confkey[1]
    WHERE c.contype = 'f' AND c.conrelid = {table}::regclass AND source.attname = {column};
    EXECUTE format(
        'ALTER TABLE %s DROP CONSTRAINT %I, ADD CONSTRAINT %I FOREIGN KEY (%I) REFERENCES %s (%I) {rule}',
        {table}::regclass, old.name, old.name, {column}, old.target, old.target_column
    );
EXCEPTION
    WHEN no_data_found THEN
        RAISE EXCEPTION 'There is no foreign key on column % of %.', {column}, {table}
            USING HINT = 'It was dropped by hand. Add it again, then migrate again.';
END
$do$
"""


class DeleteInDatabase(Operation):
    """Add ON DELETE CASCADE or SET NULL to a foreign key's constraint.

    The constraint is checked at the end of each statement, not at COMMIT, so that a missing target is an error of the
    statement that refers to it. It can still be deferred. The old constraint is found by introspection, because its
    name differs between versions of Django.
    """

    reduces_to_sql = True
    reversible = True

    def __init__(self, model_name: str, field_name: str, rule: Rule) -> None:
        self.model_name, self.field_name, self.rule = model_name, field_name, rule

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        pass

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        self._replace(app_label, schema_editor, to_state, self.rule)

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        self._replace(app_label, schema_editor, from_state, None)

    def describe(self) -> str:
        return f"On deletion, {self.rule} {self.field_name} of {self.model_name} in the database"

    def _replace(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, state: ProjectState, rule: Rule | None
    ) -> None:
        model = state.apps.get_model(app_label, self.model_name)
        if not self.allow_migrate_model(schema_editor.connection.alias, model):
            return
        column = model._meta.get_field(self.field_name).column
        schema_editor.execute(rule_statement(schema_editor, model._meta.db_table, column, rule), params=None)


def rule_statement(editor: BaseDatabaseSchemaEditor, table: str, column: str, rule: Rule | None) -> str:
    """Return the SQL that sets the deletion rule of a foreign key in the current schema; None for Django's default."""
    name = f"{quote_schema_name(tenant_connection(editor.connection).schema_name)}.{quote_schema_name(table)}"
    clause = f"ON DELETE {rule} DEFERRABLE INITIALLY IMMEDIATE" if rule else "DEFERRABLE INITIALLY DEFERRED"
    return REPLACE.format(table=editor.quote_value(name), column=editor.quote_value(column), rule=clause)


def is_deleted_in_database(connection: BaseDatabaseWrapper, schema: str, table: str, column: str) -> bool:
    """Tell whether a foreign key of `table` in `schema` has ON DELETE CASCADE."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT confdeltype = 'c' FROM pg_constraint"
            " JOIN pg_attribute ON attrelid = conrelid AND attnum = conkey[1]"
            " WHERE contype = 'f' AND conrelid = to_regclass(%s) AND attname = %s",
            [f"{quote_schema_name(schema)}.{quote_schema_name(table)}", column],
        )
        return bool(cursor.fetchone() == (True,))
