"""The database with the organisations' schemas."""

from typing import Any, Final

from django.db import InterfaceError, OperationalError, connections
from django_tenants.utils import get_tenant_database_alias


def connection() -> Any:
    """Return this thread's connection; django-tenants' backend gives it a tenant and a schema name."""
    return connections[get_tenant_database_alias()]


# Errors of PostgreSQL for valid statements: the server has become a read-only standby, or has ended a transaction that
# took too long. Django has no exception classes for them.
PASSING: Final = ("25006", "25P03", "25P04")


def is_passing(error: BaseException | None) -> bool:
    """Tell whether a request failed only because the database was unavailable, so that repeating it may succeed.

    These are connections that failed or were closed, statements that were cancelled or timed out, a full disk, and
    deadlocks.
    """
    if isinstance(error, OperationalError | InterfaceError):
        return True
    return getattr(getattr(error, "__cause__", None), "sqlstate", None) in PASSING
