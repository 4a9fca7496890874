"""Tenants as django-tenant-users makes them: with an owner, inside a transaction."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django_tenants.utils import get_tenant_model


@pytest.fixture(scope="session")
def make_tenants() -> Callable[[], None]:
    def make() -> None:
        from tenant_users.tenants.tasks import provision_tenant
        from tenant_users.tenants.utils import create_public_tenant

        create_public_tenant("example.com", "root@example.com", is_superuser=True, is_staff=True, verbosity=0)
        for schema in ("t1", "t2"):
            owner = get_user_model().objects.create_user(f"owner-{schema}@example.com")
            provision_tenant(schema, schema, owner, schema_name=schema)

    return make


@pytest.fixture
def make_person(db: None) -> Callable[..., Any]:
    """Make somebody who belongs to these tenants."""

    def make(name: str, *schemas: str) -> Any:
        person = get_user_model().objects.create_user(f"{name}@example.com")
        for tenant in get_tenant_model().objects.filter(schema_name__in=schemas):
            tenant.add_user(person)
        return person

    return make
