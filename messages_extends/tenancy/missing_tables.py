"""Create the tables of an app whose migrations were recorded in a schema before it was listed for that schema."""

from collections.abc import Collection

from django.db import connections, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder
from django_tenants.utils import get_tenant_database_alias

from messages_extends.exceptions import MessagesExtendsError
from messages_extends.tenancy.schemas import in_schema
from messages_extends.tenancy.tenant_tables import existing_tables, tables_of


class TablesExist(MessagesExtendsError, RuntimeError):
    """The missing tables cannot be created: some tables of the same migrations exist already."""


def create_missing_tables(schema: str, labels: Collection[str]) -> None:
    """Apply the migrations of these apps in `schema` as if they had not been recorded there.

    It runs in one transaction. Migrations that depend on them keep their tables and their records.
    """
    with in_schema(schema), transaction.atomic(using=get_tenant_database_alias()):
        connection = connections[get_tenant_database_alias()]
        with connection.cursor() as cursor:
            # A table with pending constraint checks cannot be altered by the next migration.
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        # Django refuses to apply a migration if a migration that depends on it is recorded.
        graph = MigrationExecutor(connection).loader.graph
        nodes = [node for node in graph.nodes if node[0] in labels]
        depending = {key for node in nodes for key in graph.backwards_plan(node)}
        records = MigrationRecorder(connection).migration_qs
        deleted = [row for row in records.order_by("pk") if row.app in labels or (row.app, row.name) in depending]
        records.filter(pk__in=[row.pk for row in deleted]).delete()
        executor = MigrationExecutor(connection)
        targets = [node for node in executor.loader.graph.leaf_nodes() if node[0] in labels]
        plan = executor.migration_plan(targets)
        tables = tables_of({migration.app_label for migration, _backwards in plan})
        if found := existing_tables([schema], set().union(*tables.values()))[schema]:
            raise TablesExist(f"These tables exist already in {schema}: {', '.join(sorted(found))}.")
        executor.migrate(targets, plan)
        recorded = set(records.values_list("app", "name"))
        for row in deleted:
            if (row.app, row.name) not in recorded:
                row.pk = None
                row.save(force_insert=True, using=connection.alias)
