"""What must hold in every host project, wherever its users live; each host's suite inherits it."""

import copy
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import call_command
from django.db import connection, transaction
from django.test import Client
from django_tenants.utils import get_tenant_model, schema_context
from guardian.models import GroupObjectPermission, UserObjectPermission

from messages_extends import constants
from messages_extends.access.grants import grant
from messages_extends.exceptions import NoTenant
from messages_extends.models import Message
from tests.integration.hosts.conftest import host_name

MakeBrowser = Callable[..., Client]


def page(browser: Client) -> str:
    return browser.get("/").content.decode()


def add(browser: Client, text: str, level: int = constants.INFO_PERSISTENT, **fields: str) -> None:
    assert browser.post("/", {"level": level, "text": text, **fields}).status_code == 302


def with_cookies_of(source: Client, schema: str) -> Client:
    """Return a client for another host name that was given these cookies, as a thief or a proxy might."""
    client = Client(headers={"host": host_name(schema)})
    client.cookies = copy.deepcopy(source.cookies)
    return client


def with_jar_of(source: Client, schema: str) -> Client:
    """Return a client for another host name and the same cookies, set and deleted by both: a shared cookie domain."""
    client = Client(headers={"host": host_name(schema)})
    client.cookies = source.cookies
    return client


def foreign_keys() -> dict[tuple[str, str, str], tuple[str, str]]:
    """Return (schema, table, column) of our foreign keys, with (the schema of the target, what deletion does)."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT source_schema.nspname, substr(source.relname, 18), attname, target_schema.nspname, confdeltype::text
            FROM pg_constraint
            JOIN pg_class source ON source.oid = conrelid
            JOIN pg_namespace source_schema ON source_schema.oid = source.relnamespace
            JOIN pg_class target ON target.oid = confrelid
            JOIN pg_namespace target_schema ON target_schema.oid = target.relnamespace
            JOIN pg_attribute ON attrelid = conrelid AND attnum = conkey[1]
            WHERE contype = 'f' AND source.relname LIKE 'messages_extends_%'
            """
        )
        return {tuple(source): (target, rule) for *source, target, rule in cursor.fetchall()}


@pytest.mark.django_db
class HostContract:
    users_of: ClassVar[dict[str, str]]
    """Where the users of each tenant's messages live."""

    def make_person(self, name: str, *schemas: str) -> Any:
        """Make somebody who belongs to these tenants."""
        raise NotImplementedError

    @pytest.fixture
    def alice(self) -> Any:
        return self.make_person("alice", "t1")

    @pytest.fixture
    def bob(self) -> Any:
        return self.make_person("bob", "t1")

    def test_checks_report_nothing(self) -> None:
        call_command("check", databases=["default"], fail_level="WARNING")

    def test_makemigrations_finds_no_changes(self) -> None:
        call_command("makemigrations", check=True, dry_run=True, verbosity=0)

    def test_foreign_keys_cascade_for_owner_and_set_null_for_sender(self) -> None:
        expected: dict[tuple[str, str, str], tuple[str, str]] = {}
        for schema in ("t1", "t2"):
            expected |= {
                (schema, "message", "user_id"): (self.users_of[schema], "c"),
                (schema, "message", "sender_id"): (self.users_of[schema], "n"),
                (schema, "announcement", "sender_id"): (self.users_of[schema], "n"),
                (schema, "receipt", "user_id"): (self.users_of[schema], "c"),
                (schema, "announcementgroup", "group_id"): (self.users_of[schema], "c"),
                # By Django: both are always in one schema.
                (schema, "announcementgroup", "announcement_id"): (schema, "a"),
            }
        assert foreign_keys() == expected

    def test_message_to_self_is_shown_until_marked_read(self, alice: Any, browser_at: MakeBrowser) -> None:
        browser = browser_at("t1", alice)
        add(browser, "the till is open")
        assert "the till is open" in page(browser)
        assert "the till is open" in page(browser)
        with schema_context("t1"):
            message = Message.objects.get(user=alice)
        assert browser.post(f"/messages/mark_read/{message.pk}/").status_code == 302
        assert "the till is open" not in page(browser)

    def test_mark_all_read_leaves_other_users_and_tenants_unchanged(
        self, alice: Any, bob: Any, browser_at: MakeBrowser
    ) -> None:
        there = self.make_person("carol", "t2")
        for schema, person in (("t1", alice), ("t1", bob), ("t2", there)):
            add(browser_at(schema, person), f"for {person.username}")
        browser_at("t1", alice).post("/messages/mark_read/all/")
        assert "for alice" not in page(browser_at("t1", alice))
        assert "for bob" in page(browser_at("t1", bob))
        assert "for carol" in page(browser_at("t2", there))

    def test_message_to_other_user_is_shown_to_recipient_only(
        self, alice: Any, bob: Any, browser_at: MakeBrowser
    ) -> None:
        grant_in("t1", alice, bob)
        add(browser_at("t1", alice), "lunch is ready", to="bob")
        assert "lunch is ready" not in page(browser_at("t1", alice))
        assert "lunch is ready" in page(browser_at("t1", bob))
        with schema_context("t1"):
            message = Message.objects.get()
            assert (message.user, message.sender) == (bob, alice)

    def test_send_to_other_user_without_grant_returns_403(self, alice: Any, bob: Any, browser_at: MakeBrowser) -> None:
        hello = {"level": constants.INFO_PERSISTENT, "text": "hello", "to": "bob"}
        assert browser_at("t1", alice).post("/", hello).status_code == 403
        assert texts_in("t1") == []

    def test_grant_counts_in_its_tenant_only(self) -> None:
        people = {schema: self.make_person(f"at_{schema}", schema) for schema in ("t1", "t2")}
        grant_in("t1", people["t1"], people["t1"])
        assert (grants_in("t1"), grants_in("t2")) == (1, 0)

    def test_messaging_permissions_exist_in_schemas_of_users(self) -> None:
        for schema in {"public" if "public" in self.users_of.values() else "t1", *self.users_of.values()}:
            with schema_context(schema):
                rows = Permission.objects.filter(codename__startswith="send_").values_list(
                    "codename", "content_type__model"
                )
                assert set(rows) == {("send_message", "user"), ("send_group_message", "group")}

    def test_mark_read_of_message_of_other_user_returns_404(
        self, alice: Any, bob: Any, browser_at: MakeBrowser
    ) -> None:
        grant_in("t1", alice, bob)
        add(browser_at("t1", alice), "lunch is ready", to="bob")
        with schema_context("t1"):
            message = Message.objects.get()
        assert browser_at("t1", alice).post(f"/messages/mark_read/{message.pk}/").status_code == 404
        assert browser_at("t1").post(f"/messages/mark_read/{message.pk}/").status_code == 403

    def test_ordinary_message_is_shown_once_and_sticky_message_never(self, alice: Any, browser_at: MakeBrowser) -> None:
        browser = browser_at("t1", alice)
        add(browser, "saved", constants.SUCCESS)
        add(browser, "unsaved", constants.WARNING_STICKY)
        shown = page(browser)
        assert "saved" in shown
        assert "unsaved" not in shown
        assert "saved" not in page(browser)

    def test_messages_with_same_id_in_two_tenants_are_independent(self, browser_at: MakeBrowser) -> None:
        people = {schema: self.make_person(f"at_{schema}", schema) for schema in ("t1", "t2")}
        for schema, person in people.items():
            with schema_context(schema):
                Message.objects.create(pk=7, user_id=person.pk, level=constants.INFO_PERSISTENT, message=f"of {schema}")
        browsers = {schema: browser_at(schema, person) for schema, person in people.items()}
        assert "of t1" in page(browsers["t1"])
        assert "of t2" not in page(browsers["t1"])
        browsers["t1"].post("/messages/mark_read/7/")
        assert "of t1" not in page(browsers["t1"])
        assert "of t2" in page(browsers["t2"])

    def test_session_of_one_tenant_is_invalid_at_other_tenant(self, browser_at: MakeBrowser) -> None:
        user = self.make_person("dora", "t1", "t2")
        here = browser_at("t1", user)
        assert "dora" in page(here)
        assert "dora" not in page(with_cookies_of(here, "t2"))
        assert "dora" in page(here), "the other tenant has destroyed the session"

    def test_carried_message_is_neither_shown_nor_lost_at_other_tenant(
        self, alice: Any, browser_at: MakeBrowser
    ) -> None:
        here = browser_at("t1", alice)
        add(here, "saved", constants.SUCCESS)
        assert "saved" not in page(with_jar_of(here, "t2"))
        assert "saved" in page(here)

    def test_public_pages_with_tenant_cookies_show_nothing_of_tenant(self, alice: Any, browser_at: MakeBrowser) -> None:
        here = browser_at("t1", alice)
        add(here, "the till is open")
        add(here, "saved", constants.SUCCESS)
        shown = page(with_cookies_of(here, "public"))
        assert not any(text in shown for text in ("alice", "the till is open", "saved"))
        assert "the till is open" in page(here)

    def test_compose_page_requires_grant_and_offers_permitted_recipients(
        self, alice: Any, bob: Any, browser_at: MakeBrowser
    ) -> None:
        grant_in("t1", alice, bob)
        writes, reads = browser_at("t1", alice), browser_at("t1", bob)
        assert [browser.get("/messages/compose/").status_code for browser in (writes, reads)] == [200, 403]
        assert [browser.get("/messages/").status_code for browser in (writes, reads)] == [200, 200]
        results = writes.get("/messages/compose/recipients/").json()["results"]
        assert {each["text"] for each in results} == {"alice", "bob"}
        assert reads.get("/messages/grants/").status_code == 403

    def test_sender_sees_readers_and_recalls_unread_message(
        self, alice: Any, bob: Any, browser_at: MakeBrowser
    ) -> None:
        grant_in("t1", alice, bob)
        writes, reads = browser_at("t1", alice), browser_at("t1", bob)
        add(writes, "lunch is ready", to="bob")
        reads.post("/messages/mark_read/all/")
        add(writes, "dinner is ready", to="bob")
        unread, read = writes.get("/messages/sent/").context["entries"]
        assert [(each.recipient, each.readers, each.recipients) for each in (unread, read)] == [
            (bob, 0, 1),
            (bob, 1, 1),
        ]
        answers = [writes.post(f"/messages/sent/{each.pk}/recall/").status_code for each in (unread, read)]
        assert answers == [302, 409]
        assert reads.post(f"/messages/sent/{read.pk}/recall/").status_code == 404
        assert texts_in("t1") == ["lunch is ready"]

    def test_tenant_can_be_created_in_transaction(self) -> None:
        with transaction.atomic():
            get_tenant_model()(schema_name="t3").save(verbosity=0)
        with schema_context("t3"):
            assert not Message.objects.exists()
        assert "t3" in {schema for schema, _table, _column in foreign_keys()}

    def test_persistent_message_in_public_raises_no_tenant(self, browser_at: MakeBrowser) -> None:
        with pytest.raises(NoTenant):
            add(browser_at("public"), "to nobody")

    def test_ordinary_message_in_public_is_carried_by_cookie(self, browser_at: MakeBrowser) -> None:
        browser = browser_at("public")
        add(browser, "welcome", constants.INFO)
        assert "welcome" in page(browser)


def grant_in(schema: str, holder: Any, target: Any) -> None:
    with schema_context(schema):
        grant(holder, target)


def grants_in(schema: str) -> int:
    """Count guardian's rows in a tenant."""
    with schema_context(schema):
        return UserObjectPermission.objects.count() + GroupObjectPermission.objects.count()


def texts_in(schema: str) -> list[str]:
    with schema_context(schema):
        return sorted(Message.objects.values_list("message", flat=True))


def write(schema: str, recipient: User, text: str, sender: User | None = None) -> None:
    fields = {"message": text, "level": constants.INFO_PERSISTENT}
    with schema_context(schema):
        Message.objects.create(user_id=recipient.pk, sender_id=sender.pk if sender else None, **fields)
