"""Organisations come and go whole."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import psycopg
import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import connection, transaction
from django.db.models.signals import post_migrate, pre_delete, pre_save
from django.test import Client
from django_tenants.utils import schema_context, schema_exists
from pytest_django import DjangoDbBlocker
from pytest_django.fixtures import Settings

from tenants import locks, provisioning
from tenants.models import Domain, Tenant
from tenants.provisioning import (
    ADMINISTRATORS,
    Administrator,
    ProvisioningError,
    create_organisation,
    remove_organisation,
    resume_organisation,
    suspend_organisation,
)
from tests.factories import BrowserOf
from tests.integration.tenants.conftest import PASSWORD

pytestmark = pytest.mark.integration

Make = Callable[..., Tenant]
Names = Callable[[], str]


def nothing_remains(schema: str) -> bool:
    hosts = Domain.objects.filter(domain=f"{schema}.localhost")
    return not (schema_exists(schema) or Tenant.objects.filter(schema_name=schema).exists() or hosts.exists())


def status_at(schema: str) -> int:
    return Client(headers={"host": f"{schema}.localhost"}).get("/").status_code


def test_create_organisation_creates_tenant_with_administrator(make_organisation: Make) -> None:
    tenant = make_organisation(name="  North\n Wind ")
    assert tenant.name == "North Wind"
    assert tenant.is_open
    assert tenant.host == f"{tenant.schema_name}.localhost"
    with schema_context(tenant.schema_name):
        [person] = get_user_model().objects.all()
        assert person.is_staff
        assert not person.is_superuser
        assert [group.name for group in person.groups.all()] == [ADMINISTRATORS]
        assert person.has_perms(["people.add_user", "auth.change_group"])


def test_first_administrator_logs_in_by_email_in_any_case(make_organisation: Make) -> None:
    tenant = make_organisation()
    client = Client(headers={"host": tenant.host})
    credentials = {"username": f"ADMIN@{tenant.schema_name}.example", "password": PASSWORD}
    assert client.post("/login/", credentials).status_code == 302
    assert client.get("/people/").status_code == 200


def test_create_organisation_reports_progress(make_organisation: Make) -> None:
    steps: list[str] = []
    make_organisation(progress=steps.append)
    assert steps == ["Creating the tables", "Creating the first administrator", "Ready"]


def test_create_organisation_leaves_connection_in_public(make_organisation: Make) -> None:
    make_organisation()
    assert connection.schema_name == "public"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"schema": "www"}, "reserved"),
        ({"schema": "No Name"}, "not a valid short name"),
        ({"name": "  "}, "blank"),
        ({"name": "n" * 101}, "100"),
        ({"administrator": Administrator(email="nobody", password=PASSWORD)}, "valid email"),
        ({"administrator": Administrator(email="a@b.example", name="n" * 151)}, "150"),
        ({"administrator": Administrator(email=f"{'a' * 300}@b.example")}, "254|valid email"),
        ({"administrator": Administrator(email="a@b.example", password="1234")}, "too short"),
    ],
)
def test_create_organisation_with_invalid_input_creates_nothing(
    names: Names, changes: dict[str, Any], reason: str
) -> None:
    administrator = Administrator(email="a@b.example", password=PASSWORD)
    arguments = {"schema": names(), "name": "X", "administrator": administrator, **changes}
    with pytest.raises(ProvisioningError, match=reason):
        create_organisation(arguments.pop("schema"), **arguments)
    assert not Tenant.objects.filter(name__in=["X", "n" * 101]).exists()


def test_create_organisation_with_existing_name_keeps_existing_tenant(make_organisation: Make) -> None:
    tenant = make_organisation()
    with pytest.raises(ProvisioningError, match="already"):
        make_organisation(tenant.schema_name)
    assert status_at(tenant.schema_name) == 200


def test_create_organisation_refuses_foreign_schema_and_keeps_it(names: Names, make_organisation: Make) -> None:
    schema = names()
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE SCHEMA {schema}")
    with pytest.raises(ProvisioningError, match="belongs to no organisation"):
        make_organisation(schema)
    assert schema_exists(schema)


def test_create_organisation_in_transaction_raises_provisioning_error(make_organisation: Make, names: Names) -> None:
    schema = names()
    with transaction.atomic(), pytest.raises(ProvisioningError, match="inside a transaction"):
        make_organisation(schema)
    assert nothing_remains(schema)


def test_create_organisation_with_malformed_permission_creates_nothing(
    make_organisation: Make, names: Names, settings: Settings
) -> None:
    settings.TENANTS_ADMIN_PERMISSIONS = ["add_user"]
    steps: list[str] = []
    with pytest.raises(ProvisioningError, match="do not exist: add_user"):
        make_organisation(names(), progress=steps.append)
    assert steps == []


def test_create_organisation_with_missing_permission_removes_everything(
    make_organisation: Make, names: Names, settings: Settings
) -> None:
    settings.TENANTS_ADMIN_PERMISSIONS = ["people.add_user", "people.add_unicorn"]
    schema = names()
    with pytest.raises(ProvisioningError, match=r"do not exist: people\.add_unicorn"):
        make_organisation(schema)
    assert nothing_remains(schema)


def fail(**_signal: Any) -> None:
    raise RuntimeError("on purpose")


@pytest.mark.parametrize(("signal_", "sender"), [(post_migrate, None), (pre_save, Group), (pre_save, get_user_model())])
def test_create_organisation_after_error_leaves_nothing_and_can_be_retried(
    make_organisation: Make, names: Names, signal_: Any, sender: Any
) -> None:
    schema = names()
    signal_.connect(fail, sender=sender)
    try:
        with pytest.raises(RuntimeError, match="on purpose"):
            make_organisation(schema)
    finally:
        signal_.disconnect(fail, sender=sender)
    assert connection.schema_name == "public"
    assert nothing_remains(schema)
    assert make_organisation(schema).is_open


# The process kills itself when it reports the step in argv[2].
KILLED = """
import os, signal, sys, django
django.setup()
from tenants.provisioning import Administrator, create_organisation
def progress(step):
    if step == sys.argv[2]:
        os.kill(os.getpid(), signal.SIGKILL)
create_organisation(sys.argv[1], name="Killed", administrator=Administrator(email="a@b.example"), progress=progress)
"""


@pytest.mark.parametrize("step", ["Creating the tables", "Creating the first administrator"])
def test_create_organisation_after_killed_attempt_replaces_remains(
    names: Names, make_organisation: Make, environment: dict[str, str], step: str
) -> None:
    schema = names()
    killed = subprocess.run([sys.executable, "-c", KILLED, schema, step], env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not Tenant.objects.get(schema_name=schema).is_ready
    assert status_at(schema) == 503
    steps: list[str] = []
    tenant = make_organisation(schema, progress=steps.append)
    assert steps[0] == "Removing what an interrupted attempt left behind"
    assert tenant.name != "Killed"
    assert status_at(schema) == 200


def test_incomplete_tenant_returns_503(names: Names) -> None:
    schema = names()
    provisioning._start(schema, "Half", "UTC")
    response = Client(headers={"host": f"{schema}.localhost"}).get("/login/")
    assert response.status_code == 503
    assert "Half is being set up" in response.content.decode()
    assert response["Retry-After"]


@pytest.mark.parametrize("path", ["/", "/login/", "/admin/", "/messages/mark_read/all/", "/find/", "/nowhere/"])
def test_suspended_tenant_returns_503_until_resumed(
    acme: Tenant, globex: Tenant, path: str, browser_of: BrowserOf
) -> None:
    before = browser_of(acme).get(path).status_code
    suspend_organisation(acme)
    response = browser_of(acme).get(path)
    assert response.status_code == 503
    assert "Acme is suspended" in response.content.decode()
    assert browser_of(globex).get(path).status_code == before
    resume_organisation(acme)
    assert browser_of(acme).get(path).status_code == before


def test_suspend_organisation_twice_keeps_first_time(acme: Tenant) -> None:
    suspend_organisation(acme)
    first = acme.suspended_at
    suspend_organisation(acme)
    assert acme.suspended_at == first


def test_remove_organisation_deletes_schema_row_and_domain(make_organisation: Make) -> None:
    tenant = make_organisation()
    remove_organisation(tenant)
    assert nothing_remains(tenant.schema_name)
    assert status_at(tenant.schema_name) == 404


def test_remove_organisation_after_error_keeps_schema_and_row(make_organisation: Make) -> None:
    tenant = make_organisation()
    pre_delete.connect(fail, sender=Domain)
    try:
        with pytest.raises(RuntimeError):
            remove_organisation(tenant)
    finally:
        pre_delete.disconnect(fail, sender=Domain)
    assert schema_exists(tenant.schema_name)
    assert Tenant.objects.get(pk=tenant.pk).is_suspended


@pytest.fixture
def busy(make_organisation: Make, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An organisation, and another connection that reads its people in a long transaction."""
    monkeypatch.setattr(provisioning, "DROP_LOCK_TIMEOUT", "100ms")
    monkeypatch.setattr(provisioning, "DROP_ATTEMPTS", 3)
    monkeypatch.setattr(provisioning, "DROP_PAUSE", 0)
    tenant = make_organisation()
    reader = locks._own_connection()
    reader.execute("BEGIN")
    reader.execute(f"SELECT * FROM {tenant.schema_name}.people_user")
    yield tenant, reader
    with suppress(psycopg.Error):
        reader.close()


def test_remove_organisation_waits_for_table_locks(busy: tuple[Tenant, psycopg.Connection[Any]]) -> None:
    tenant, reader = busy
    steps: list[str] = []

    def progress(step: str) -> None:
        steps.append(step)
        if len(steps) == 2:
            reader.close()

    remove_organisation(tenant, progress)
    assert len(steps) == 2
    assert nothing_remains(tenant.schema_name)


def test_remove_organisation_gives_up_and_leaves_tenant_suspended(busy: tuple[Tenant, psycopg.Connection[Any]]) -> None:
    tenant, _reader = busy
    with pytest.raises(ProvisioningError, match="is in use; it is suspended"):
        remove_organisation(tenant)
    assert schema_exists(tenant.schema_name)
    assert status_at(tenant.schema_name) == 503


@pytest.mark.usefixtures("acme")
def test_suite_tenants_remain_open_and_migration_lock_is_released(django_db_blocker: DjangoDbBlocker) -> None:
    assert Tenant.objects.open().filter(schema_name__in=["acme", "globex", "platform"]).count() == 3
    assert os.environ.get(locks._VARIABLE) is None
