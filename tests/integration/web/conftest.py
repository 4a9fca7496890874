"""Fixtures of the pages' tests."""

import pytest
from django.test import Client

from tenants.models import Tenant
from tenants.people.models import User
from tests.factories import BrowserOf


@pytest.fixture
def browser(in_acme: Tenant, alice: User, browser_of: BrowserOf) -> Client:
    """Alice's browser at acme; the test runs inside acme."""
    return browser_of(in_acme, alice)
