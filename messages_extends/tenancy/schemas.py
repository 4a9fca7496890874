"""Which schema is current, which one a request is for, and what each holds."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import connections
from django.http import HttpRequest
from django_tenants.utils import (
    app_labels,
    get_public_schema_name,
    get_tenant_database_alias,
    get_tenant_types,
    has_multi_type_tenants,
    schema_context,
)


def current_schema() -> str:
    """Return the schema that this thread's next query runs in.

    The event loop's connection always says "public": ask in synchronous code only.
    """
    connection: Any = connections[get_tenant_database_alias()]
    return str(connection.schema_name)


def schema_of(request: HttpRequest) -> str:
    """Return the schema of the organisation that `request` is for; in async code too, once a middleware set it."""
    tenant = getattr(request, "tenant", None)
    return current_schema() if tenant is None else str(tenant.schema_name)


@contextmanager
def inside(schema: str) -> Iterator[None]:
    """Run a block of synchronous code in `schema`, without a round trip where that is current already."""
    if current_schema() == schema:
        yield
        return
    with schema_context(schema):
        yield


def is_public(schema: str) -> bool:
    return bool(schema == get_public_schema_name())


def is_shared(app_label: str) -> bool:
    """Tell whether the public schema has the tables of this app."""
    shared, _per_tenant = _lists_of_apps()
    return app_label in app_labels(shared)


def is_per_tenant(app_label: str) -> bool:
    """Tell whether tenants' schemas have tables of their own for this app."""
    _shared, per_tenant = _lists_of_apps()
    return app_label in app_labels(per_tenant)


def users_are_shared() -> bool:
    """Tell whether all organisations have the same people."""
    label = get_user_model()._meta.app_label
    return is_shared(label) and not is_per_tenant(label)


def per_tenant_apps() -> list[str]:
    """Return the entries of INSTALLED_APPS that tenants' schemas have tables of."""
    _shared, per_tenant = _lists_of_apps()
    return per_tenant


def _lists_of_apps() -> tuple[list[str], list[str]]:
    """Return the apps of the public schema and those of tenants, of every type where tenants have types."""
    if not has_multi_type_tenants():
        return settings.SHARED_APPS, settings.TENANT_APPS
    types = dict(get_tenant_types())
    shared = types.pop(get_public_schema_name())["APPS"]
    return shared, [app for tenant_type in types.values() for app in tenant_type["APPS"]]
