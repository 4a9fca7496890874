"""An organisation whose migrations are not finished answers 503 until they are; the others do not notice."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.db import ProgrammingError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django_tenants.utils import schema_context

from messages_extends.api import EVERYONE, announce, send
from messages_extends.models import AuditRecord, Message
from tenants import tables
from tenants.models import Tenant
from tenants.people.models import User
from tests.factories import BrowserOf
from tests.integration.tenants.conftest import PASSWORD

pytestmark = pytest.mark.integration

Make = Callable[..., Tenant]
# What stands before the last migration of each app that the product brings.
BEFORE = {"messages_extends": "0007", "people": "0001"}


@pytest.fixture
def tenant(make_organisation: Make) -> Tenant:
    """An organisation with somebody, a message, an announcement and a record."""
    tenant = make_organisation()
    with schema_context(tenant.schema_name):
        ada = User.objects.get()
        send(ada, "of mine")
        announce("to all of mine", to=EVERYONE, sender=ada)
    return tenant


@pytest.fixture(autouse=True)
def new_process() -> Iterator[None]:
    """Have this process ask again, as a new one does."""
    tables._complete.clear()
    yield
    tables._complete.clear()


def migrate(tenant: Tenant, *to: str) -> None:
    call_command("migrate_schemas", *to, schema_name=tenant.schema_name, tenant=True, interactive=False, verbosity=0)
    connection.set_schema_to_public()


def contents(tenant: Tenant) -> list[list[Any]]:
    with schema_context(tenant.schema_name):
        rows = [list(model.objects.order_by("pk").values()) for model in (User, Message, AuditRecord)]
        assert all(rows)
        return rows


@pytest.mark.parametrize("app", BEFORE)
def test_partially_migrated_tenant_returns_503_and_others_work(
    committing: None, tenant: Tenant, acme: Tenant, browser_of: BrowserOf, app: str
) -> None:
    address = {"headers": {"host": tenant.host}}
    before = contents(tenant)
    migrate(tenant, app, BEFORE[app])
    for path in ("/", "/login/", "/messages/", "/messages/stream/", "/admin/", "/nowhere/"):
        response = Client().get(path, **address)
        assert (response.status_code, response["Retry-After"]) == (503, "60")
        assert "is being updated" in response.text
        assert "of mine" not in response.text
    assert Client().post("/login/", {"username": "x", "password": PASSWORD}, **address).status_code == 503
    assert browser_of(acme).get("/").status_code == 200
    migrate(tenant)
    assert Client().get("/", **address).status_code == 200
    assert contents(tenant) == before


def test_announce_in_partially_migrated_tenant_raises_programming_error(committing: None, tenant: Tenant) -> None:
    migrate(tenant, "messages_extends", "0004")
    with schema_context(tenant.schema_name), pytest.raises(ProgrammingError, match="does not exist"):
        announce("to all of mine", to=EVERYONE)
    migrate(tenant)


def test_is_migrated_is_false_for_missing_schema(db: None) -> None:
    assert not tables.is_migrated("no_such_schema")


def test_is_migrated_caches_true_result(db: None, acme: Tenant) -> None:
    assert tables.is_migrated("acme")
    with CaptureQueriesContext(connection) as queries:
        assert tables.is_migrated("acme")
        assert not tables.is_migrated("no_such_schema")
    assert [query["sql"] for query in queries if "acme" in query["sql"] and "django_migrations" in query["sql"]] == []


def test_latest_migrations_cover_tenant_apps_only() -> None:
    apps = {app for app, _name in tables._latest()}
    assert {"people", "messages_extends", "auth", "sessions", "guardian"} <= apps
    assert apps.isdisjoint({"tenants", "broadcasts", "contenttypes"})
