"""The database connection, and what lies in the public schema."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any, Final

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004 - Django's name
from django.db import connections, router
from django_tenants.utils import get_limit_set_calls, get_public_schema_name, get_tenant_database_alias

from messages_extends.tenancy.schemas import current_schema, is_per_tenant, is_public, is_shared
from messages_extends.tenancy.tenant_tables import apps_without_tables, tables_of_shared_apps_in_tenants

# Of tables and apps that are many, a check names this many.
NAMED: Final = 10


def _database(alias: str | None = None) -> dict[str, Any]:
    return settings.DATABASES[alias or get_tenant_database_alias()]


def _backend_is_ours(alias: str | None = None) -> bool:
    # Imported here: it imports the PostgreSQL driver, which a project without our backend may lack.
    from messages_extends.tenancy.backend.base import DatabaseWrapper

    try:
        module = import_module(f"{_database(alias)['ENGINE']}.base")
    except ImportError:
        return False
    return issubclass(module.DatabaseWrapper, DatabaseWrapper)


@register
def set_calls_are_limited_safely(**_kwargs: object) -> list[CheckMessage]:
    if not get_limit_set_calls() or _backend_is_ours():
        return []
    return [
        Error(
            "TENANT_LIMIT_SET_CALLS trusts a search path that the server may have taken back: after an error inside "
            "a transaction another organisation's rows are read.",
            hint='Set ENGINE = "messages_extends.tenancy.backend" in DATABASES, which makes it safe, or '
            "TENANT_LIMIT_SET_CALLS = False.",
            id="messages_extends.E010",
        )
    ]


@register
def backend_is_ours(**_kwargs: object) -> list[CheckMessage]:
    if _backend_is_ours():
        return []
    return [
        Error(
            f"The database backend {_database()['ENGINE']!r} ignores a failed SET search_path: the query after it "
            "then reads the previous organisation's rows.",
            hint='Set ENGINE = "messages_extends.tenancy.backend" in DATABASES, or a subclass; it stands on '
            "ORIGINAL_BACKEND as django-tenants' own does.",
            id="messages_extends.E011",
        )
    ]


@register
def replicas_use_our_backend(**_kwargs: object) -> list[CheckMessage]:
    return [
        Error(
            f"The router {name} reads from {alias!r}, whose database backend {_database(alias)['ENGINE']!r} does not "
            "follow the current organisation: it reads the public schema's rows, or another organisation's.",
            hint=f'Set ENGINE = "messages_extends.tenancy.backend" for {alias!r} in DATABASES, or a subclass of it.',
            id="messages_extends.E090",
        )
        for alias, name in sorted(_read_aliases().items())
        if alias in settings.DATABASES and alias != get_tenant_database_alias() and not _backend_is_ours(alias)
    ]


def _read_aliases() -> dict[str, str]:
    """Return the aliases that routers read the organisations' tables from, each with a router that names it."""
    found: dict[str, str] = {}
    per_tenant = [model for model in apps.get_models() if is_per_tenant(model._meta.app_label)]
    for each in router.routers:
        if hasattr(each, "db_for_read"):
            kind = type(each)
            # Several times, as one may choose among replicas at random.
            aliases = {each.db_for_read(model) for model in per_tenant for _ in range(20)} - {None}
            found |= dict.fromkeys(aliases - found.keys(), f"{kind.__module__}.{kind.__qualname__}")
    return found


@register
def pool_has_no_persistent_connections(**_kwargs: object) -> list[CheckMessage]:
    if not _has_pool() or _max_age() == 0:
        return []
    return [
        Error(
            "The connection pool and CONN_MAX_AGE exclude each other.",
            hint="Set CONN_MAX_AGE = 0 in DATABASES, or take the pool out of its OPTIONS.",
            id="messages_extends.E012",
        )
    ]


@register
def asgi_has_no_persistent_connections(**_kwargs: object) -> list[CheckMessage]:
    if not getattr(settings, "ASGI_APPLICATION", None) or _has_pool() or _max_age() == 0:
        return []
    return [
        Warning(
            "Under ASGI, persistent connections (CONN_MAX_AGE) belong to threads that end: errors, and connections "
            "that stay open.",
            hint='Set CONN_MAX_AGE = 0 and, for speed, "pool": True in the OPTIONS of DATABASES. Served by WSGI '
            "alone? Remove ASGI_APPLICATION.",
            id="messages_extends.W013",
        )
    ]


@register
def no_transaction_pooling(**_kwargs: object) -> list[CheckMessage]:
    if not _database().get("DISABLE_SERVER_SIDE_CURSORS"):
        return []
    return [
        Warning(
            "DISABLE_SERVER_SIDE_CURSORS is what a proxy in transaction mode (pgbouncer) needs; there a search path "
            "leaks from one organisation's request into another's.",
            hint="Put the proxy into session mode, or replace it by psycopg's own pool, and remove the setting.",
            id="messages_extends.W014",
        )
    ]


@register(Tags.database)
def connections_keep_their_backend(databases: Sequence[str] | None = None, **_kwargs: object) -> list[CheckMessage]:
    """Find a proxy that gives each transaction another connection: there a search path is another client's."""
    alias = get_tenant_database_alias()
    # Migrating asks for each organisation anew: once, in public, is enough.
    if alias not in (databases or ()) or not _backend_is_ours() or not is_public(current_schema()):
        return []
    # Imported here, like the backend: it needs the PostgreSQL driver.
    from messages_extends.checks.pooling import process_ids_of_two_connections

    first, second = process_ids_of_two_connections()
    if max(len(first), len(second)) <= 1 and not first & second:
        return []
    return [
        Error(
            "Two connections to the database are served by one process of it, or one by several: a proxy in "
            "transaction mode stands between (pgbouncer), where a search path leaks from one organisation's request "
            "into another's.",
            hint="Put the proxy into session mode, or replace it by psycopg's own pool.",
            id="messages_extends.E060",
        )
    ]


def _has_pool() -> bool:
    return bool(_database().get("OPTIONS", {}).get("pool"))


def _max_age() -> int | None:
    age: int | None = _database().get("CONN_MAX_AGE", 0)
    return age


@register(Tags.database)
def no_table_fell_through(databases: Sequence[str] | None = None, **_kwargs: object) -> list[CheckMessage]:
    """Refuse a table of a tenant-only app in a schema that every tenant's search path goes on to."""
    alias = get_tenant_database_alias()
    if alias not in (databases or ()):
        return []
    found = _existing(alias, _tenant_only_tables())
    if not found:
        return []
    return [
        Error(
            f"Tables of apps that are per organisation lie outside the organisations: {', '.join(found)}. Where a "
            "tenant's own table is missing, they are read and written instead.",
            hint="Bring their rows into the organisations, then rename or drop them; for messages_extends_message "
            "the command import_messages_extends does that.",
            id="messages_extends.E015",
        )
    ]


def _tenant_only_tables() -> set[str]:
    per_tenant: set[str] = set()
    shared: set[str] = set()
    for app in apps.get_app_configs():
        # A proxy has its table in another app, perhaps a shared one.
        models = [model for model in app.get_models(include_auto_created=True) if not model._meta.proxy]
        tables = {model._meta.db_table for model in models}
        (shared if is_shared(app.label) else per_tenant if is_per_tenant(app.label) else set()).update(tables)
    return per_tenant - shared


def _existing(alias: str, tables: set[str]) -> list[str]:
    schemas = [get_public_schema_name(), *getattr(settings, "PG_EXTRA_SEARCH_PATHS", [])]
    with connections[alias].cursor() as cursor:
        # Views as well: a search path finds them like tables.
        cursor.execute(
            "SELECT nspname || '.' || relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace "
            "WHERE nspname = ANY(%s) AND relname = ANY(%s) AND relkind IN ('r', 'p', 'v', 'm', 'f') ORDER BY 1",
            [schemas, list(tables)],
        )
        return [row[0] for row in cursor.fetchall()]


def _first_of(names: Sequence[str]) -> str:
    """Name the first ones, for a sentence."""
    shown = ", ".join(names[:NAMED])
    return f"{shown} and {len(names) - NAMED} more" if len(names) > NAMED else shown


@register(Tags.database)
def shared_tables_are_in_public_alone(databases: Sequence[str] | None = None, **_kwargs: object) -> list[CheckMessage]:
    """Refuse a tenant's own table of an app that is shared only: the tenant reads it in place of public's."""
    if get_tenant_database_alias() not in (databases or ()):
        return []
    found = tables_of_shared_apps_in_tenants()
    if not found:
        return []
    return [
        Error(
            f"Tenants have tables of their own of apps that are in SHARED_APPS alone: {_first_of(found)}. There they "
            "are read and written in place of those in the public schema.",
            hint="For django_content_type run share_content_types. For others bring their rows into the public "
            "schema, then rename or drop them.",
            id="messages_extends.E080",
        )
    ]


@register(Tags.database)
def recorded_migrations_made_tables(databases: Sequence[str] | None = None, **_kwargs: object) -> list[CheckMessage]:
    """Refuse apps whose migrations a schema has recorded as applied, though it has none of their tables."""
    if get_tenant_database_alias() not in (databases or ()):
        return []
    missing = [f"{label} in {schema}" for schema, labels in apps_without_tables().items() for label in labels]
    if not missing:
        return []
    return [
        Error(
            f"The migrations of these apps are recorded as applied, but none of their tables are there: "
            f"{_first_of(missing)}. They were recorded before the app was listed for that schema.",
            hint="Run create_missing_tables, and then migrate_schemas.",
            id="messages_extends.E081",
        )
    ]
