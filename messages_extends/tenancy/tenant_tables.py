"""Compare the tables that each schema has with those that it should have."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from django.apps import apps
from django.db import connections
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations import CreateModel
from django.db.migrations.operations.base import Operation
from django_tenants.utils import (
    get_multi_type_database_field_name,
    get_public_schema_name,
    get_tenant_database_alias,
    get_tenant_model,
    has_multi_type_tenants,
    quote_schema_name,
)

from messages_extends.tenancy.schemas import apps_of, current_schema, in_schema, is_public, shared_apps
from messages_extends.tenancy.table_location import has_table

RECORDED_MIGRATIONS: Final = "SELECT app, name FROM {schema}.django_migrations"


@dataclass(frozen=True)
class Schema:
    """A schema and the labels of the apps whose tables belong there."""

    name: str
    apps: frozenset[str]


def existing_schemas() -> list[Schema]:
    """Return the public schema and those of all tenants; inside a tenant, only its own schema."""
    here, public = current_schema(), str(get_public_schema_name())
    every = [Schema(public, shared_apps()), *_tenants()]
    return every if is_public(here) else [each for each in every if each.name == here]


def _tenants() -> Iterator[Schema]:
    connection = connections[get_tenant_database_alias()]
    model = get_tenant_model()
    with in_schema(get_public_schema_name()):
        if not has_table(connection, get_public_schema_name(), model._meta.db_table):
            return
        kind = get_multi_type_database_field_name() if has_multi_type_tenants() else "schema_name"
        types = dict(model._default_manager.values_list("schema_name", kind))
    with connection.cursor() as cursor:
        cursor.execute("SELECT nspname FROM pg_namespace WHERE nspname = ANY(%s) ORDER BY 1", [list(types)])
        existing = [name for (name,) in cursor.fetchall()]
    for name in existing:
        if not is_public(name):
            yield Schema(name, apps_of(types[name] if has_multi_type_tenants() else None))


def tables_of(labels: Iterable[str]) -> dict[str, set[str]]:
    """Return the tables of each app by its label, without apps that have none. Proxy models do not count."""
    configs = [apps.app_configs[label] for label in labels if label in apps.app_configs]
    tables = {
        config.label: {
            model._meta.db_table
            for model in config.get_models(include_auto_created=True)
            if model._meta.managed and not model._meta.proxy
        }
        for config in configs
    }
    return {label: names for label, names in tables.items() if names}


def existing_tables(schemas: Collection[str], tables: Collection[str]) -> dict[str, set[str]]:
    """Return which of `tables` exist in each of `schemas`. Views count, because a search path finds them as well."""
    found: dict[str, set[str]] = {schema: set() for schema in schemas}
    with connections[get_tenant_database_alias()].cursor() as cursor:
        cursor.execute(
            "SELECT nspname, relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace "
            "WHERE nspname = ANY(%s) AND relname = ANY(%s) AND relkind IN ('r', 'p', 'v', 'm', 'f')",
            [list(schemas), list(tables)],
        )
        for schema, table in cursor.fetchall():
            found[schema].add(table)
    return found


def tables_of_shared_apps_in_tenants() -> list[str]:
    """Return the tables of shared apps in tenants' schemas, which hide the public ones, as `schema.table`."""
    shared = shared_apps()
    own = tables_of(shared)
    tenants = [schema for schema in existing_schemas() if not is_public(schema.name)]
    found = existing_tables([schema.name for schema in tenants], set().union(*own.values()))
    return sorted(
        f"{schema.name}.{table}"
        for schema in tenants
        for table in found[schema.name] & set().union(*(own[label] for label in own.keys() - schema.apps))
    )


def apps_without_tables() -> dict[str, list[str]]:
    """Return the labels of apps that have recorded migrations but no tables, by schema.

    django-tenants records a migration in every schema but creates tables only where the app is listed. An app that is
    listed later is therefore considered migrated.
    """
    schemas = existing_schemas()
    own = tables_of(set().union(*(schema.apps for schema in schemas)))
    existing = existing_tables([schema.name for schema in schemas], set().union(*own.values()))
    suspects = {
        schema.name: {label for label in schema.apps & own.keys() if not own[label] & existing[schema.name]}
        for schema in schemas
    }
    if not any(suspects.values()):
        return {}
    migrations = MigrationLoader(None, ignore_no_migrations=True).disk_migrations
    creating = {key for key, migration in migrations.items() if any(map(_creates_model, migration.operations))}
    missing = {name: sorted(labels & _recorded(name, creating)) for name, labels in suspects.items() if labels}
    return {name: labels for name, labels in missing.items() if labels}


def _creates_model(operation: Operation) -> bool:
    nested = [*getattr(operation, "operations", ()), *getattr(operation, "database_operations", ())]
    return isinstance(operation, CreateModel) or any(_creates_model(each) for each in nested)


def _recorded(schema: str, migrations: set[tuple[str, str]]) -> set[str]:
    """Return the labels of the apps that have recorded one of these migrations in `schema`."""
    connection = connections[get_tenant_database_alias()]
    if not has_table(connection, schema, "django_migrations"):
        return set()
    with connection.cursor() as cursor:
        cursor.execute(RECORDED_MIGRATIONS.format(schema=quote_schema_name(schema)))
        return {label for label, name in cursor.fetchall() if (label, name) in migrations}
