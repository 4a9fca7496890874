"""The commands for organisations, and the one that fills a demonstration."""

import io
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.core import mail
from django.core.management import CommandError, call_command
from django.test import Client
from django_tenants.utils import schema_context, schema_exists
from pytest_django.fixtures import Settings

from tenants.models import Tenant
from tenants.people.models import User
from tests.integration.tenants.conftest import PASSWORD
from tests.integration.tenants.test_people_pages import break_mail

pytestmark = pytest.mark.integration

Make = Callable[..., Tenant]
Names = Callable[[], str]


def run(*arguments: str, **options: Any) -> str:
    out = io.StringIO()
    call_command(*arguments, stdout=out, **options)
    return out.getvalue()


def create(schema: str, *options: str) -> str:
    return run("create_organisation", schema, "--name", "New", "--admin-email", "ada@x.example", *options)


def test_create_organisation_reads_password_and_prints_address(names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    schema = names()
    monkeypatch.setattr("sys.stdin", io.StringIO(PASSWORD + "\n"))
    assert re.search(rf"New is at https?://{schema}\.localhost", create(schema))
    client = Client(headers={"host": f"{schema}.localhost"})
    assert client.post("/login/", {"username": "ada@x.example", "password": PASSWORD}).status_code == 302


def test_create_organisation_with_invite_sends_password_link(names: Names) -> None:
    schema = names()
    assert "has been sent a link" in create(schema, "--invite")
    [sent] = mail.outbox
    assert sent.subject == "New is ready for you"
    [path] = re.findall(rf"//{schema}\.localhost(?::\d+)?(/password/\S+)", str(sent.body))
    client = Client(headers={"host": f"{schema}.localhost"})
    form = client.get(path, follow=True).redirect_chain[-1][0]
    client.post(form, {"new_password1": PASSWORD, "new_password2": PASSWORD})
    assert client.post("/login/", {"username": "ada@x.example", "password": PASSWORD}).status_code == 302


def test_create_organisation_reports_undelivered_invitation(names: Names, settings: Settings) -> None:
    schema = names()
    break_mail(settings)
    with pytest.raises(CommandError, match=rf"The organisation is ready.*{schema}\.localhost.*/password/forgotten/"):
        create(schema, "--invite")
    assert Tenant.objects.get(schema_name=schema).is_open


def test_create_organisation_with_reserved_name_raises_command_error(names: Names) -> None:
    with pytest.raises(CommandError, match="“www” is reserved"):
        create("www", "--invite")


def test_suspend_and_resume_organisation_change_state(make_organisation: Make) -> None:
    tenant = make_organisation()
    assert "is suspended" in run("suspend_organisation", tenant.schema_name)
    assert Tenant.objects.get(pk=tenant.pk).is_suspended
    assert "is open" in run("resume_organisation", tenant.schema_name)
    assert Tenant.objects.get(pk=tenant.pk).is_open


def test_resume_organisation_refuses_incomplete_tenant(make_organisation: Make) -> None:
    tenant = make_organisation()
    Tenant.objects.filter(pk=tenant.pk).update(ready_at=None)
    with pytest.raises(CommandError, match="run create_organisation"):
        run("resume_organisation", tenant.schema_name)


@pytest.mark.django_db
@pytest.mark.parametrize("command", ["suspend_organisation", "resume_organisation", "remove_organisation"])
def test_organisation_commands_with_unknown_name_raise_command_error(command: str) -> None:
    with pytest.raises(CommandError, match="There is no organisation “nobody”"):
        run(command, "nobody")


def test_remove_organisation_asks_for_name(make_organisation: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    tenant = make_organisation()
    monkeypatch.setattr("builtins.input", lambda _question: tenant.schema_name)
    assert "has been removed" in run("remove_organisation", tenant.schema_name)
    assert not schema_exists(tenant.schema_name)


@pytest.mark.parametrize("answer", ["", "acme", "yes", "y"])
def test_remove_organisation_with_other_answer_removes_nothing(make_organisation: Make, answer: str) -> None:
    tenant = make_organisation()
    with pytest.raises(CommandError, match="nothing has been removed"):
        run("remove_organisation", tenant.schema_name, "--yes", answer)
    assert Tenant.objects.get(pk=tenant.pk).is_open


def test_remove_organisation_accepts_name_as_option(make_organisation: Make) -> None:
    tenant = make_organisation()
    run("remove_organisation", tenant.schema_name, "--yes", tenant.schema_name)
    assert not schema_exists(tenant.schema_name)


@pytest.mark.django_db
def test_seed_demo_without_debug_raises_command_error(settings: Settings) -> None:
    settings.DEBUG = False
    with pytest.raises(CommandError, match="use --force"):
        run("seed_demo")


@pytest.mark.usefixtures("committing", "acme")
def test_seed_demo_is_idempotent_and_prints_addresses() -> None:
    first = run("seed_demo", "--force", "--port", "8123")
    assert run("seed_demo", "--force", "--port", "8123") == first
    for address in (
        "acme.localhost:8123",
        "globex.localhost:8123",
        "platform.localhost:8123",
        " http://localhost:8123",
    ):
        assert address in first
    [password] = re.findall(r"password of everybody is: (\S+)", first)
    for schema, email in re.findall(r"http://(\w+)\.localhost.*\n.*\n  (\S+)", first):
        with schema_context(schema):
            assert User.objects.with_email(email).get().check_password(password)
