"""Tables of an app that a schema came to be listed for when its migrations were recorded there already."""

from collections.abc import Collection

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder
from django_tenants.utils import get_tenant_database_alias

from messages_extends.exceptions import MessagesExtendsError
from messages_extends.tenancy.schemas import inside
from messages_extends.tenancy.tenant_tables import existing_tables, tables_of


class TablesInTheWay(MessagesExtendsError, RuntimeError):
    """The missing tables cannot be made: other tables are there that the same migrations would make."""


def create_missing_tables(schema: str, labels: Collection[str]) -> None:
    """Apply the migrations of these apps in `schema` as if they had never been recorded there.

    One transaction: all of it or nothing. What depends on them keeps its tables and its record.
    """
    with inside(schema), transaction.atomic(using=get_tenant_database_alias()):
        connection = connections[get_tenant_database_alias()]
        with connection.cursor() as cursor:
            # Rows that a migration writes would otherwise forbid the next one to change their table.
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        forgotten = _forget(connection, labels)
        executor = MigrationExecutor(connection)
        targets = [node for node in executor.loader.graph.leaf_nodes() if node[0] in labels]
        plan = executor.migration_plan(targets)
        _require_free(schema, {migration.app_label for migration, _backwards in plan})
        executor.migrate(targets, plan)
        _remember(connection, forgotten)


def _forget(connection: BaseDatabaseWrapper, labels: Collection[str]) -> "list[MigrationRecorder.Migration]":
    """Delete the records of these apps' migrations, and of those that depend on them; return what was deleted.

    Django refuses to apply a migration once another has been that depends on it.
    """
    graph = MigrationExecutor(connection).loader.graph
    nodes = [node for node in graph.nodes if node[0] in labels]
    depending = {key for node in nodes for key in graph.backwards_plan(node)}
    rows = MigrationRecorder(connection).migration_qs
    forgotten = [row for row in rows.order_by("pk") if row.app in labels or (row.app, row.name) in depending]
    rows.filter(pk__in=[row.pk for row in forgotten]).delete()
    return forgotten


def _require_free(schema: str, labels: set[str]) -> None:
    tables = tables_of(labels)
    found = existing_tables([schema], set().union(*tables.values()))[schema]
    if found:
        raise TablesInTheWay(f"These tables are in the way in {schema}: {', '.join(sorted(found))}.")


def _remember(connection: BaseDatabaseWrapper, forgotten: "Collection[MigrationRecorder.Migration]") -> None:
    rows = MigrationRecorder(connection).migration_qs
    recorded = set(rows.values_list("app", "name"))
    for row in forgotten:
        if (row.app, row.name) not in recorded:
            row.pk = None
            row.save(force_insert=True, using=connection.alias)
