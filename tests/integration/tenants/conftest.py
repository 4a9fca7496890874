"""Organisations of a test's own, made and dropped for real; and passwords that cost no time."""

import os
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django_tenants.utils import quote_schema_name
from pytest_django import DjangoDbBlocker
from pytest_django.fixtures import Settings

from tenants.models import Tenant
from tenants.people.models import User
from tenants.provisioning import Administrator, create_organisation
from tests.factories import BrowserOf, MakeUser

PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def fast_passwords(settings: Settings) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def bob(in_acme: Tenant, make_user: MakeUser) -> User:
    """Somebody of acme with a password; the test runs inside acme."""
    return make_user("bob", password=PASSWORD)


@pytest.fixture
def at_acme(in_acme: Tenant, browser_of: BrowserOf) -> Client:
    """A browser at acme in which nobody is logged in."""
    return browser_of(in_acme)


@pytest.fixture
def names(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Callable[[], str]]:
    """Give out short names that nobody has; what the test commits under them is dropped afterwards."""
    given: list[str] = []

    def name() -> str:
        given.append(f"t{uuid.uuid4().hex[:12]}")
        return given[-1]

    with django_db_blocker.unblock():
        yield name
        for schema in given:
            drop(schema)


def drop(schema: str) -> None:
    connection.set_schema_to_public()
    with connection.cursor() as cursor:
        cursor.execute(f"DROP SCHEMA IF EXISTS {quote_schema_name(schema)} CASCADE")
    Tenant.objects.filter(schema_name=schema).delete()


@pytest.fixture
def make_organisation(names: Callable[[], str]) -> Callable[..., Tenant]:
    def make(schema: str | None = None, **options: Any) -> Tenant:
        schema = schema or names()
        administrator = Administrator(email=f"admin@{schema}.example", name="Ada", password=PASSWORD)
        return create_organisation(schema, **{"name": schema.title(), "administrator": administrator, **options})

    return make


@pytest.fixture
def environment() -> dict[str, str]:
    """The environment of another process that is to use the test database."""
    parameters = connection.settings_dict
    user = parameters["USER"] + (f":{parameters['PASSWORD']}" if parameters["PASSWORD"] else "")
    address = f"{parameters['HOST']}:{parameters['PORT']}" if parameters["PORT"] else parameters["HOST"]
    return {
        **os.environ,
        "DATABASE_URL": f"postgres://{user}@{address}/{parameters['NAME']}",
        "DJANGO_SETTINGS_MODULE": "config.settings",
    }
