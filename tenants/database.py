"""The database that the organisations' schemas are in."""

from typing import Any

from django.db import connections
from django_tenants.utils import get_tenant_database_alias


def connection() -> Any:
    """Return this thread's connection; django-tenants' backend gives it a tenant and a schema name."""
    return connections[get_tenant_database_alias()]
