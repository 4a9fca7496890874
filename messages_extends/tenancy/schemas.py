"""The current schema, the schema of a request, and the apps of each schema."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, cast

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django_tenants.utils import (
    app_labels,
    get_multi_type_database_field_name,
    get_tenant_model,
    get_tenant_types,
    schema_context,
)

from messages_extends.exceptions import NoGroups, NoTenant
from messages_extends.tenancy.tenant_settings import (
    cached_until_settings_change,
    has_tenant_types,
    public_schema,
    tenant_database,
)


class Tenant(Protocol):
    """The part of a tenant model that this package uses; django-tenants has no type hints."""

    schema_name: str

    def get_tenant_type(self) -> str | None: ...


class TenantConnection(Protocol):
    """What the database backend of django-tenants adds to a connection."""

    schema_name: str
    tenant: Tenant | None

    def set_schema_to_public(self) -> None: ...


def current_schema() -> str:
    """Return the schema in which this thread's next query runs.

    Call it in synchronous code only: the event loop's connection is always in the public schema.
    """
    return str(tenant_connection(connections[tenant_database()]).schema_name)


def tenant_connection(connection: BaseDatabaseWrapper) -> TenantConnection:
    """Return `connection` typed as one of the database backend of django-tenants."""
    return cast(TenantConnection, connection)


def schema_of(request: HttpRequest) -> str:
    """Return the schema of the request's tenant. It also works in async code, once a middleware has set the tenant."""
    tenant = getattr(request, "tenant", None)
    return current_schema() if tenant is None else str(tenant.schema_name)


@contextmanager
def in_schema(schema: str) -> Iterator[None]:
    """Run a block of synchronous code in `schema`, without a query if it is the current schema."""
    if current_schema() == schema:
        yield
        return
    with schema_context(schema):
        yield


def is_public(schema: str) -> bool:
    return schema == public_schema()


def has_messages(schema: str) -> bool:
    """Tell whether `schema` belongs to a tenant whose type includes this app."""
    return tenant_has_app("messages_extends", schema)


def tenant_has_app(app_label: str, schema: str) -> bool:
    """Tell whether `schema` belongs to a tenant that has its own tables for this app."""
    if is_public(schema):
        return False
    if not has_tenant_types():
        # Checks ensure that TENANT_APPS lists the app.
        return True
    tenant = tenant_connection(connections[tenant_database()]).tenant
    known = tenant.get_tenant_type() if tenant is not None and tenant.schema_name == schema else None
    if known is None:
        # `schema_context` sets a tenant that has a name but no type.
        rows = get_tenant_model()._default_manager.filter(schema_name=schema)
        known = rows.values_list(get_multi_type_database_field_name(), flat=True).first()
    return app_label in apps_of(None if known is None else str(known))


def require_messages(schema: str) -> None:
    """Raise NoTenant unless `schema` has tables for messages."""
    if is_public(schema):
        raise NoTenant
    if not has_messages(schema):
        raise NoTenant(f"The tenant type of the schema {schema!r} does not include messages_extends.")


def tenants_with_messages() -> QuerySet[Model]:
    """Return the tenants that have messages: all except public, and with tenant types those that include this app."""
    tenants: QuerySet[Model] = get_tenant_model()._default_manager.exclude(schema_name=public_schema())
    if has_tenant_types():
        types = [name for name in _tenant_types() if "messages_extends" in apps_of(name)]
        tenants = tenants.filter(**{f"{get_multi_type_database_field_name()}__in": types})
    return tenants


def _tenant_types() -> list[str]:
    return [name for name in get_tenant_types() if not is_public(name)]


def apps_of(tenant_type: str | None = None) -> frozenset[str]:
    """Return the labels of the apps of a tenant. The type is ignored without tenant types."""
    if not has_tenant_types():
        return frozenset(app_labels(settings.TENANT_APPS))
    return frozenset(app_labels(get_tenant_types().get(tenant_type, {"APPS": []})["APPS"]))


def shared_apps() -> frozenset[str]:
    """Return the labels of the apps of the public schema."""
    shared, _per_tenant = _app_lists()
    return frozenset(app_labels(shared))


def is_installed_without(app_label: str, other: str) -> bool:
    """Tell whether some schema has the tables of one app but not those of the other."""
    of_tenants = map(apps_of, _tenant_types()) if has_tenant_types() else [apps_of()]
    return any(app_label in apps and other not in apps for apps in (shared_apps(), *of_tenants))


def is_shared(app_label: str) -> bool:
    """Tell whether the public schema has tables for this app."""
    shared, _per_tenant = _app_lists()
    return app_label in app_labels(shared)


def is_per_tenant(app_label: str) -> bool:
    """Tell whether the tenants' schemas have tables for this app."""
    _shared, per_tenant = _app_lists()
    return app_label in app_labels(per_tenant)


@cached_until_settings_change
def users_are_shared() -> bool:
    """Tell whether all tenants share the same users."""
    label = get_user_model()._meta.app_label
    return is_shared(label) and not is_per_tenant(label)


def user_model_has(name: str) -> bool:
    """Tell whether the user model has a field called `name`. Properties do not count."""
    options = get_user_model()._meta
    return any(field.name == name for field in (*options.fields, *options.many_to_many))


def require_groups() -> None:
    """Raise NoGroups if the user model has no groups."""
    if not user_model_has("groups"):
        raise NoGroups


def per_tenant_apps() -> list[str]:
    """Return the entries of INSTALLED_APPS that have tables in tenants' schemas."""
    _shared, per_tenant = _app_lists()
    return per_tenant


def _app_lists() -> tuple[list[str], list[str]]:
    """Return the apps of the public schema and the apps of tenants of all types."""
    if not has_tenant_types():
        return settings.SHARED_APPS, settings.TENANT_APPS
    types = dict(get_tenant_types())
    shared = types.pop(public_schema())["APPS"]
    return shared, [app for tenant_type in types.values() for app in tenant_type["APPS"]]
