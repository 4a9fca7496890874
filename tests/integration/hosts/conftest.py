"""Fixtures of the host projects.

Each suite runs under its own settings, in a process of its own, without tests/conftest.py:

    cd tests/integration/hosts
    python -m pytest --confcutdir=. --ds=tests.integration.hosts.operators.settings operators

test_hosts.py does that for the main suite, which collects none of them.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import DEFAULT_DB_ALIAS, connection
from django.test import Client
from django.test.utils import setup_databases, teardown_databases
from django_tenants.utils import get_tenant_domain_model, get_tenant_model, schema_context
from pytest_django import DjangoDbBlocker

HOSTS = ("folders", "live", "naive_times", "no_groups", "operators", "shared_users", "tenant_users", "types")
SCHEMAS = ("public", "t1", "t2")
# tests/integration/hosts/test_hosts.py runs this one for each type of key.
WITH_KEYS = ("keys",)
# These need more than the tests' own server: tests/integration/hosts/test_replica.py starts two for it.
WITH_SERVERS = ("replica",)

collect_ignore = [
    host
    for host in (*HOSTS, *WITH_KEYS, *WITH_SERVERS)
    if os.environ["DJANGO_SETTINGS_MODULE"] != f"tests.integration.hosts.{host}.settings"
]


@pytest.fixture(scope="session")
def django_db_setup(
    django_test_environment: None, django_db_blocker: DjangoDbBlocker, make_tenants: Callable[[], None]
) -> Iterator[None]:
    """Make the test database with its tenants, once for the whole run.

    Not by pytest-django's fixture of this name: that makes one only where a test asks for `db` by name.
    """
    with django_db_blocker.unblock():
        made = setup_databases(verbosity=0, interactive=False, aliases={DEFAULT_DB_ALIAS})
        make_tenants()
    yield
    with django_db_blocker.unblock():
        teardown_databases(made, verbosity=0)


@pytest.fixture(scope="session")
def make_tenants() -> Callable[[], None]:
    """Return what fills the test database; a host with another history has one of its own."""

    def make() -> None:
        for schema in SCHEMAS:
            make_tenant(schema)

    return make


def make_tenant(schema: str) -> None:
    tenant = get_tenant_model()(schema_name=schema)
    tenant.save(verbosity=0)
    get_tenant_domain_model().objects.create(tenant=tenant, domain=host_name(schema))


def host_name(schema: str) -> str:
    return "example.com" if schema == "public" else f"{schema}.example.com"


@contextmanager
def in_database(name: str, template: str = "template1") -> Iterator[None]:
    """Work in a database that is made for this block, from another one perhaps, and dropped after it."""
    original = connection.settings_dict["NAME"]
    connection.close()
    _drop_database(name)
    with connection._nodb_cursor() as cursor:
        cursor.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    connection.settings_dict["NAME"] = name
    try:
        yield
    finally:
        connection.set_schema_to_public()
        connection.close()
        connection.settings_dict["NAME"] = original
        _drop_database(name)


def _drop_database(name: str) -> None:
    with connection._nodb_cursor() as cursor:
        cursor.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


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
