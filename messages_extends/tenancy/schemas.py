"""Which schema holds what, asked of django-tenants' settings."""

from django.conf import settings
from django.db import connections
from django.http import HttpRequest
from django_tenants.utils import app_labels, get_public_schema_name, get_tenant_database_alias


def current_schema() -> str:
    """Return the schema that this thread's next query runs in.

    The event loop's connection always says "public": ask in synchronous code only.
    """
    return str(connections[get_tenant_database_alias()].schema_name)


def schema_of(request: HttpRequest) -> str:
    """Return the schema of the organisation that `request` is for; it is right in async code too."""
    tenant = getattr(request, "tenant", None)
    return current_schema() if tenant is None else str(tenant.schema_name)


def is_public(schema: str) -> bool:
    return bool(schema == get_public_schema_name())


def is_shared(app: str) -> bool:
    """Tell whether the public schema has the tables of the app with this label."""
    return app in app_labels(settings.SHARED_APPS)


def is_per_tenant(app: str) -> bool:
    """Tell whether every tenant's schema has tables of its own for the app with this label."""
    return app in app_labels(settings.TENANT_APPS)
