"""The database that the organisations' schemas are in."""

from typing import Any, Final

from django.db import InterfaceError, OperationalError, connections
from django_tenants.utils import get_tenant_database_alias


def connection() -> Any:
    """Return this thread's connection; django-tenants' backend gives it a tenant and a schema name."""
    return connections[get_tenant_database_alias()]


# What PostgreSQL says where nothing is wrong with what it was asked: it has become a standby that is read only, or has
# ended a transaction that took too long. Django has no class of their own for these.
PASSING: Final = ("25006", "25P03", "25P04")


def is_passing(error: BaseException | None) -> bool:
    """Tell whether a request failed only because the database could not serve it then: asked again, it may succeed.

    Connections that are cut or cannot be had, statements that are cancelled or took too long, a full disk, deadlocks.
    """
    if isinstance(error, OperationalError | InterfaceError):
        return True
    return getattr(getattr(error, "__cause__", None), "sqlstate", None) in PASSING
