"""One tenant of each type."""

from collections.abc import Callable

import pytest

from tests.integration.hosts.conftest import host_name
from tests.integration.hosts.types.tenants_of_types.models import Domain, Tenant

TYPES = {"public": "public", "t1": "full", "t2": "plain", "t3": "bare"}


@pytest.fixture(scope="session")
def make_tenants() -> Callable[[], None]:
    def make() -> None:
        for schema, kind in TYPES.items():
            tenant = Tenant(schema_name=schema, type=kind)
            tenant.save(verbosity=0)
            Domain.objects.create(tenant=tenant, domain=host_name(schema))

    return make
