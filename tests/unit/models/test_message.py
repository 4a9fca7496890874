"""Messages as rows: `read` and `read_at`, bulk verbs, and the database's own rules."""

import json
from collections.abc import Callable
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_tenants.utils import schema_context

from messages_extends.constants import INFO_PERSISTENT
from messages_extends.exceptions import WrongTenant
from messages_extends.models import Message
from tenants.models import Tenant
from tests.conftest import SCHEMAS, count_our_queries
from tests.factories import MakeMessage, MakeUser

pytestmark = pytest.mark.usefixtures("in_acme")


class TestRead:
    def test_message_read_is_computed_from_read_at(self, alice: Any, make_message: MakeMessage) -> None:
        read, unread = make_message(alice, read_at=timezone.now()), make_message(alice)
        assert (list(Message.objects.filter(read=True)), list(Message.objects.filter(read=False))) == ([read], [unread])
        assert (Message.objects.get(pk=read.pk).read, Message.objects.get(pk=unread.pk).read) == (True, False)

    def test_setting_message_read_updates_read_at(self, message: Message) -> None:
        message.read = True
        assert message.read
        message.save()
        stored = Message.objects.get()
        assert (stored.read, stored.read_at is not None) == (True, True)
        stored.read = False
        stored.save(update_fields=["read"])
        assert Message.objects.get().read_at is None

    def test_setting_read_on_read_message_keeps_read_at(self, alice: Any, make_message: MakeMessage) -> None:
        long_ago = timezone.now() - timedelta(days=9)
        message = make_message(alice, read_at=long_ago)
        message.read = True
        message.save()
        assert Message.objects.get().read_at == long_ago

    def test_saving_read_at_sets_read(self, message: Message) -> None:
        message.read_at = timezone.now()
        message.save()
        assert Message.objects.get().read

    def test_message_read_is_accepted_by_every_create_method(self, alice: Any) -> None:
        values = {"user": alice, "level": INFO_PERSISTENT, "message": "Hello"}
        Message(**values, read=True).save()
        Message.objects.create(**values, read=True)
        Message.objects.bulk_create([Message(**values, read=True)])
        Message.objects.update_or_create(user=alice, key="k", defaults={**values, "read": True})
        assert list(Message.objects.values_list("read", flat=True)) == [True] * 4

    def test_message_read_is_accepted_by_every_update_method(self, message: Message) -> None:
        assert Message.objects.update(read=True) == 1
        first = Message.objects.get().read_at
        Message.objects.update(read=True)
        assert Message.objects.get().read_at == first is not None
        message = Message.objects.get()
        message.read = False
        Message.objects.bulk_update([message], ["read"])
        assert Message.objects.get().read_at is None

    def test_update_refuses_non_boolean_read(self, message: Message) -> None:
        with pytest.raises(ValueError, match="use True or False"):
            Message.objects.update(read="yes")

    def test_loaddata_of_old_fixture_keeps_read(self, alice: Any, tmp_path: Path) -> None:
        row = {"user": alice.pk, "level": 19, "message": "Old", "extra_tags": "", "read": True}
        dates = {"created": "2020-01-01T00:00:00Z", "modified": "2020-01-01T00:00:00Z"}
        fixture = tmp_path / "old.json"
        fixture.write_text(json.dumps([{"model": "messages_extends.message", "pk": 1, "fields": row | dates}]))
        call_command("loaddata", str(fixture), verbosity=0)
        assert Message.objects.get().read

    def test_loading_only_read_and_saving_keeps_read_at(self, alice: Any, make_message: MakeMessage) -> None:
        long_ago = timezone.now() - timedelta(days=9)
        make_message(alice, read_at=long_ago)
        message = Message.objects.only("read").get()
        assert message.read
        message.refresh_from_db()
        message.save()
        assert Message.objects.get().read_at == long_ago


class TestMarking:
    def test_mark_read_takes_one_query_and_is_idempotent(self, alice: Any, make_message: MakeMessage) -> None:
        for _ in range(5):
            make_message(alice)
        with count_our_queries() as queries:
            assert Message.objects.for_user(alice).mark_read() == 5
        assert len(queries) == 1
        times = set(Message.objects.values_list("read_at"))
        assert Message.objects.for_user(alice).mark_read() == 0
        assert set(Message.objects.values_list("read_at")) == times

    def test_mark_unread_clears_read_at(self, alice: Any, make_message: MakeMessage) -> None:
        make_message(alice, read_at=timezone.now())
        assert Message.objects.mark_unread() == 1
        assert Message.objects.unread().count() == 1


class TestKeys:
    def test_database_allows_one_unread_message_per_key(self, alice: Any, make_message: MakeMessage) -> None:
        make_message(alice, key="k", read_at=timezone.now())
        make_message(alice, key="k")
        make_message(alice, key="")
        make_message(alice, key="")
        with pytest.raises(IntegrityError), transaction.atomic():
            make_message(alice, key="k")


class TestForeignKeys:
    def test_message_foreign_keys_have_delete_rules_in_every_schema(self, acme: Tenant) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                """
                SELECT n.nspname, a.attname, c.confdeltype, c.condeferrable, c.condeferred
                FROM pg_constraint c
                JOIN pg_class t ON t.oid = c.conrelid
                JOIN pg_namespace n ON n.oid = t.relnamespace
                JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = c.conkey[1]
                WHERE c.contype = 'f' AND t.relname = 'messages_extends_message'
                """
            )
            found = {tuple(row) for row in cursor.fetchall()}
        expected = {("user_id", "c", True, False), ("sender_id", "n", True, False)}
        assert {row for row in found if row[0] in SCHEMAS} == {
            (schema, *rule) for schema in SCHEMAS for rule in expected
        }

    def test_deleting_user_deletes_received_messages_and_clears_sender(
        self, alice: Any, make_user: MakeUser, make_message: MakeMessage
    ) -> None:
        bob = make_user("bob")
        make_message(alice, "to alice")
        make_message(bob, "from alice", sender=alice)
        alice.delete()
        left = Message.objects.get()
        assert left.message == "from alice"
        assert left.sender is None


class TestOtherTenant:
    """A row can be saved, refreshed and deleted only in the tenant where it was loaded."""

    @pytest.fixture
    def twins(
        self, acme: Tenant, globex: Tenant, make_user: MakeUser, make_message: MakeMessage
    ) -> tuple[Message, Message]:
        made = []
        for schema in ("acme", "globex"):
            with schema_context(schema):
                made.append(make_message(make_user("alice", pk=500), f"of {schema}", pk=500))
        return made[0], made[1]

    @pytest.mark.parametrize("act", [Message.save, Message.refresh_from_db, Message.delete])
    def test_message_methods_in_other_tenant_raise_wrong_tenant(self, twins: tuple[Message, Message], act: Any) -> None:
        with schema_context("acme"):
            loaded = Message.objects.get(pk=500)
        with schema_context("globex"):
            for message in (twins[0], loaded):
                with pytest.raises(WrongTenant, match="acme"):
                    act(message)
            with pytest.raises(WrongTenant):
                Message.objects.bulk_update([loaded], ["message"])
            assert Message.objects.get().message == "of globex"

    def test_for_user_refuses_user_of_other_tenant(self, twins: tuple[Message, Message]) -> None:
        with schema_context("acme"):
            alice = Message.objects.get(pk=500).user
        with schema_context("globex"), pytest.raises(WrongTenant):
            Message.objects.for_user(alice)


def test_bulk_create_with_update_conflicts_accepts_read(message: Message) -> None:
    message.read = True
    names = {"update_conflicts": True, "unique_fields": ["id"]}
    Message.objects.bulk_create([message], update_fields=["read"], **names)
    assert Message.objects.get().read_at is not None
    message.read, message.message = False, "changed"
    Message.objects.bulk_create([message], update_fields=iter(["read", "message"]), **names)
    assert (Message.objects.get().read, Message.objects.get().message) == (False, "changed")


def update_all_later(row: Message, alice: Any) -> None:
    unsent(row)
    Message.objects.update(sender=alice)


def save_later(row: Message, alice: Any) -> None:
    unsent(row)
    row.sender = alice
    row.save(update_fields=["sender"])


def update_later(row: Message, alice: Any) -> None:
    unsent(row)
    row.sender = alice
    Message.objects.bulk_update([row], ["sender"])


def unsent(row: Message) -> None:
    row.sender = None
    row.save()
    assert not Message.objects.get().from_person


@pytest.mark.parametrize(
    "write",
    [
        lambda row, alice: row.save(),
        lambda row, alice: Message.objects.bulk_create([row]),
        update_all_later,
        save_later,
        update_later,
    ],
)
def test_from_person_is_set_by_every_write_method(in_acme: Tenant, make_user: MakeUser, write: Any) -> None:
    alice = make_user("alice")
    write(Message(user=alice, sender=alice, message="hello", level=INFO_PERSISTENT), alice)
    assert Message.objects.get().from_person


def test_migration_0011_sets_from_person_on_existing_messages(in_acme: Tenant, make_user: MakeUser) -> None:
    alice = make_user("alice")
    for sender in (alice, None):
        Message.objects.create(user=alice, sender=sender, message="hello", level=INFO_PERSISTENT)
    Message.objects.update(from_person=False)
    with connection.cursor() as cursor:
        cursor.execute(import_module("messages_extends.migrations.0011_from_person").NOTE_PEOPLE)
    assert list(Message.objects.order_by("pk").values_list("from_person", flat=True)) == [True, False]


class TestLockingOrder:
    """Stale statistics must not make a statement evaluate its choice once for each row."""

    @pytest.fixture
    def with_little_memory(self, in_acme: Tenant, make_user: MakeUser) -> None:
        alice = make_user("alice")
        Message.objects.bulk_create(
            Message(user=alice, message=str(number), level=INFO_PERSISTENT) for number in range(2_000)
        )
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL work_mem = '64kB'")

    def plan_of(self, statement: Callable[[], Any]) -> str:
        with CaptureQueriesContext(connection) as captured:
            statement()
        [query] = [each["sql"] for each in captured if "FOR UPDATE" in each["sql"]]
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN {query}")
            return "\n".join(row for (row,) in cursor.fetchall())

    @pytest.mark.usefixtures("with_little_memory")
    def test_in_order_mark_read_evaluates_selection_once(self) -> None:
        changes = Message.objects.filter(level=INFO_PERSISTENT).locked_in_pk_order()
        assert "InitPlan" in (plan := self.plan_of(changes.mark_read))
        assert "SubPlan" not in plan
        assert not Message.objects.unread().exists()

    @pytest.mark.usefixtures("with_little_memory")
    def test_delete_in_order_evaluates_selection_once(self) -> None:
        assert "InitPlan" in self.plan_of(Message.objects.filter(level=INFO_PERSISTENT).delete_in_order)
        assert not Message.objects.exists()
