"""A host with USE_TZ = False: its times are naive, those of TIME_ZONE, and aware ones become such."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import call_command
from django.db import connection
from django.template import engines
from django.test import Client
from django.utils import timezone
from django_tenants.utils import schema_context

from messages_extends.api import ALL_TENANTS, EVERYONE, add_message, announce, broadcast, inbox, revise, send
from messages_extends.constants import INFO_PERSISTENT
from messages_extends.inbox import feed
from messages_extends.inbox.filters import InboxFilter
from messages_extends.inbox.snapshot import UnreadSnapshot
from messages_extends.maintenance.personal_data import as_json, export
from messages_extends.models import Announcement, Message
from messages_extends.models.publication import State
from messages_extends.queries import compiled
from messages_extends.sending.cleaning import clean_datetime, parse_datetime_of_page
from messages_extends.storages import FallbackStorage
from messages_extends.tenancy.sessions import SessionStore
from messages_extends.web.forms import TextForm
from tests.integration.hosts.contract import MakeBrowser

HOUR = timedelta(hours=1)


@pytest.fixture
def alice(db: None) -> Iterator[Any]:
    with schema_context("t1"):
        yield User.objects.create_user("alice")


def in_an_hour(*, aware: bool) -> datetime:
    return datetime.now(UTC) + HOUR if aware else datetime.now() + HOUR


def stored_at(column: str, table: str = "messages_extends_message") -> datetime:
    """Return the moment in a column, as the database itself knows it."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT extract(epoch FROM {column}) FROM {table}")
        return datetime.fromtimestamp(float(cursor.fetchone()[0]), UTC)


def is_near(at: datetime, expected: datetime) -> bool:
    return abs(at - expected) < timedelta(minutes=1)


@pytest.mark.django_db
def test_checks_report_nothing() -> None:
    call_command("check", databases=["default"], fail_level="WARNING")


@pytest.mark.parametrize("aware", [False, True])
def test_send_stores_expiry_as_same_moment(alice: Any, aware: bool) -> None:
    send(alice, "for an hour", expires=in_an_hour(aware=aware))
    assert is_near(stored_at("expires"), datetime.now(UTC) + HOUR)
    assert [str(each) for each in inbox(alice).page().entries] == ["for an hour"]


@pytest.mark.parametrize("aware", [False, True])
def test_send_and_announce_refuse_past_expiry(alice: Any, aware: bool) -> None:
    for write in (lambda at: send(alice, "late", expires=at), lambda at: announce("late", to=EVERYONE, expires=at)):
        with pytest.raises(ValueError, match="in the past"):
            write(in_an_hour(aware=aware) - 2 * HOUR)


def test_storage_stores_aware_expiry_as_naive(alice: Any, rf: Any) -> None:
    request = rf.get("/")
    request.user, request.session = alice, SessionStore()
    request._messages = FallbackStorage(request)
    add_message(request, INFO_PERSISTENT, "for an hour", expires=in_an_hour(aware=True))
    assert timezone.is_naive(Message.objects.get().expires)


@pytest.mark.parametrize("aware", [False, True])
def test_announcement_appears_and_expires_at_given_times(alice: Any, aware: bool) -> None:
    announcement = announce("soon", to=EVERYONE, publish_at=in_an_hour(aware=aware))
    assert announcement.state() is State.SCHEDULED
    assert not inbox(alice).page().entries
    revise(announcement, publish_at=timezone.now())
    assert [str(each) for each in inbox(alice).banners()] == ["soon"]
    revise(announcement, expires=in_an_hour(aware=aware), show_again=True)
    assert is_near(stored_at("expires", "messages_extends_announcement"), datetime.now(UTC) + HOUR)


def test_broadcast_with_aware_expiry_is_shown_in_tenant(alice: Any) -> None:
    with schema_context("public"):
        broadcast("maintenance", to=ALL_TENANTS, expires=in_an_hour(aware=True))
    assert [str(each) for each in inbox(alice).banners()] == ["maintenance"]
    with schema_context("public"):
        call_command("count_broadcast_readers", "--all", verbosity=0)


def test_inbox_pages_list_all_items_in_order(alice: Any) -> None:
    for number in range(5):
        send(alice, f"number {number}")
    announce("to all", to=EVERYONE)
    texts, after = [], ""
    while True:
        page = inbox(alice).page(after, size=2)
        texts += [str(each) for each in page.entries]
        after = page.next
        if not after:
            break
    assert texts == ["to all", *(f"number {number}" for number in (4, 3, 2, 1, 0))]


def test_feed_queries_are_compiled() -> None:
    values = {"user": User(), "at": datetime.now(), "schema": "t1"}
    for build in (feed.newest_banners, feed.urgent_publications):
        assert compiled.kept_query(build, values, "default", limit=10) is not None
    values |= {"last_at": datetime.now(), "last_id": 1}
    shape = {"size": 21, "chosen": InboxFilter(), "last": "message"}
    assert compiled.kept_query(feed.page, values, "default", **shape) is not None


@pytest.mark.parametrize("aware", [False, True])
def test_mark_all_read_with_snapshot_marks_and_undoes_seen_items(alice: Any, aware: bool) -> None:
    send(alice, "before")
    now = datetime.now(UTC) if aware else datetime.now()
    announce("also before", to=EVERYONE, publish_at=now - HOUR)
    snapshot = inbox(alice).snapshot()
    send(alice, "after")
    marked = inbox(alice).mark_all_read(snapshot)
    assert (marked.count, inbox(alice).unread_count()) == (2, 1)
    assert inbox(alice).undo(marked.at) == 2


@pytest.mark.parametrize("minutes", [0, 30])
def test_mark_all_read_with_truncated_snapshot_marks_old_items(
    alice: Any, minutes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(UnreadSnapshot, "LISTED", 1)
    for number in range(2):
        send(alice, f"number {number}")
    first = Message.objects.order_by("pk")[0]
    Message.objects.filter(pk=first.pk).update(created=timezone.now() - timedelta(minutes=minutes))
    assert inbox(alice).mark_all_read(inbox(alice).snapshot()).count == (2 if minutes else 1)


def test_mark_all_read_with_empty_snapshot_marks_nothing(alice: Any) -> None:
    snapshot = inbox(alice).snapshot()
    send(alice, "after")
    assert inbox(alice).mark_all_read(snapshot).count == 0


def test_inbox_pages_mark_all_read_and_undo(alice: Any, browser_at: MakeBrowser) -> None:
    for number in range(25):
        send(alice, f"number {number}")
    browser = browser_at("t1", alice)
    first = browser.get("/messages/")
    assert browser.get(first.context["next"]).status_code == 200
    answer = browser.post("/messages/mark_read/all/", {"snapshot": first.context["snapshot"], "undoable": "1"})
    with schema_context("t1"):
        assert inbox(alice).unread_count() == 0
    undo = browser.get(answer.url).context["undo"]
    assert undo
    browser.post("/messages/undo/", {"undo": undo})
    with schema_context("t1"):
        assert inbox(alice).unread_count() == 25


def test_announcement_form_reads_time_in_named_time_zone(alice: Any, browser_at: MakeBrowser) -> None:
    alice.user_permissions.set(Permission.objects.filter(codename__endswith="_announcement"))
    wall_clock = (datetime.now() + 2 * HOUR).strftime("%Y-%m-%dT%H:%M")
    values = {"message": "soon", "level": INFO_PERSISTENT, "to": "everybody", "publish_at": wall_clock}
    page = publish(browser_at("t1", alice), values)
    assert "Asia/Kolkata" in page
    with schema_context("t1"):
        assert is_near(stored_at("publish_at", "messages_extends_announcement"), datetime.now(UTC) + 2 * HOUR)
        pk = Announcement.objects.get().pk
    assert wall_clock in browser_at("t1", alice).get(f"/messages/announcements/{pk}/edit/").content.decode()


def publish(browser: Client, values: dict[str, Any]) -> str:
    """Look at a new announcement, then publish it; return the page on which it was looked at."""
    look = browser.post("/messages/announcements/new/", values)
    assert look.status_code == 200, look.content.decode()
    number = look.context["number"]
    assert browser.post("/messages/announcements/new/", values | {"step": "publish", "number": number}).url
    return look.content.decode()


def test_parse_datetime_of_page_returns_naive_datetime() -> None:
    now = timezone.now()
    assert parse_datetime_of_page(now.isoformat()) == now
    assert parse_datetime_of_page(timezone.make_aware(now).isoformat()) == now


def test_clean_datetime_ignores_active_time_zone_for_naive_datetime() -> None:
    at = datetime(2030, 1, 1, 12)
    with timezone.override("America/New_York"):
        assert clean_datetime("at", at) == at


def test_text_form_ignores_active_time_zone() -> None:
    at = (datetime.now() + HOUR).replace(second=0, microsecond=0)
    with timezone.override("America/New_York"):
        form = TextForm({"message": "x", "level": INFO_PERSISTENT, "expires": at.strftime("%Y-%m-%dT%H:%M")})
        assert form.is_valid(), form.errors
        assert (form.text["expires"], form.zone_name) == (at, "Asia/Kolkata")


def test_time_element_and_export_include_utc_offset(alice: Any) -> None:
    send(alice, "hello")
    template = '{% include "messages_extends/includes/time.html" with at=at %}'
    assert "T06:30:00+00:00" in engines["django"].from_string(template).render({"at": datetime(2030, 1, 1, 12)})
    exported = json.loads("".join(as_json(export(alice))))
    assert exported["messages_received"][0]["created"].endswith("+05:30")


def test_purge_deletes_messages_read_long_ago(alice: Any) -> None:
    send(alice, "read long ago")
    Message.objects.update(read_at=timezone.now() - timedelta(days=100))
    call_command("purge_messages", verbosity=0)
    assert not Message.objects.exists()
