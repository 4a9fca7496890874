"""Tell whether an organisation's tables match this code."""

from functools import cache
from typing import Final

from django.conf import settings
from django.db import DatabaseError, transaction
from django.db.migrations.loader import MigrationLoader
from django_tenants.utils import app_labels, quote_schema_name

from tenants.database import connection

# Schemas that have had all migrations. The migrations of this code do not change while the process runs.
_complete: Final[set[str]] = set()


def is_migrated(schema: str) -> bool:
    """Tell whether all migrations of this code are recorded in `schema`; the answer is cached once it is true.

    While an organisation is being migrated, or after its migration has failed, its tables are neither the old nor the
    new ones: statements could fail, or write data that the next migration does not expect.
    """
    if schema not in _complete and _latest() <= _recorded_in(schema):
        _complete.add(schema)
    return schema in _complete


@cache
def _latest() -> set[tuple[str, str]]:
    """Return the last migration of each app with tables in organisations."""
    per_tenant = set(app_labels(settings.TENANT_APPS))
    graph = MigrationLoader(None, ignore_no_migrations=True).graph
    return {(app, name) for app, name in graph.leaf_nodes() if app in per_tenant}


def _recorded_in(schema: str) -> set[tuple[str, str]]:
    """Return the migrations that are recorded as applied in a schema; none if it was never migrated."""
    statement = f"SELECT app, name FROM {quote_schema_name(schema)}.django_migrations"  # noqa: S608 - quoted
    try:
        with transaction.atomic(using=connection().alias), connection().cursor() as cursor:
            cursor.execute(statement)
            return set(cursor.fetchall())
    except DatabaseError:
        return set()
