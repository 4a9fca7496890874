"""The view that archives, snoozes and saves: whose entries it changes, and what it refuses."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from django.utils import timezone

from messages_extends.api import EVERYONE, announce, inbox, send
from messages_extends.inbox.snapshot import UnreadSnapshot
from messages_extends.models import Message
from messages_extends.web.listing import rows_of
from messages_extends.web.snoozing import snooze_times
from tenants.models import Tenant
from tests.factories import BrowserOf, MakeUser

TRIAGE = "/messages/triage/"
ACTIONS = ("archive", "unarchive", "snooze", "unsnooze", "save", "unsave")


@pytest.fixture
def browser(in_acme: Tenant, alice: Any, browser_of: BrowserOf) -> Client:
    return browser_of(in_acme, alice)


def key_of(user: Any, text: str) -> Any:
    return next(entry.pk for entry in inbox(user).page(view="all").entries if str(entry) == text)


@pytest.mark.parametrize("action", ACTIONS)
def test_triage_answers_404_for_entry_of_another_user(
    browser: Client, alice: Any, make_user: MakeUser, action: str
) -> None:
    bob = make_user("bob")
    send(alice, "mine")
    send(bob, "not mine")
    fields = {"when": "hour", "pk": [key_of(alice, "mine"), key_of(bob, "not mine")]}
    for address_of_pk in ({action: key_of(bob, "not mine")}, {action: "", **fields}, {action: "999999"}):
        assert browser.post(TRIAGE, {"when": "hour", **address_of_pk}).status_code == 404
    assert not Message.objects.exclude(archived_at=None, snoozed_until=None, saved_at=None).exists()


def test_triage_by_get_changes_nothing(browser: Client, alice: Any) -> None:
    send(alice, "mine")
    assert browser.get(TRIAGE, {"archive": key_of(alice, "mine")}).status_code == 405
    assert [str(entry) for entry in inbox(alice).page().entries] == ["mine"]


def test_triage_needs_csrf_token(in_acme: Tenant, alice: Any, browser_of: BrowserOf) -> None:
    send(alice, "mine")
    browser = browser_of(in_acme, alice)
    browser.handler.enforce_csrf_checks = True
    assert browser.post(TRIAGE, {"archive": key_of(alice, "mine")}).status_code == 403


@pytest.mark.parametrize("action", ["archive", "snooze"])
def test_triage_refuses_what_must_be_acknowledged(browser: Client, alice: Any, action: str) -> None:
    announce("the rules", to=EVERYONE, must_acknowledge=True)
    answer = browser.post(TRIAGE, {action: key_of(alice, "the rules"), "when": "hour"})
    assert answer.status_code == 409
    assert [str(entry) for entry in inbox(alice).page().entries] == ["the rules"]


@pytest.mark.parametrize("data", [{}, {"archive": "all", "snapshot": "forged"}, {"archive": "all", "view": "x"}])
def test_triage_refuses_invalid_request(browser: Client, alice: Any, data: Any) -> None:
    send(alice, "mine")
    assert browser.post(TRIAGE, data).status_code == 400


def test_undo_token_of_another_user_undoes_nothing(
    browser: Client, in_acme: Tenant, alice: Any, make_user: MakeUser, browser_of: BrowserOf
) -> None:
    send(alice, "mine")
    answer = browser.post(TRIAGE, {"archive": key_of(alice, "mine")})
    token = answer["Location"].partition("undo=")[2]
    others = browser_of(in_acme, make_user("bob"))
    assert others.post("/messages/undo/", {"undo": token}).status_code == 400
    assert not inbox(alice).page().entries


def test_sender_filter_reveals_no_name_of_whom_has_sent_nothing(browser: Client, make_user: MakeUser) -> None:
    stranger = make_user("stranger")
    known, unknown = (
        browser.get("/messages/", {"sender": pk}).content.decode().replace(str(pk), "") for pk in (stranger.pk, 999_999)
    )
    assert "stranger" not in known
    assert known.count("The chosen sender") == unknown.count("The chosen sender") > 0


def test_sender_filter_shows_only_what_that_person_sent(browser: Client, alice: Any, make_user: MakeUser) -> None:
    bob = make_user("bob")
    Message.objects.create(user=alice, sender=bob, message="from bob", level=29)
    send(alice, "from nobody")
    page = browser.get("/messages/", {"sender": bob.pk}).content.decode()
    assert ("from bob" in page, "from nobody" in page) == (True, False)


@pytest.mark.parametrize(
    ("now", "name", "expected"),
    [
        ("2026-11-25T10:00", "hour", "2026-11-25T11:00"),
        ("2026-11-25T10:00", "evening", "2026-11-25T18:00"),
        ("2026-11-25T18:00", "evening", "2026-11-26T18:00"),
        ("2026-11-25T23:59", "tomorrow", "2026-11-26T09:00"),
        ("2026-11-25T10:00", "week", "2026-11-30T09:00"),
        ("2026-11-30T08:00", "week", "2026-12-07T09:00"),
        # The clock is put back at three.
        ("2026-10-25T02:30", "hour", "2026-10-25T02:30"),
        ("2026-10-24T12:00", "tomorrow", "2026-10-25T09:00"),
    ],
)
def test_snooze_times_are_those_of_the_zone(now: str, name: str, expected: str) -> None:
    zone = ZoneInfo("Europe/Berlin")
    until = snooze_times(datetime.fromisoformat(now).replace(tzinfo=zone))[name]
    assert until.astimezone(zone).strftime("%Y-%m-%dT%H:%M") == expected


def test_rows_fold_group_within_a_day_of_the_zone(in_acme: Tenant, alice: Any) -> None:
    for text in ("a", "b", "c"):
        send(alice, text, group="g")
    midnight = datetime(2026, 11, 25, 23, tzinfo=UTC)
    for text, minutes in (("a", -1), ("b", 1), ("c", 2)):
        Message.objects.filter(message=text).update(created=midnight + timedelta(minutes=minutes))
    entries = inbox(alice).page().entries
    with timezone.override(ZoneInfo("Europe/Berlin")):
        rows = rows_of(entries)
    assert [[str(entry) for entry in row.entries] for row in rows] == [["c", "b"], ["a"]]
    with timezone.override(UTC):
        assert [len(row.entries) for row in rows_of(entries)] == [3]


@pytest.mark.parametrize("narrowing", ["q", "sender"])
def test_mark_all_read_marks_older_messages_than_listed_and_only_what_filter_shows(
    browser: Client, alice: Any, make_user: MakeUser, monkeypatch: pytest.MonkeyPatch, narrowing: str
) -> None:
    monkeypatch.setattr(UnreadSnapshot, "LISTED", 2)
    admin = make_user("admin", is_superuser=True)
    for number in range(4):
        send(alice, f"disk {number}", sender=admin)
        send(alice, f"other {number}")
    Message.objects.update(created=timezone.now() - timedelta(hours=1))
    chosen = {"q": "disk"} if narrowing == "q" else {"sender": str(admin.pk)}
    page = browser.get("/messages/", chosen).content.decode()
    token = re.search(r'name="snapshot"\s+value="([^"]+)"', page)
    assert token is not None
    browser.post("/messages/mark_read/all/", {"snapshot": token[1], **chosen})
    assert sorted(str(each) for each in Message.objects.filter(read_at=None)) == [f"other {n}" for n in range(4)]
