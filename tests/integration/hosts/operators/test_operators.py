"""A host with operators in the public schema: the same ids and names there and in the tenants are different people."""

import io
import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.test import RequestFactory
from django_tenants.utils import schema_context

from messages_extends import constants
from messages_extends.access.grants import grant
from messages_extends.api import ALL_TENANTS, broadcast, inbox
from messages_extends.broadcasts.models import Broadcast, BroadcastRecord
from messages_extends.exceptions import NoTenant, WrongTenant
from messages_extends.maintenance.personal_data import erase, export
from messages_extends.models import Message
from messages_extends.storages import FallbackStorage
from messages_extends.tenancy.sessions import SessionStore
from tests.integration.hosts.contract import HostContract, MakeBrowser, add, grants_in, page, texts_in, write


def make_user(name: str, schema: str, **fields: Any) -> User:
    with schema_context(schema):
        return User.objects.create_user(name, **fields)


class TestMessages(HostContract):
    users_of = {"t1": "t1", "t2": "t2"}

    def make_person(self, name: str, *schemas: str) -> Any:
        people = [make_user(name, schema) for schema in schemas]
        return people[0]


def storage_of(user: User) -> FallbackStorage:
    request = RequestFactory().get("/")
    request.user, request.session = user, SessionStore()
    return FallbackStorage(request)


@pytest.fixture
def operator() -> User:
    """One of public, who has the id and the name of somebody at both tenants."""
    people = [make_user("sam", schema, pk=5000) for schema in ("t1", "t2", "public")]
    return people[-1]


@pytest.mark.django_db
def test_user_counts_differ_between_schemas(operator: User) -> None:
    make_user("only here", "t1")
    counts = []
    for schema in ("t1", "t2", "public"):
        with schema_context(schema):
            counts.append(User.objects.count())
    assert counts == [2, 1, 1]


@pytest.mark.django_db
def test_operator_session_is_valid_in_public_only(operator: User, browser_at: MakeBrowser) -> None:
    browser = browser_at("public", operator)
    assert "sam" in page(browser)
    assert "sam" not in browser.get("/", headers={"host": "t1.example.com"}).content.decode()


@pytest.mark.django_db
def test_operator_sees_no_messages_of_user_with_same_id(operator: User, browser_at: MakeBrowser) -> None:
    with schema_context("t1"):
        write("t1", User.objects.get(pk=5000), "for sam of t1")
    assert "for sam of t1" not in page(browser_at("public", operator))


@pytest.mark.django_db
def test_operator_adding_persistent_message_in_public_raises_no_tenant(operator: User, browser_at: MakeBrowser) -> None:
    with pytest.raises(NoTenant):
        add(browser_at("public", operator), "to myself")
    with pytest.raises(NoTenant):
        add(browser_at("public", operator), "to sam", to="sam")
    assert texts_in("t1") == texts_in("t2") == []


@pytest.mark.django_db
def test_storage_add_refuses_operator_as_recipient_in_tenant(operator: User) -> None:
    with schema_context("t1"):
        storage = storage_of(User.objects.get(pk=5000))
        with pytest.raises(WrongTenant):
            storage.add(constants.INFO_PERSISTENT, "lunch is ready", user=operator)
    assert texts_in("t1") == []


@pytest.mark.django_db
def test_storage_add_refuses_operator_as_sender_in_tenant(operator: User) -> None:
    with schema_context("t1"):
        storage, alice = storage_of(operator), make_user("alice", "t1")
        with pytest.raises(WrongTenant):
            storage.add(constants.INFO_PERSISTENT, "hello", user=alice)
    assert texts_in("t1") == []


@pytest.mark.django_db
def test_deleting_operator_keeps_messages_of_users_with_same_id(operator: User) -> None:
    for schema in ("t1", "t2"):
        with schema_context(schema):
            write(schema, User.objects.get(pk=5000), f"for sam of {schema}")
    operator.delete()
    connection.check_constraints()
    assert texts_in("t1") == ["for sam of t1"]
    assert texts_in("t2") == ["for sam of t2"]


@pytest.mark.django_db
def test_deleting_user_deletes_grants_in_own_schema_only(operator: User) -> None:
    for schema in ("t1", "t2"):
        with schema_context(schema):
            sam, alice = User.objects.get(pk=5000), make_user("alice", schema)
            grant(sam, alice)
            grant(alice, sam)
    operator.delete()
    assert (grants_in("t1"), grants_in("t2")) == (2, 2)
    with schema_context("t1"):
        User.objects.get(pk=5000).delete()
        connection.check_constraints()
    assert (grants_in("t1"), grants_in("t2")) == (0, 2)


@pytest.mark.django_db
def test_deleting_user_of_one_tenant_leaves_other_tenant_unchanged(operator: User) -> None:
    people = {}
    for schema in ("t1", "t2"):
        with schema_context(schema):
            people[schema] = User.objects.get(pk=5000)
            write(schema, people[schema], f"to sam of {schema}")
            write(schema, make_user("alice", schema), f"from sam of {schema}", sender=people[schema])
    with schema_context("t1"):
        people["t1"].delete()
        connection.check_constraints()
        assert Message.objects.get().sender is None
    assert texts_in("t1") == ["from sam of t1"]
    assert texts_in("t2") == ["from sam of t2", "to sam of t2"]


def run(name: str, schema: str, *arguments: str) -> str:
    out = io.StringIO()
    call_command(name, "--schema", schema, "sam", *arguments, stdout=out)
    return out.getvalue()


@pytest.mark.django_db
def test_operator_data_is_exported_and_erased_in_public_only(operator: User) -> None:
    User.objects.filter(pk=operator.pk).update(is_superuser=True)
    broadcast("to all", to=ALL_TENANTS, sender=operator)
    assert "broadcasts_sent" not in json.loads(run("export_messages", "t1"))
    assert "Erased nothing" in run("erase_messages", "t1", "--yes")
    exported = json.loads(run("export_messages", "public"))
    assert [row["text"] for row in exported["broadcasts_sent"]] == ["to all"]
    assert "messages_received" not in exported
    assert Broadcast.objects.get().author == "sam"
    assert run("erase_messages", "public", "--yes") == "Erased broadcasts: 1, records of the platform: 1.\n"
    assert Broadcast.objects.get().author == ""
    assert not BroadcastRecord.objects.exclude(actor_name="").exists()


@pytest.mark.django_db
def test_export_and_erase_in_public_raise_no_tenant_without_platform(operator: User, settings: Any) -> None:
    settings.MESSAGES_EXTENDS = {"PLATFORM_SCHEMA": "t1"}
    for act in (export, erase):
        with pytest.raises(NoTenant, match="run it inside a tenant"):
            act(operator)


# The console of broadcasts, at the bare domain ----------------------------------------------------------------------


def console(operator: User, browser_at: MakeBrowser, path: str = "", **data: Any) -> Any:
    browser = browser_at("public", User.objects.get(pk=operator.pk))
    url = f"/messages/broadcasts/{path}"
    return browser.post(url, data) if data else browser.get(url)


@pytest.fixture
def superuser(operator: User) -> User:
    User.objects.filter(pk=operator.pk).update(is_superuser=True)
    return operator


@pytest.mark.django_db
def test_broadcast_console_in_public_is_for_operators_only(
    superuser: User, operator: User, browser_at: MakeBrowser
) -> None:
    assert console(superuser, browser_at).status_code == 200
    with schema_context("t1"):
        User.objects.update(is_superuser=True)
        namesake = User.objects.get(pk=5000)
    assert browser_at("t1", namesake).get("/messages/broadcasts/").status_code == 404
    other = make_user("other", "public")
    assert browser_at("public", other).get("/messages/broadcasts/").status_code == 404
    assert browser_at("public").get("/messages/broadcasts/").status_code == 302


@pytest.mark.django_db
def test_operator_publishes_revises_and_retracts_broadcast(superuser: User, browser_at: MakeBrowser) -> None:
    text = {"to": "everybody", "author": "The platform", "message": "Maintenance on Sunday", "level": 19}
    looked_at = console(superuser, browser_at, "new/", step="look", **text)
    page_of = looked_at.content.decode()
    assert "Publish it" in page_of
    assert "Send a test to myself" not in page_of
    number = looked_at.context["number"]
    for _time in range(2):
        answer = console(superuser, browser_at, "new/", step="publish", number=number, **text)
        [published] = Broadcast.objects.all()
        assert answer["Location"] == f"/messages/broadcasts/{published.pk}/"
    with schema_context("t1"):
        alice = User.objects.create_user("alice")
        assert [str(entry) for entry in inbox(alice).page().entries] == ["Maintenance on Sunday"]
    assert "Maintenance" in console(superuser, browser_at, f"{published.pk}/").content.decode()
    assert console(superuser, browser_at, f"{published.pk}/count/", round="").status_code == 302
    form = console(superuser, browser_at, f"{published.pk}/edit/").context["form"]
    unchanged = {field.html_name: field.value() or "" for field in form}
    answer = console(superuser, browser_at, f"{published.pk}/edit/", **{**unchanged, "message": "On Monday"})
    assert answer.status_code == 302
    assert Broadcast.objects.get().message == "On Monday"
    assert console(superuser, browser_at, f"{published.pk}/retract/", sure="yes").status_code == 302
    again = console(superuser, browser_at, "new/", step="publish", number=number, **text)
    assert again.status_code == 302
    assert Broadcast.objects.get().retracted_at is not None


@pytest.mark.django_db
def test_broadcast_test_step_in_public_sends_nothing(superuser: User, browser_at: MakeBrowser) -> None:
    text = {"to": "everybody", "author": "The platform", "message": "Maintenance", "level": 19}
    assert console(superuser, browser_at, "new/", step="test", **text).status_code == 200
    assert texts_in("t1") == []


@pytest.mark.django_db
def test_admin_in_public_has_broadcast_models_only(superuser: User, browser_at: MakeBrowser) -> None:
    User.objects.filter(pk=superuser.pk).update(is_staff=True)
    browser = browser_at("public", User.objects.get(pk=superuser.pk))
    for model in ("message", "announcement", "receipt", "auditrecord"):
        assert browser.get(f"/admin/messages_extends/{model}/").status_code == 403
    for model in ("broadcast", "broadcastcount", "broadcastrecord"):
        assert browser.get(f"/admin/broadcasts/{model}/").status_code == 200
    index = browser.get("/admin/").content.decode()
    assert "/admin/broadcasts/" in index
    assert "/admin/messages_extends/" not in index


@pytest.mark.django_db
def test_other_package_pages_in_public_return_404(superuser: User, browser_at: MakeBrowser) -> None:
    browser = browser_at("public", User.objects.get(pk=superuser.pk))
    for path in ("", "compose/", "announcements/", "grants/", "badge/", "panel/", "stream/"):
        assert browser.get(f"/messages/{path}").status_code == 404, path
    links = browser.get("/messages/broadcasts/").content.decode()
    assert "Broadcasts" in links
    assert "/messages/compose/" not in links
    assert 'href="/messages/"' not in links
