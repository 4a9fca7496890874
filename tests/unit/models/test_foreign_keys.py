"""Who is deleted takes along what is theirs alone, and leaves neither orphans nor errors."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.utils import timezone
from django_tenants.utils import get_tenant_model, schema_context, schema_exists

from messages_extends.access.grants import EVERYBODY, grant
from messages_extends.access.publications import audience_of
from messages_extends.api import ALL_TENANTS, EVERYONE, announce, broadcast, inbox, send
from messages_extends.broadcasts.models import Broadcast, BroadcastCount, BroadcastTenant
from messages_extends.maintenance.purge import purge
from messages_extends.models import Announcement, AnnouncementGroup, Message, Receipt
from tenants.models import Tenant
from tenants.provisioning import remove_organisation
from tests.conftest import SCHEMAS
from tests.integration.tenants.conftest import fast_passwords as fast_passwords  # noqa: PLC0414 - fixtures
from tests.integration.tenants.conftest import make_organisation as make_organisation  # noqa: PLC0414
from tests.integration.tenants.conftest import names as names  # noqa: PLC0414

Make = Callable[..., Any]

RULES = """
SELECT source.relname, attname, target.relname, confdeltype::text
FROM pg_constraint
JOIN pg_class source ON source.oid = conrelid
JOIN pg_class target ON target.oid = confrelid
JOIN pg_attribute ON attrelid = conrelid AND attnum = conkey[1]
WHERE contype = 'f' AND source.relnamespace = %s::regnamespace AND source.relname LIKE 'messages_extends_%%'
"""


@pytest.fixture
def two(in_acme: Tenant, make_user: Make) -> tuple[Any, Any]:
    """Alice and Bob, who have written to each other, to everybody, and have read it."""
    alice, bob = make_user("alice"), make_user("bob")
    for sender, recipient in ((alice, bob), (bob, alice)):
        grant(sender, EVERYBODY)
        send(recipient, f"from {sender}", sender=sender)
        Announcement.objects.filter(pk=announce(f"by {sender}", to=EVERYONE).pk).update(sender=sender)
    for person in (alice, bob):
        for entry in inbox(person).page().entries:
            inbox(person).mark_read(entry.pk)
    return alice, bob


@pytest.mark.parametrize("schema", SCHEMAS)
def test_foreign_keys_to_users_and_groups_have_delete_rules(schema: str, database: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(RULES, [schema])
        rules = {(table.removeprefix("messages_extends_"), column): rest for table, column, *rest in cursor.fetchall()}
    # "a" is no rule of the database's: Django deletes what hangs on an announcement, which never leaves its schema.
    assert rules == {
        ("message", "user_id"): ["people_user", "c"],
        ("message", "sender_id"): ["people_user", "n"],
        ("announcement", "sender_id"): ["people_user", "n"],
        ("receipt", "user_id"): ["people_user", "c"],
        ("announcementgroup", "group_id"): ["auth_group", "c"],
        ("announcementgroup", "announcement_id"): ["messages_extends_announcement", "a"],
    }


@pytest.mark.parametrize("how", ["object", "queryset", "sql"])
def test_deleting_user_deletes_received_and_keeps_sent_messages(two: tuple[Any, Any], how: str) -> None:
    alice, bob = two
    ways: dict[str, Callable[[], Any]] = {
        "object": alice.delete,
        "queryset": type(alice).objects.filter(pk=alice.pk).delete,
        "sql": lambda: type(alice).objects.filter(pk=alice.pk)._raw_delete(using="default"),
    }
    # Django's own rows, which nothing but Django deletes.
    alice.user_permissions.clear()
    ways[how]()
    assert [(each.message, each.user, each.sender) for each in Message.objects.all()] == [("from alice", bob, None)]
    assert {each.message: each.sender for each in Announcement.objects.all()} == {"by alice": None, "by bob": bob}
    assert {receipt.user for receipt in Receipt.objects.all()} == {bob}
    assert [str(entry) for entry in inbox(bob).page().entries] == ["by bob", "by alice", "from alice"]
    connection.check_constraints()


def test_deleting_group_leaves_announcement_without_audience(in_acme: Tenant, make_user: Make) -> None:
    alice, group = make_user("alice"), Group.objects.create(name="sales")
    alice.groups.add(group)
    announcement = announce("x", to=group)
    assert inbox(alice).unread_count() == 1
    group.delete()
    assert not AnnouncementGroup.objects.exists()
    assert Announcement.objects.get() == announcement
    assert not audience_of(announcement).exists()
    assert inbox(alice).unread_count() == 0
    connection.check_constraints()


def test_deleting_announcement_deletes_groups_and_purge_deletes_receipts(in_acme: Tenant, make_user: Make) -> None:
    alice, group = make_user("alice"), Group.objects.create(name="sales")
    alice.groups.add(group)
    announcement = announce("x", to=group)
    inbox(alice).mark_all_read()
    announcement.delete()
    assert not AnnouncementGroup.objects.exists()
    assert purge() == {"receipts": 1}


def test_remove_organisation_deletes_schema_and_broadcast_rows(make_organisation: Make) -> None:
    tenant, other = make_organisation(), get_tenant_model().objects.get(schema_name="acme")
    try:
        made = [broadcast("x", to=to) for to in ([tenant, other], [tenant], ALL_TENANTS)]
        for schema in (tenant.schema_name, "acme"):
            counted = {"revision": 1, "readers": 1, "people": 2, "counted_at": timezone.now()}
            BroadcastCount.objects.create(broadcast=made[0], schema_name=schema, **counted)
        remove_organisation(tenant)
        assert not schema_exists(tenant.schema_name)
        assert BroadcastTenant.objects.get().tenant == other
        assert BroadcastCount.objects.get().schema_name == "acme"
        # The one that was for this organisation alone is for nobody now.
        addressed = {schema: set(Broadcast.objects.addressed_to(schema)) for schema in ("acme", "globex")}
        assert addressed == {"acme": {made[0], made[2]}, "globex": {made[2]}}
    finally:
        with schema_context("public"), connection.cursor() as cursor:
            cursor.execute("TRUNCATE broadcasts_broadcast, broadcasts_broadcastrecord CASCADE")
