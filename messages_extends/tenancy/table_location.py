"""Whether a schema has a table of its own, or only sees the one in public.

Where an app was shared, django-tenants recorded its migrations as applied in every tenant too, although no table was
made there. When the app moves to the tenants, its next migration would therefore change the table in public: the
search path leads there.
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
    """This schema has no table of its own: the one that it sees belongs to the public schema."""


class RequireOwnTable(Operation):
    """Refuse to go on where the current schema has no table of its own for a model, before anything is changed."""

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
        # Collecting SQL runs nothing, so that the table may not be there yet.
        if schema_editor.collect_sql or not self.allow_migrate_model(connection.alias, model):
            return
        if not has_table(connection, schema, model._meta.db_table):
            raise TableIsShared(
                f"The schema {schema!r} has recorded that {app_label}.0001_initial is applied, but it "
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
    """Tell whether `schema` itself has `table`, wherever the search path leads."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT to_regclass(%s) IS NOT NULL", [f"{quote_schema_name(schema)}.{quote_schema_name(table)}"]
        )
        return bool(cursor.fetchone()[0])
