"""A host that reads from a replica: what writes, and what decides about a write, asks where it writes."""

import io
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import Group, Permission, User
from django.core import checks
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.core.management import call_command
from django.db import InternalError, ProgrammingError, connections
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django_tenants.utils import schema_context

from messages_extends import api
from messages_extends.access import grants
from messages_extends.access.explain import explain
from messages_extends.access.policy import policy
from messages_extends.api import ALL_TENANTS, EVERYONE, announce, broadcast, cancel, inbox, retract, revise, send
from messages_extends.constants import INFO_PERSISTENT
from messages_extends.exceptions import RateLimitExceeded, RecipientUnavailable, WrongTenant
from messages_extends.inbox.broadcast_counts import count_readers
from messages_extends.live.queries import next_change, unread_counts_of
from messages_extends.maintenance.personal_data import erase
from messages_extends.maintenance.purge import purge
from messages_extends.models import Announcement, Message, Receipt
from messages_extends.sending.idempotency import run_once
from messages_extends.sending.messages import send_leniently
from messages_extends.storages import FallbackStorage
from messages_extends.tenancy.sessions import SessionStore
from messages_extends.testing import assert_sent_to
from tests.integration.hosts.contract import MakeBrowser
from tests.integration.hosts.replica.conftest import begin_request, catch_up, paused, value
from tests.integration.hosts.replica.routers import ReplicaRouter


def written(model: Any = Message) -> Any:
    return model.objects.using("default")


def texts(entries: Any) -> list[str]:
    return [str(each) for each in entries]


def request_of(user: User) -> Any:
    request: Any = RequestFactory().get("/")
    request.user, request.session = user, SessionStore()
    request._messages = FallbackStorage(request)
    return request


# The premise ----------------------------------------------------------------------------------------------------------


def test_replica_is_read_by_default_and_refuses_writes(alice: User) -> None:
    catch_up()
    assert value("replica", "SELECT pg_is_in_recovery()")
    assert User.objects.get().pk == alice.pk
    assert User.objects.all().db == "replica"
    with pytest.raises(InternalError, match="read-only transaction"):
        User.objects.using("replica").update(first_name="Alice")


def test_paused_replica_does_not_return_new_rows(alice: User, behind: Any) -> None:
    Group.objects.create(name="Sales")
    assert not Group.objects.exists()


def test_checks_report_nothing() -> None:
    call_command("check", databases=["default"], fail_level="WARNING")


# Writing --------------------------------------------------------------------------------------------------------------


def group_of(*people: User) -> Group:
    group = Group.objects.create(name="Sales")
    group.user_set.add(*people)
    return group


def test_sent_messages_are_visible_in_same_request(alice: User, bob: User, behind: Any) -> None:
    assert send([alice, bob], "one by one") == 2
    assert send(User.objects.filter(username="bob"), "by a query") == 1
    assert send(User.objects.using("replica").filter(username="bob"), "by a query of the replica") == 1
    assert send(User.objects.all().union(User.objects.all()).order_by("username")[:1], "by a union") == 1
    assert send(group_of(bob), "to a group") == 1
    assert texts(inbox(alice).page().entries) == ["by a union", "one by one"]
    assert inbox(bob).unread_count() == Message.objects.for_user(bob).count() == 4


def test_new_grant_allows_sending_at_once(alice: User, bob: User, behind: Any) -> None:
    grants.grant(alice, bob)
    assert send(bob, "hello", sender=alice) == 1
    assert policy().may_message(alice, bob)
    assert policy().may_compose(alice)


def test_revoked_grant_refuses_sending_while_replica_is_behind(alice: User, bob: User) -> None:
    grants.grant(alice, bob)
    with paused():
        grants.revoke(alice, bob)
        assert not grants.is_held(alice, bob)
        with pytest.raises(PermissionDenied):
            send(bob, "hello", sender=alice)


def test_send_refuses_user_deactivated_at_primary(bob: User, behind: Any) -> None:
    User.objects.filter(pk=bob.pk).update(is_active=False)
    with pytest.raises(RecipientUnavailable):
        send(bob, "hello")
    assert send(User.objects.all(), "to everybody else") == 1


def test_rate_limit_counts_messages_sent_at_primary(alice: User, bob: User, behind: Any, settings: Any) -> None:
    settings.MESSAGES_EXTENDS = {**settings.MESSAGES_EXTENDS, "SEND_LIMITS": {"hour": 1}}
    grants.grant(alice, bob)
    send(bob, "one", sender=alice)
    begin_request()
    with pytest.raises(RateLimitExceeded):
        send(bob, "two", sender=alice)


def test_message_shows_sender_added_at_primary(alice: User, behind: Any) -> None:
    carol = User.objects.create_superuser("carol")
    send(alice, "hello", sender=carol)
    assert inbox(alice).page().entries[0].sender == carol
    banner: Any = inbox(alice).banners()[0]
    banner.refresh_from_db()
    assert str(banner) == "hello"


def test_send_and_announce_with_key_see_previous_write(alice: User, behind: Any) -> None:
    assert [send(alice, "news", key="news") for _ in range(2)] == [1, 0]
    begin_request()
    assert cancel("news") == 1
    assert announce("news", to=EVERYONE, key="news").pk == announce("news", to=EVERYONE, key="news").pk
    begin_request()
    assert cancel("news") == 1


def test_storage_shows_message_added_in_same_request(alice: User, behind: Any) -> None:
    request = request_of(alice)
    api.add_persistent_info(request, "saved")
    assert texts(api.get_messages(request)) == ["saved"]


def test_run_once_detects_duplicate_at_primary(alice: User, behind: Any) -> None:
    form = uuid.uuid4()
    assert [run_once(form, lambda: send(alice, "hello")).is_duplicate for _ in range(2)] == [False, True]


def test_announcement_is_created_revised_and_retracted(alice: User, bob: User, behind: Any) -> None:
    sales = group_of(alice)
    announcement = announce("soon", to=sales)
    assert announcement.audience_size == 1
    begin_request()
    revise(announcement, message="now", show_again=True)
    assert texts(inbox(alice).banners()) == ["now"]
    begin_request()
    retract(announcement)
    assert not inbox(alice).banners()
    assert written(Announcement).get().retracted_at


def test_broadcast_is_created_counted_and_revised(alice: User, behind: Any) -> None:
    with schema_context("public"):
        published = broadcast("maintenance", to=ALL_TENANTS)
        assert published.audience_size == 2
        inside = io.StringIO()
        call_command("count_broadcast_readers", str(published.pk), stdout=inside)
        revise(published, message="no maintenance")
    assert texts(inbox(alice).banners()) == ["no maintenance"]


@pytest.mark.parametrize("kind", ["message", "announcement", "broadcast"])
def test_mark_read_and_mark_unread_take_effect_at_once(alice: User, behind: Any, kind: str) -> None:
    publish(kind, alice)
    entry = inbox(alice).page().entries[0]
    begin_request()
    assert inbox(alice).mark_read(entry.pk)
    assert inbox(alice).unread_count() == 0
    begin_request()
    assert inbox(alice).mark_unread(entry.pk)
    assert inbox(alice).unread_count() == 1


def publish(kind: str, reader: User) -> None:
    if kind == "message":
        send(reader, "hello")
    elif kind == "announcement":
        announce("hello", to=EVERYONE)
    else:
        with schema_context("public"):
            broadcast("hello", to=ALL_TENANTS)


def test_mark_all_read_and_undo_take_effect_at_once(alice: User, behind: Any) -> None:
    for kind in ("message", "announcement", "broadcast"):
        publish(kind, alice)
    begin_request()
    marked = inbox(alice).mark_all_read()
    assert (marked.count, inbox(alice).unread_count()) == (3, 0)
    begin_request()
    assert inbox(alice).undo(marked.at) == 3
    assert inbox(alice).unread_count() == 3


def test_acknowledge_creates_receipt(alice: User, behind: Any) -> None:
    announcement = announce("read this", to=EVERYONE, must_acknowledge=True)
    begin_request()
    assert inbox(alice).acknowledge(str(announcement.reference))
    assert written(Receipt).get().user_id == alice.pk


def test_purge_deletes_old_messages(alice: User, behind: Any) -> None:
    send(alice, "old")
    inbox(alice).mark_all_read()
    written().update(read_at="2000-01-01 00:00Z")
    begin_request()
    assert purge() == {"messages": 1}


def test_erase_removes_sender(alice: User, bob: User, behind: Any) -> None:
    grants.grant(alice, bob)
    send(bob, "hello", sender=alice)
    assert erase(alice)["messages sent"] == 1
    assert written().get().sender_id is None


def test_grant_messaging_command_finds_user_at_primary(alice: User, behind: Any) -> None:
    User.objects.create_user("carol")
    call_command("grant_messaging", "carol", "alice", schema="t1", verbosity=0, stdout=io.StringIO())
    assert grants.is_held(User.objects.using("default").get(username="carol"), alice)


# Reading --------------------------------------------------------------------------------------------------------------


def test_inbox_reads_replica_until_request_writes(alice: User) -> None:
    send(alice, "hello")
    catch_up()
    begin_request()
    for read in (lambda: inbox(alice).page(), lambda: inbox(alice).unread_count(), lambda: inbox(alice).banners()):
        with (
            CaptureQueriesContext(connections["replica"]) as at_replica,
            CaptureQueriesContext(connections["default"]) as at_default,
        ):
            read()
        assert any("messages_extends_message" in each["sql"] for each in at_replica)
        assert not any("messages_extends_message" in each["sql"] for each in at_default)
    inbox(alice).mark_all_read()
    with CaptureQueriesContext(connections["replica"]) as at_replica:
        assert inbox(alice).unread_count() == 0
    assert not len(at_replica)


@pytest.mark.parametrize(
    "write",
    [
        lambda alice: Message.objects.create(user=alice, message="x", level=INFO_PERSISTENT),
        lambda alice: Message.objects.bulk_create([Message(user_id=alice.pk, message="x", level=INFO_PERSISTENT)]),
        lambda alice: Message.objects.filter(user=alice).update(read=True),
        lambda alice: Message.objects.filter(user=alice).delete(),
    ],
)
def test_inbox_sees_rows_written_by_host(alice: User, behind: Any, write: Callable[[User], Any]) -> None:
    written().bulk_create([Message(user_id=alice.pk, message="first", level=INFO_PERSISTENT)])
    begin_request()
    write(alice)
    assert inbox(alice).unread_count() == written().filter(read=False).count()


def test_badge_and_banner_fragments_read_primary(alice: User, browser_at: MakeBrowser) -> None:
    browser = browser_at("t1", alice)
    with paused():
        send(alice, "news")
        assert browser.get("/messages/badge/").json()["unread"] == 1
        assert "news" in browser.get("/messages/banners/").content.decode()
        begin_request()
        assert unread_counts_of("t1", [str(alice.pk)]) == {str(alice.pk): 1}
        announce("later", to=EVERYONE)
        begin_request()
        assert next_change("t1") is not None
        assert_sent_to(alice, "news")


def test_web_pages_read_primary_for_writes(alice: User, bob: User, browser_at: MakeBrowser) -> None:
    alice.user_permissions.set(Permission.objects.using("default").all())
    browser = browser_at("t1", alice)
    with paused():
        carol = User.objects.create_user("carol")
        text = {"message": "hello", "level": INFO_PERSISTENT}
        draft = text | {"people": [carol.pk]}
        look = browser.post("/messages/compose/", draft)
        assert look.status_code == 200
        sent = browser.post("/messages/compose/", draft | {"step": "send", "number": look.context["number"]})
        assert sent.status_code == 302
        assert written().get().user_id == carol.pk
        granted = {"holder": f"user:{bob.pk}", "target": f"user:{carol.pk}"}
        assert browser.post("/messages/grants/", granted).status_code == 302
        assert grants.is_held(bob, carol)
        draft = text | {"to": "everybody"}
        number = browser.post("/messages/announcements/new/", draft).context["number"]
        published = browser.post("/messages/announcements/new/", draft | {"step": "publish", "number": number})
        pk = written(Announcement).get().pk
        assert published.url == f"/messages/announcements/{pk}/"
        assert browser.post(f"/messages/announcements/{pk}/retract/").status_code == 302


# Whose rows -----------------------------------------------------------------------------------------------------------


def test_replica_reads_current_schema() -> None:
    for schema in ("t1", "t2"):
        with schema_context(schema):
            User.objects.create_user(f"of {schema}", pk=7)
    catch_up()
    for schema in ("t1", "t2", "t2", "t1"):
        with schema_context(schema):
            assert User.objects.using("replica").get(pk=7).username == f"of {schema}"
            assert value("replica", "SELECT current_schema()") == schema


def test_replica_read_outside_tenant_raises_programming_error() -> None:
    with schema_context("public"), pytest.raises(ProgrammingError, match="does not exist"):
        User.objects.using("replica").exists()


def test_replica_in_other_schema_raises_wrong_tenant() -> None:
    connections["replica"].set_schema("t2")
    try:
        with pytest.raises(WrongTenant, match="'replica' has entered the schema 't2', while 'default' is in 't1'"):
            User.objects.using("replica").exists()
        with schema_context("public"):
            assert value("replica", "SELECT current_schema()") == "t2"
    finally:
        connections["replica"].set_schema_to_public()
    assert value("replica", "SELECT current_schema()") == "t1"


def test_replica_outside_schema_raises_improperly_configured(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    send(alice, "hello")
    catch_up()
    begin_request()
    monkeypatch.setattr(ReplicaRouter, "db_for_read", lambda self, model, **hints: "plain")
    with pytest.raises(ImproperlyConfigured, match="The connection 'plain' is not in the schema 't1'"):
        inbox(alice).page()
    connections["plain"].set_schema("t1")
    try:
        assert texts(inbox(alice).page().entries) == ["hello"]
    finally:
        connections["plain"].set_schema_to_public()


def test_check_reports_replica_with_wrong_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(settings.DATABASES["replica"], "ENGINE", "django_tenants.postgresql_backend")
    [report] = [each for each in checks.run_checks() if each.id == "messages_extends.E090"]
    assert "routers.ReplicaRouter reads from 'replica'" in report.msg


# Every query ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def prepared_for_all(alice: User, bob: User) -> dict[str, Any]:
    """Make what there is to write to, to change and to mark, and a platform that may broadcast."""
    sales = group_of(bob)
    for target in (bob, sales):
        grants.grant(alice, target)
    send(alice, "to read")
    made = {"alice": alice, "bob": bob, "sales": sales, "announcement": announce("one", to=sales, sender=alice)}
    announce("keyed", to=EVERYONE, key="keyed")
    with schema_context("t2"):
        made["operator"] = User.objects.create_superuser("operator")
        made["broadcast"] = broadcast("platform", to=ALL_TENANTS)
    made["message"], made["receipt"] = written().get(), str(made["announcement"].reference)
    return made


WRITES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "send to a person": lambda on: send(on["bob"], "hello", sender=on["alice"], key="news"),
    "send to a group": lambda on: send(on["sales"], "hello", sender=on["alice"]),
    "send to a query": lambda on: send(User.objects.filter(is_active=True), "hello"),
    "send as before": lambda on: send_leniently(
        on["bob"], "hello", sender=on["alice"], level=INFO_PERSISTENT, key="news"
    ),
    "announce": lambda on: announce("hello", to=on["sales"], sender=on["alice"]),
    "announce to all": lambda on: announce("hello", to=EVERYONE, key="keyed"),
    "revise": lambda on: revise(on["announcement"], sender=on["alice"], message="two"),
    "retract": lambda on: retract(on["announcement"], sender=on["alice"]),
    "cancel": lambda on: cancel("keyed"),
    "mark read": lambda on: inbox(on["alice"]).mark_read(on["message"].pk),
    "mark an announcement read": lambda on: inbox(on["bob"]).mark_read(on["receipt"]),
    "mark unread": lambda on: inbox(on["bob"]).mark_unread(on["receipt"]),
    "mark all read": lambda on: inbox(on["alice"]).mark_all_read(),
    "purge": lambda on: purge(),
    "erase": lambda on: erase(on["bob"]),
    "revoke": lambda on: grants.revoke(on["alice"], on["bob"]),
    "count": lambda on: count_readers(on["broadcast"], viewer=on["operator"]),
    "broadcast": lambda on: broadcast("hello", to=ALL_TENANTS, sender=on["operator"]),
    "revise a broadcast": lambda on: revise(on["broadcast"], sender=on["operator"], message="two"),
    "retract a broadcast": lambda on: retract(on["broadcast"], sender=on["operator"]),
}
AT_THE_PLATFORM = ("count", "broadcast", "revise a broadcast", "retract a broadcast")
# guardian and Django look up permissions by themselves, which no decision of ours stands on.
THEIRS = ('FROM "auth_permission"', 'FROM "django_content_type"')


@pytest.mark.parametrize("name", WRITES)
def test_writing_functions_do_not_query_replica(prepared_for_all: dict[str, Any], name: str) -> None:
    schema = "t2" if name in AT_THE_PLATFORM else "t1"
    begin_request()
    with schema_context(schema), CaptureQueriesContext(connections["replica"]) as asked:
        WRITES[name](prepared_for_all)
    statements = [each["sql"] for each in asked if not each["sql"].startswith("SET search_path")]
    assert [each for each in statements if not any(theirs in each for theirs in THEIRS)] == []


@pytest.mark.parametrize(
    "question",
    [
        lambda on: policy().may_message(on["alice"], on["bob"]),
        lambda on: policy().may_announce(on["alice"], Group.objects.all()),
        lambda on: policy().may_announce(on["alice"], None),
        lambda on: policy().may_change(on["alice"], on["announcement"]),
        lambda on: policy().may_see_announcements(on["alice"]),
        lambda on: policy().may_compose(on["alice"]),
        lambda on: policy().may_grant(on["alice"]),
        lambda on: policy().may_give(on["alice"], on["bob"]),
        lambda on: policy().may_see_report(on["bob"], on["announcement"]),
        lambda on: policy().honours_model_permissions(on["alice"]),
        lambda on: explain(on["alice"], on["bob"]),
        lambda on: grants.is_held(on["alice"], on["bob"]),
        lambda on: grants.is_held(on["alice"], grants.EVERYBODY),
    ],
)
def test_policy_decisions_do_not_query_replica(prepared_for_all: dict[str, Any], question: Any) -> None:
    begin_request()
    with CaptureQueriesContext(connections["replica"]) as asked:
        question(prepared_for_all)
    assert [each["sql"] for each in asked] == []
