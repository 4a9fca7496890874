"""A host with shared users: messages are per tenant all the same, and nobody is written to where they do not belong."""

from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.db import connection
from django_tenants.utils import schema_context

from messages_extends.access.grants import grant
from messages_extends.api import EVERYONE, announce, inbox
from messages_extends.exceptions import RecipientUnavailable, WrongTenant
from messages_extends.maintenance.personal_data import erase, export
from messages_extends.models import Announcement, AnnouncementGroup, Message, Receipt
from messages_extends.policy import Policy
from messages_extends.tenancy.table_location import schemas_with
from tests.integration.hosts.conftest import SCHEMAS
from tests.integration.hosts.contract import HostContract, MakeBrowser, add, grant_in, grants_in, page, texts_in, write


def make_member(name: str, *schemas: str) -> User:
    user = User.objects.create_user(name)
    user.groups.set([Group.objects.get_or_create(name=schema)[0] for schema in schemas])
    return user


class TestMessages(HostContract):
    users_of = {"t1": "public", "t2": "public"}

    def make_person(self, name: str, *schemas: str) -> Any:
        return make_member(name, *schemas)


@pytest.mark.django_db
def test_users_are_shared_between_tenants() -> None:
    user = make_member("alice", "t1")
    with schema_context("t2"):
        assert User.objects.get() == user


@pytest.mark.django_db
def test_member_of_two_tenants_reads_messages_of_current_tenant(browser_at: MakeBrowser) -> None:
    user = make_member("alice", "t1", "t2")
    for schema in ("t1", "t2"):
        add(browser_at(schema, user), f"written at {schema}")
    for schema, other in (("t1", "t2"), ("t2", "t1")):
        shown = page(browser_at(schema, user))
        assert f"written at {schema}" in shown
        assert f"written at {other}" not in shown


@pytest.mark.django_db
def test_send_refuses_user_of_other_tenant(browser_at: MakeBrowser) -> None:
    alice = make_member("alice", "t1")
    make_member("stranger", "t2")
    with pytest.raises(RecipientUnavailable):
        add(browser_at("t1", alice), "lunch is ready", to="stranger")
    assert texts_in("t1") == texts_in("t2") == []


@pytest.mark.django_db
def test_send_refuses_superuser_without_membership(browser_at: MakeBrowser) -> None:
    alice = make_member("alice", "t1")
    User.objects.create_superuser("root")
    with pytest.raises(RecipientUnavailable):
        add(browser_at("t1", alice), "lunch is ready", to="root")


@pytest.mark.django_db
def test_superuser_or_model_permission_does_not_allow_sending(browser_at: MakeBrowser) -> None:
    alice, bob, sales = make_member("alice", "t1"), make_member("bob", "t1"), Group.objects.create(name="Sales")
    User.objects.filter(pk=alice.pk).update(is_superuser=True)
    alice.user_permissions.set(Permission.objects.all())
    alice = User.objects.get(pk=alice.pk)
    with schema_context("t1"):
        policy = Policy()
        assert list(policy.reachable_people(alice)) == [alice]
        assert not policy.reachable_groups(alice).exists()
        assert not policy.may_announce(alice, None)
        grant(alice, bob)
        grant(alice, sales)
        assert set(policy.reachable_people(alice)) == {alice, bob}
        assert policy.may_announce(alice, Group.objects.filter(pk=sales.pk))


@pytest.mark.django_db
@pytest.mark.parametrize("belongs", ["t1", "t2"])
@pytest.mark.parametrize("superuser", [False, True])
def test_admin_refuses_messages_to_holders_of_global_permissions(
    browser_at: MakeBrowser, belongs: str, superuser: bool
) -> None:
    mallory, bob = make_member("mallory", belongs), make_member("bob", "t2")
    User.objects.filter(pk=mallory.pk).update(is_staff=True, is_superuser=superuser)
    mallory.user_permissions.set(Permission.objects.all())
    write("t2", bob, "secret of t2")
    with schema_context("t2"):
        pk = Message.objects.get().pk
        announce("board of t2", to=EVERYONE)
    browser = browser_at("t2", User.objects.get(pk=mallory.pk))
    assert browser.get("/admin/auth/user/").status_code == 200
    pages = ["message/", "announcement/", "receipt/", "auditrecord/", f"message/{pk}/change/", f"message/{pk}/delete/"]
    for url in (*pages, ""):
        answer = browser.get(f"/admin/messages_extends/{url}")
        assert answer.status_code in {403, 404}
        assert b"of t2" not in answer.content
    for action in ("delete_selected", "mark_read"):
        data = {"action": action, "_selected_action": [pk], "post": "yes"}
        assert browser.post("/admin/messages_extends/message/", data).status_code == 403
    assert "/admin/messages_extends/" not in browser.get("/admin/").content.decode()
    with schema_context("t2"):
        assert not Message.objects.get().read


@pytest.mark.django_db
def test_grant_does_not_allow_sending_without_membership() -> None:
    stranger, bob = make_member("stranger", "t2"), make_member("bob", "t1")
    with schema_context("t1"):
        grant(stranger, bob)
        assert not Policy().reachable_people(stranger).exists()
        assert not Policy().may_message(stranger, bob)


@pytest.mark.django_db
def test_group_grant_reaches_members_of_current_tenant_only() -> None:
    alice, bob, stranger = make_member("alice", "t1"), make_member("bob", "t1"), make_member("stranger", "t2")
    sales = Group.objects.create(name="Sales")
    sales.user_set.add(bob, stranger)
    with schema_context("t1"):
        grant(alice, sales)
        assert set(Policy().reachable_people(alice)) == {alice, bob}


@pytest.mark.django_db
@pytest.mark.parametrize("schema", SCHEMAS)
@pytest.mark.parametrize("kind", ["user", "group"])
@pytest.mark.parametrize("role", ["holder", "target"])
@pytest.mark.parametrize("in_bulk", [False, True])
def test_grants_are_deleted_in_every_schema_with_holder_or_target(
    schema: str, kind: str, role: str, in_bulk: bool
) -> None:
    other = make_member("bob", "t1", "t2")
    deleted: Any = make_member("alice", "t1", "t2") if kind == "user" else Group.objects.create(name="Sales")
    for tenant in ("t1", "t2"):
        grant_in(tenant, *((deleted, other) if role == "holder" else (other, deleted)))
        grant_in(tenant, other, other)
    assert (grants_in("t1"), grants_in("t2")) == (2, 2)
    with schema_context(schema):
        type(deleted).objects.filter(pk=deleted.pk).delete() if in_bulk else deleted.delete()
        connection.check_constraints()
    assert (grants_in("t1"), grants_in("t2")) == (1, 1)


@pytest.mark.django_db
def test_grant_tables_exist_in_tenant_schemas_only() -> None:
    assert schemas_with("guardian_userobjectpermission") == ["t1", "t2"]


@pytest.mark.django_db
@pytest.mark.parametrize("schema", SCHEMAS)
@pytest.mark.parametrize("in_bulk", [False, True])
def test_deleting_user_cleans_up_every_schema(schema: str, in_bulk: bool) -> None:
    user, other = make_member("alice", "t1", "t2"), make_member("bob", "t1", "t2")
    for tenant in ("t1", "t2"):
        write(tenant, user, "to the deleted")
        write(tenant, other, "from the deleted", sender=user)
        with schema_context(tenant):
            announced = announce("by the deleted", to=EVERYONE)
            Announcement.objects.filter(pk=announced.pk).update(sender=user)
            for person in (user, other):
                inbox(person).mark_all_read()
    with schema_context(schema):
        User.objects.filter(pk=user.pk).delete() if in_bulk else user.delete()
        connection.check_constraints()
    for tenant in ("t1", "t2"):
        assert texts_in(tenant) == ["from the deleted"]
        with schema_context(tenant):
            assert Message.objects.get().sender is None
            assert Announcement.objects.get().sender is None
            assert Receipt.objects.get().user_id == other.pk


@pytest.mark.django_db
@pytest.mark.parametrize("schema", SCHEMAS)
def test_deleting_group_keeps_announcements_without_audience(schema: str) -> None:
    user = make_member("alice", "t1", "t2")
    group = Group.objects.create(name="Sales")
    user.groups.add(group)
    for tenant in ("t1", "t2"):
        with schema_context(tenant):
            announce("x", to=group)
            assert inbox(user).unread_count() == 1
    with schema_context(schema):
        group.delete()
        connection.check_constraints()
    for tenant in ("t1", "t2"):
        with schema_context(tenant):
            assert not AnnouncementGroup.objects.exists()
            assert (Announcement.objects.count(), inbox(user).unread_count()) == (1, 0)


@pytest.mark.django_db
def test_export_and_erase_affect_current_tenant_only() -> None:
    user = make_member("alice", "t1", "t2")
    for tenant in ("t1", "t2"):
        write(tenant, user, f"at {tenant}")
    with schema_context("t1"):
        exported = export(user)
        assert [row["text"] for row in exported["messages_received"]] == ["at t1"]
        again = export(user)
        erase(user)
    with schema_context("t2"), pytest.raises(WrongTenant):
        list(again["messages_received"])
    assert (texts_in("t1"), texts_in("t2")) == ([], ["at t2"])
