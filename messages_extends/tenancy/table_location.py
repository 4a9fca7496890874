"""Tell whether a schema has a table of its own or sees the one in the public schema.

For a shared app, django-tenants records migrations as applied in every tenant, although it creates no tables there. If
the app is moved to TENANT_APPS, its next migration would change the table in the public schema, because the search path
includes it.
"""

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from django_tenants.utils import quote_schema_name

from messages_extends.exceptions import MessagesExtendsError
from messages_extends.tenancy.databases import write_database
from messages_extends.tenancy.schemas import tenant_connection


class TableIsShared(MessagesExtendsError, RuntimeError):
    """This schema has no table of its own; the visible table belongs to the public schema."""


class RequireOwnTable(Operation):
    """Stop a migration, before it changes anything, if the schema has no table of its own for a model."""

    reduces_to_sql = False
    reversible = True

    def __init__(self, model_name: str, remedy: str) -> None:
        self.model_name, self.remedy = model_name, remedy

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        pass

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        connection = schema_editor.connection
        schema = tenant_connection(connection).schema_name
        model = from_state.apps.get_model(app_label, self.model_name)
        # While SQL is collected nothing is executed, so the table may not exist.
        if schema_editor.collect_sql or not self.allow_migrate_model(connection.alias, model):
            return
        if not has_table(connection, schema, model._meta.db_table):
            raise TableIsShared(
                f"The schema {schema!r} has recorded {app_label}.0001_initial as applied, but it "
                f"has no table {model._meta.db_table} of its own. {self.remedy}"
            )

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        pass

    def describe(self) -> str:
        return f"Require a table of {self.model_name} in this schema"


def schemas_with(table: str) -> list[str]:
    """Return the schemas that have `table`."""
    with connections[write_database()].cursor() as cursor:
        cursor.execute("SELECT schemaname FROM pg_tables WHERE tablename = %s ORDER BY schemaname", [table])
        return [schema for (schema,) in cursor.fetchall()]


def has_table(connection: BaseDatabaseWrapper, schema: str, table: str) -> bool:
    """Tell whether `schema` itself has `table`, regardless of the search path."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT to_regclass(%s) IS NOT NULL", [f"{quote_schema_name(schema)}.{quote_schema_name(table)}"]
        )
        return bool(cursor.fetchone()[0])
