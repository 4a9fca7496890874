"""Tenants that are known by the name of their folder."""

from collections.abc import Callable

import pytest
from django_tenants.utils import get_tenant_domain_model, get_tenant_model


@pytest.fixture(scope="session")
def make_tenants() -> Callable[[], None]:
    def make() -> None:
        for schema in ("public", "t1", "t2"):
            tenant = get_tenant_model()(schema_name=schema)
            tenant.save(verbosity=0)
            get_tenant_domain_model().objects.create(tenant=tenant, domain=schema)

    return make
