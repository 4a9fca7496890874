"""django-tenant-users' layout: people are shared, what they may do is each organisation's own."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.core.exceptions import PermissionDenied
from django.core.management import call_command
from django.db import connection
from django_tenants.utils import get_tenant_model, schema_context
from tenant_users.permissions.models import UserTenantPermissions

from messages_extends.access.grants import grant, revoke
from messages_extends.api import ALL_TENANTS, EVERYONE, announce, broadcast, inbox, send
from messages_extends.broadcasts.models import Broadcast
from messages_extends.exceptions import RecipientUnavailable
from messages_extends.models import Message
from tests.integration.hosts.contract import MakeBrowser, add, page, texts_in

pytestmark = pytest.mark.django_db
MakePerson = Callable[..., Any]


def texts_of(person: Any, schema: str) -> list[str]:
    with schema_context(schema):
        return sorted(str(entry) for entry in inbox(person).page().entries)


def test_checks_and_makemigrations_report_nothing() -> None:
    call_command("check", databases=["default"], fail_level="WARNING")
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


def test_users_are_shared_and_permissions_are_per_tenant(make_person: MakePerson) -> None:
    person = make_person("alice", "t1")
    assert not {"groups", "is_superuser"} & {field.name for field in type(person)._meta.get_fields()}
    for schema, count in (("public", 1), ("t1", 1), ("t2", 0)):
        with schema_context(schema):
            assert UserTenantPermissions.objects.filter(profile=person).count() == count


def test_message_is_shown_in_its_tenant_only(make_person: MakePerson, browser_at: MakeBrowser) -> None:
    alice = make_person("alice", "t1", "t2")
    add(browser_at("t1", alice), "the till is open")
    assert "the till is open" in page(browser_at("t1", alice))
    assert "the till is open" not in page(browser_at("t2", alice))
    assert texts_in("t2") == []


def test_send_refuses_user_of_other_tenant(make_person: MakePerson) -> None:
    stranger = make_person("stranger", "t2")
    with schema_context("t1"), pytest.raises(RecipientUnavailable):
        send(stranger, "lunch is ready")


def test_grant_counts_in_its_tenant_only(make_person: MakePerson) -> None:
    alice, bob = (make_person(name, "t1", "t2") for name in ("alice", "bob"))
    with schema_context("t1"):
        grant(alice, bob)
        assert send(bob, "hello", sender=alice) == 1
    with schema_context("t2"), pytest.raises(PermissionDenied):
        send(bob, "hello", sender=alice)
    with schema_context("t1"):
        revoke(alice, bob)
        with pytest.raises(PermissionDenied):
            send(bob, "hello again", sender=alice)


def test_announcement_reaches_users_of_its_tenant_only(make_person: MakePerson) -> None:
    alice, bob = make_person("alice", "t1"), make_person("bob", "t2")
    with schema_context("t1"):
        announce("the canteen is closed", to=EVERYONE)
    assert texts_of(alice, "t1") == ["the canteen is closed"]
    assert texts_of(bob, "t2") == []
    assert texts_of(bob, "t1") == []


def test_broadcast_console_requires_superuser_of_public(make_person: MakePerson, browser_at: MakeBrowser) -> None:
    root = get_user_model().objects.get(email="root@example.com")
    alice = make_person("alice", "t1")
    with schema_context("t1"):
        UserTenantPermissions.objects.filter(profile=alice).update(is_superuser=True)
    assert browser_at("public", root).get("/messages/broadcasts/new/").status_code == 200
    assert browser_at("public", alice).get("/messages/broadcasts/").status_code == 404
    assert browser_at("t1", alice).get("/messages/broadcasts/").status_code == 404
    form = {"to": "everybody", "author": "The platform", "message": "Maintenance", "level": 19, "step": "look"}
    looked_at = browser_at("public", root).post("/messages/broadcasts/new/", form)
    confirmed = {**form, "step": "publish", "number": looked_at.context["number"]}
    assert browser_at("public", root).post("/messages/broadcasts/new/", confirmed).status_code == 302
    assert Broadcast.objects.get().message == "Maintenance"
    assert texts_of(alice, "t1") == ["Maintenance"]


def test_broadcast_console_allows_view_permission_in_public(make_person: MakePerson, browser_at: MakeBrowser) -> None:
    carol = make_person("carol")
    assert browser_at("public", carol).get("/messages/broadcasts/").status_code == 404
    carol.usertenantpermissions.user_permissions.set(Permission.objects.filter(codename="view_broadcast"))
    assert browser_at("public", carol).get("/messages/broadcasts/").status_code == 200
    with pytest.raises(PermissionDenied):
        broadcast("x", to=ALL_TENANTS, sender=get_user_model().objects.get(pk=carol.pk))


def test_deleting_user_deletes_messages_in_every_tenant(make_person: MakePerson) -> None:
    alice, bob = (make_person(name, "t1", "t2") for name in ("alice", "bob"))
    for schema in ("t1", "t2"):
        with schema_context(schema):
            send(alice, f"to alice at {schema}")
            grant(bob, alice)
            UserTenantPermissions.objects.filter(profile=alice).delete()
    with schema_context("public"):
        alice.delete(force_drop=True)
        connection.check_constraints()
    assert texts_in("t1") == texts_in("t2") == []


def test_provision_tenant_creates_tenant_with_messages() -> None:
    owner = get_user_model().objects.get(email="owner-t1@example.com")
    from tenant_users.tenants.tasks import provision_tenant

    provision_tenant("t3", "t3", owner, schema_name="t3")
    with schema_context("t3"):
        assert send(owner, "Welcome") == 1
        assert Message.objects.get().user == owner
    get_tenant_model().objects.get(schema_name="t3")
