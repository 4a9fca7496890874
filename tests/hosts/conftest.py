"""Fixtures of the host projects.

Each suite runs under its own settings, in a process of its own, without tests/conftest.py:

    python -m pytest --confcutdir=tests/hosts --ds=tests.hosts.operators.settings tests/hosts/operators

tests/hosts/test_hosts.py does that for the main suite, which collects none of them.
"""

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django_tenants.utils import get_tenant_domain_model, get_tenant_model, schema_context
from pytest_django import DjangoDbBlocker

HOSTS = ("operators", "shared_users")
SCHEMAS = ("public", "t1", "t2")

collect_ignore = [host for host in HOSTS if os.environ["DJANGO_SETTINGS_MODULE"] != f"tests.hosts.{host}.settings"]


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> None:
    """Add the tenants to the test database, once for the whole run."""
    with django_db_blocker.unblock():
        for schema in SCHEMAS:
            if not get_tenant_model().objects.filter(schema_name=schema).exists():
                _make_tenant(schema)


def _make_tenant(schema: str) -> None:
    tenant = get_tenant_model()(schema_name=schema)
    tenant.save(verbosity=0)
    get_tenant_domain_model().objects.create(tenant=tenant, domain=host_name(schema))


def host_name(schema: str) -> str:
    return "example.com" if schema == "public" else f"{schema}.example.com"


@pytest.fixture(autouse=True)
def _start_in_public() -> Iterator[None]:
    """Leave no test in the schema that the one before had entered."""
    connection.set_schema_to_public()
    yield
    connection.set_schema_to_public()


@pytest.fixture
def browser_at(db: None) -> Callable[..., Client]:
    """Make a test client that talks to one host name, logged in as `user` if one is given."""

    def make(schema: str, user: Any = None) -> Client:
        client = Client(headers={"host": host_name(schema)})
        if user is not None:
            with schema_context(schema):
                client.force_login(user)
        return client

    return make
