"""Checks of the database connection and of the tables in each schema."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any, Final

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning  # noqa: A004 - Django's name
from django.db import connections, router
from django_tenants.utils import get_limit_set_calls, get_public_schema_name, get_tenant_database_alias

from messages_extends.checks.registry import register
from messages_extends.tenancy.schemas import current_schema, is_per_tenant, is_public, is_shared
from messages_extends.tenancy.tenant_tables import apps_without_tables, tables_of_shared_apps_in_tenants

# The maximum number of names in a message.
MAX_NAMES: Final = 10


def _database(alias: str | None = None) -> dict[str, Any]:
    return settings.DATABASES[alias or get_tenant_database_alias()]


def _uses_own_backend(alias: str | None = None) -> bool:
    # It imports psycopg 3, which a project with another backend may not have installed.
    from messages_extends.tenancy.backend.base import DatabaseWrapper

    try:
        module = import_module(f"{_database(alias)['ENGINE']}.base")
    except ImportError:
        return False
    return issubclass(module.DatabaseWrapper, DatabaseWrapper)


@register
def check_limited_set_calls(**_kwargs: object) -> list[CheckMessage]:
    if not get_limit_set_calls() or _uses_own_backend():
        return []
    return [
        Error(
            "TENANT_LIMIT_SET_CALLS trusts a search path that the server may have reverted: after an error inside "
            "a transaction, rows of another organisation may be read.",
            hint='Set ENGINE = "messages_extends.tenancy.backend" in DATABASES, which makes it safe, or '
            "TENANT_LIMIT_SET_CALLS = False.",
            id="messages_extends.E010",
        )
    ]


@register
def check_backend(**_kwargs: object) -> list[CheckMessage]:
    if _uses_own_backend():
        return []
    return [
        Error(
            f"The database backend {_database()['ENGINE']!r} ignores a failed SET search_path: the next query "
            "may read rows of another organisation.",
            hint='Set ENGINE = "messages_extends.tenancy.backend" in DATABASES, or a subclass; it extends '
            "ORIGINAL_BACKEND, as django-tenants' backend does.",
            id="messages_extends.E011",
        )
    ]


@register
def check_replica_backends(**_kwargs: object) -> list[CheckMessage]:
    per_tenant = [model for model in apps.get_models() if is_per_tenant(model._meta.app_label)]
    # The aliases from which routers read tenants' tables, each with the path of a router.
    found: dict[str, str] = {}
    for each in router.routers:
        if hasattr(each, "db_for_read"):
            kind = type(each)
            # Repeated, because a router may choose a replica at random.
            aliases = {each.db_for_read(model) for model in per_tenant for _ in range(20)} - {None}
            found |= dict.fromkeys(aliases - found.keys(), f"{kind.__module__}.{kind.__qualname__}")
    return [
        Error(
            f"The router {name} reads from {alias!r}, whose database backend {_database(alias)['ENGINE']!r} does not "
            "follow the current organisation: it may read rows of the public schema or of another organisation.",
            hint=f'Set ENGINE = "messages_extends.tenancy.backend" for {alias!r} in DATABASES, or a subclass of it.',
            id="messages_extends.E090",
        )
        for alias, name in sorted(found.items())
        if alias in settings.DATABASES and alias != get_tenant_database_alias() and not _uses_own_backend(alias)
    ]


@register
def check_pool_without_persistent_connections(**_kwargs: object) -> list[CheckMessage]:
    if not _has_pool() or _max_age() == 0:
        return []
    return [
        Error(
            "A connection pool cannot be combined with persistent connections (CONN_MAX_AGE).",
            hint="Set CONN_MAX_AGE = 0 in DATABASES, or remove the pool from its OPTIONS.",
            id="messages_extends.E012",
        )
    ]


@register
def check_asgi_without_persistent_connections(**_kwargs: object) -> list[CheckMessage]:
    if not getattr(settings, "ASGI_APPLICATION", None) or _has_pool() or _max_age() == 0:
        return []
    return [
        Warning(
            "Under ASGI, persistent connections (CONN_MAX_AGE) belong to threads that end, which causes errors and "
            "leaves connections open.",
            hint='Set CONN_MAX_AGE = 0 and, for speed, "pool": True in the OPTIONS of DATABASES. If you use '
            "WSGI only, remove ASGI_APPLICATION.",
            id="messages_extends.W013",
        )
    ]


@register
def check_transaction_pooling(**_kwargs: object) -> list[CheckMessage]:
    if not _database().get("DISABLE_SERVER_SIDE_CURSORS"):
        return []
    return [
        Warning(
            "DISABLE_SERVER_SIDE_CURSORS suggests a proxy in transaction mode (pgbouncer), with which the search path "
            "leaks from one organisation's request into another's.",
            hint="Use session mode, or psycopg's own pool instead of the proxy, and remove the setting.",
            id="messages_extends.W014",
        )
    ]


@register(Tags.database)
def check_connection_processes(databases: Sequence[str] | None = None, **_kwargs: object) -> list[CheckMessage]:
    """Detect a proxy in transaction mode, with which the search path may be that of another client."""
    alias = get_tenant_database_alias()
    # migrate_schemas runs the checks for each tenant; once, in public, is enough.
    if alias not in (databases or ()) or not _uses_own_backend() or not is_public(current_schema()):
        return []
    # It imports psycopg 3, like the backend.
    from messages_extends.checks.pooling import process_ids_of_two_connections

    first, second = process_ids_of_two_connections()
    if max(len(first), len(second)) <= 1 and not first & second:
        return []
    return [
        Error(
            "Two connections share a database process, or one connection uses several: there is a proxy in "
            "transaction mode (pgbouncer), with which the search path leaks from one organisation's request into "
            "another's.",
            hint="Use session mode, or psycopg's own pool instead of the proxy.",
            id="messages_extends.E060",
        )
    ]


def _has_pool() -> bool:
    return bool(_database().get("OPTIONS", {}).get("pool"))


def _max_age() -> int | None:
    age: int | None = _database().get("CONN_MAX_AGE", 0)
    return age


@register(Tags.database)
def check_tables_outside_tenants(databases: Sequence[str] | None = None, **_kwargs: object) -> list[CheckMessage]:
    """Report tables of tenant apps in schemas that are in every tenant's search path."""
    alias = get_tenant_database_alias()
    if alias not in (databases or ()):
        return []
    # The table of a proxy model belongs to another app.
    models = [model for model in apps.get_models(include_auto_created=True) if not model._meta.proxy]
    shared = {model._meta.db_table for model in models if is_shared(model._meta.app_label)}
    per_tenant = {model._meta.db_table for model in models if is_per_tenant(model._meta.app_label)}
    schemas = [get_public_schema_name(), *getattr(settings, "PG_EXTRA_SEARCH_PATHS", [])]
    with connections[alias].cursor() as cursor:
        # Including views, which a search path finds as well.
        cursor.execute(
            "SELECT nspname || '.' || relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace "
            "WHERE nspname = ANY(%s) AND relname = ANY(%s) AND relkind IN ('r', 'p', 'v', 'm', 'f') ORDER BY 1",
            [schemas, list(per_tenant - shared)],
        )
        found = [row[0] for row in cursor.fetchall()]
    if not found:
        return []
    return [
        Error(
            f"Tables of tenant apps exist outside of the tenants' schemas: {', '.join(found)}. If a tenant's own "
            "table is missing, they are read and written instead.",
            hint="Move their rows to the tenants, then rename or drop them. For messages_extends_message use the "
            "command import_messages_extends.",
            id="messages_extends.E015",
        )
    ]


def _first_of(names: Sequence[str]) -> str:
    """Return the first names for a message."""
    shown = ", ".join(names[:MAX_NAMES])
    return f"{shown} and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else shown


@register(Tags.database)
def check_shared_tables_in_tenants(databases: Sequence[str] | None = None, **_kwargs: object) -> list[CheckMessage]:
    """Report tables of shared apps in tenants' schemas, which hide those of the public schema."""
    if get_tenant_database_alias() not in (databases or ()):
        return []
    found = tables_of_shared_apps_in_tenants()
    if not found:
        return []
    return [
        Error(
            f"Tenants have their own tables of apps that are in SHARED_APPS only: {_first_of(found)}. They are "
            "read and written instead of those in the public schema.",
            hint="For django_content_type run share_content_types. For other tables move the rows to the public "
            "schema, then rename or drop the tables.",
            id="messages_extends.E080",
        )
    ]


@register(Tags.database)
def check_recorded_migrations(databases: Sequence[str] | None = None, **_kwargs: object) -> list[CheckMessage]:
    """Report apps whose migrations are recorded in a schema that has none of their tables."""
    if get_tenant_database_alias() not in (databases or ()):
        return []
    missing = [f"{label} in {schema}" for schema, labels in apps_without_tables().items() for label in labels]
    if not missing:
        return []
    return [
        Error(
            f"The migrations of these apps are recorded as applied, but their tables do not exist: "
            f"{_first_of(missing)}. They were recorded before the app was listed for that schema.",
            hint="Run create_missing_tables, then migrate_schemas.",
            id="messages_extends.E081",
        )
    ]
