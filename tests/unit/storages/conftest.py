"""Fixtures of the storages' tests."""

import pytest

from tenants.models import Tenant
from tenants.people.models import User
from tests.factories import MakeUser


@pytest.fixture
def sally(in_acme: Tenant, make_user: MakeUser) -> User:
    """Somebody of acme; the test runs inside acme."""
    return make_user("sally")
