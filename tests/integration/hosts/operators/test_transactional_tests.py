"""Tests of a host that commit: by Django's own cases, and by pytest's fixtures; the tenants outlive them."""

import http.client
import io
import unittest
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test import LiveServerTestCase, TransactionTestCase
from django_tenants.utils import get_tenant_domain_model, get_tenant_model, schema_context, schema_exists

from messages_extends.api import ALL_TENANTS, broadcast, send
from messages_extends.broadcasts.models import Broadcast
from messages_extends.models import Message
from messages_extends.testing import KeepTenants, assert_sent_to
from tests.documentation import block_of
from tests.integration.hosts.conftest import SCHEMAS

pytest_plugins = ["messages_extends.pytest_plugin"]


def case_of(title: str) -> str:
    """Return a block of the page on testing, about a tenant that exists here."""
    return block_of("docs/how-to/testing.md", "python", title).replace('"acme', '"t1')


def test_documented_test_cases_pass(django_db_blocker: Any, django_db_setup: None) -> None:
    names: dict[str, Any] = {"__name__": "test_orders"}
    exec(compile(case_of("test_orders.py"), "documentation", "exec"), names)
    cases = unittest.TestSuite(
        unittest.defaultTestLoader.loadTestsFromTestCase(names[name]) for name in ("OrderTests", "PageTests")
    )
    with django_db_blocker.unblock():
        result = unittest.TextTestRunner(stream=io.StringIO()).run(cases)
        assert_as_before()
    assert result.testsRun == 3
    assert result.wasSuccessful(), [*result.errors, *result.failures]


@pytest.mark.parametrize(("title", "name"), [("conftest.py", "tenants_stay"), ("runner.py", "TenantRunner")])
def test_documented_test_setup_defines_fixture_and_runner(title: str, name: str) -> None:
    names: dict[str, Any] = {"__name__": title}
    exec(compile(case_of(title), "documentation", "exec"), names)
    assert name in names


def write_everywhere() -> None:
    """Commit something in each schema, and a tenant that was not there."""
    for schema in SCHEMAS:
        with schema_context(schema):
            user = User.objects.create_user("alice")
            if schema != "public":
                send(user, "Hello")
    broadcast("Maintenance", to=ALL_TENANTS)
    get_tenant_model()(schema_name="t9").save(verbosity=0)


def assert_as_before() -> None:
    assert sorted(get_tenant_model().objects.values_list("schema_name", flat=True)) == sorted(SCHEMAS)
    assert get_tenant_domain_model().objects.count() == len(SCHEMAS)
    assert not schema_exists("t9")
    assert not Broadcast.objects.exists()
    for schema in SCHEMAS:
        with schema_context(schema):
            assert not User.objects.exists()
            assert Permission.objects.filter(codename="send_message").count() == 1
            assert schema == "public" or not Message.objects.exists()


class TestCaseThatCommits(KeepTenants, TransactionTestCase):
    def test_first_run_starts_clean_and_commits(self) -> None:
        assert_as_before()
        write_everywhere()
        with schema_context("t1"):
            assert_sent_to(User.objects.get(), "Hello")

    def test_second_run_starts_clean_and_commits(self) -> None:
        self.test_first_run_starts_clean_and_commits()


class TestEndingInTenant(KeepTenants, TransactionTestCase):
    reset_sequences = True

    def test_first_run_starts_clean_and_commits(self) -> None:
        assert_as_before()
        write_everywhere()
        connection.set_schema("t1")
        assert User.objects.get().pk == 1

    def test_second_run_starts_clean_and_commits(self) -> None:
        self.test_first_run_starts_clean_and_commits()


class TestServer(KeepTenants, LiveServerTestCase):
    host = "127.0.0.1"

    def test_live_server_serves_tenant_of_host_name(self) -> None:
        write_everywhere()
        with schema_context("t1"):
            cookie = self.log_in(User.objects.get())
        shown = self.get("t1.example.com", cookie)
        assert "Hello" in shown
        assert "Hello" not in self.get("t2.example.com", cookie)

    def test_live_server_test_starts_clean(self) -> None:
        assert_as_before()

    def log_in(self, user: User) -> str:
        self.client.force_login(user)
        return f"sessionid={self.client.cookies['sessionid'].value}"

    def get(self, host: str, cookie: str) -> str:
        server = http.client.HTTPConnection("127.0.0.1", self.server_thread.port, timeout=10)
        server.request("GET", "/", headers={"Host": host, "Cookie": cookie})
        text = server.getresponse().read().decode()
        server.close()
        return text


@pytest.fixture
def _as_before(keep_tenants: None, transactional_db: None) -> None:
    assert_as_before()


@pytest.mark.usefixtures("_as_before")
@pytest.mark.parametrize("_time", [1, 2])
def test_pytest_transactional_db_keeps_tenants(_time: int) -> None:
    write_everywhere()


@pytest.mark.usefixtures("_as_before")
def test_pytest_live_server_keeps_tenants(live_server: Any) -> None:
    write_everywhere()


@pytest.mark.usefixtures("keep_tenants")
@pytest.mark.django_db
def test_keep_tenants_leaves_test_in_transaction_unchanged() -> None:
    assert_as_before()
    with transaction.atomic():
        User.objects.create_user("alice")


def test_flush_command_cannot_flush_public_schema(db: None) -> None:
    with transaction.atomic(), pytest.raises(CommandError, match="couldn't be flushed"):
        call_command("flush", interactive=False, verbosity=0, allow_cascade=False)
