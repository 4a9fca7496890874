"""The pages about what somebody has sent and announced, and the page that recalls a message."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.utils import timezone

from messages_extends.access.grants import EVERYBODY, grant, revoke
from messages_extends.api import EVERYONE, announce, inbox, send, sent
from messages_extends.events import changes
from messages_extends.models import AuditRecord, Message
from tenants.models import Tenant
from tenants.people.models import User
from tests.factories import BrowserOf, make_group

SENT, ANNOUNCEMENTS = "/messages/sent/", "/messages/sent/announcements/"
People = dict[str, User]


@pytest.fixture
def writer(people: People) -> User:
    """Alice, who may write to everybody and announce to Sales."""
    grant(people["alice"], EVERYBODY)
    grant(people["alice"], make_group("Sales", people["bob"]))
    return people["alice"]


@pytest.fixture
def browser(acme: Tenant, writer: User, browser_of: BrowserOf) -> Client:
    return browser_of(acme, writer)


def text_of(response: Any) -> str:
    assert response.status_code == 200
    text = re.sub(r"<[^>]+>", " ", response.content.decode().split("<h1", 1)[1])
    return " ".join(text.split())


def recall_address(writer: User) -> str:
    return f"{SENT}{sent(writer).page().entries[0].pk}/recall/"


def test_sent_page_without_messages_says_so(browser: Client) -> None:
    assert "You have not sent anything yet." in text_of(browser.get(SENT))
    assert "You have not announced anything yet." in text_of(browser.get(ANNOUNCEMENTS))


def test_sent_page_shows_recipients_readers_and_state(browser: Client, people: People, writer: User) -> None:
    later = timezone.now() + timedelta(hours=1)
    send([people["bob"], people["carol"]], "Lunch?", sender=writer, title="Today")
    inbox(people["bob"]).mark_all_read()
    send(people["bob"], "Secret plans", sender=writer, publish_at=later)
    scheduled, shown = text_of(browser.get(SENT)).split("Lunch?")
    assert "To bob Scheduled" in scheduled
    assert "Recall 0 of 1 have read it" in scheduled
    assert "Appears on" in scheduled
    assert "To 2 people Today" in scheduled
    assert "1 of 2 have read it" in shown
    assert "Recall" not in shown


def test_sent_page_escapes_html(browser: Client, people: People, writer: User) -> None:
    send(people["bob"], "<b>bold</b>", sender=writer, title="<i>")
    page = browser.get(SENT).content.decode()
    assert "<b>bold" not in page
    assert "<i>" not in page


def test_sent_pages_continue_by_cursor(browser: Client, people: People, writer: User) -> None:
    for number in range(25):
        send(people["bob"], f"number {number}.", sender=writer)
    first = browser.get(SENT)
    second = browser.get(first.context["next"])
    shown = [entry.message.body for page in (first, second) for entry in page.context["entries"]]
    assert shown == [f"number {number}." for number in reversed(range(25))]
    assert second.context["next"] == ""
    Message.objects.all().delete()
    assert "There are no older messages." in text_of(browser.get(first.context["next"]))


@pytest.mark.parametrize("after", ["x", "1-announcement-" + "0" * 32, "9" * 40, "\0"])
def test_sent_page_with_invalid_cursor_returns_400(browser: Client, after: str) -> None:
    assert browser.get(SENT, {"after": after}).status_code == 400


def test_sent_page_takes_as_many_queries_for_any_number_of_recipients(
    browser: Client, writer: User, our_queries: Callable[[], Any]
) -> None:
    def queries(address: str) -> int:
        with our_queries() as found:
            browser.get(address)
        return len(found)

    send(User.objects.exclude(pk=writer.pk), "to two", sender=writer)
    announce("to Sales", to=Group.objects.get(), sender=writer)
    counts = [queries(address) for address in (SENT, ANNOUNCEMENTS)]
    User.objects.bulk_create(User(email=f"{n}@acme.example", name=str(n)) for n in range(60))
    for number in range(20):
        send(User.objects.exclude(pk=writer.pk), f"to all {number}", sender=writer)
        announce(f"to Sales {number}", to=Group.objects.get(), sender=writer)
    assert [queries(address) for address in (SENT, ANNOUNCEMENTS)] == counts


def test_sent_announcements_show_own_ones_only_and_after_revocation(
    browser: Client, people: People, writer: User
) -> None:
    announce("of alice", to=Group.objects.get(), sender=writer)
    announce("of the application", to=EVERYONE)
    revoke(writer, Group.objects.get())
    revoke(writer, EVERYBODY)
    text = text_of(browser.get(ANNOUNCEMENTS))
    assert ("of alice" in text, "of the application" in text) == (True, False)
    assert "0 of 1 have read it" in text
    assert "New announcement" not in text


def test_link_to_sent_page_is_shown_to_senders(
    acme: Tenant, people: People, writer: User, browser_of: BrowserOf
) -> None:
    link = f'href="{SENT}"'
    pages = [browser_of(acme, people[name]).get("/messages/").content.decode() for name in ("alice", "bob")]
    assert [link in page for page in pages] == [True, False]
    assert link in browser_of(acme, writer).get("/messages/").content.decode()


@pytest.mark.parametrize("address", [SENT, ANNOUNCEMENTS, f"{SENT}1/recall/"])
def test_sent_pages_ask_anonymous_user_to_log_in(acme: Tenant, browser_of: BrowserOf, address: str) -> None:
    response = browser_of(acme).get(address)
    assert (response.status_code, response["Location"]) == (302, f"/login/?next={address}")


class TestRecall:
    def test_recall_asks_before_it_deletes(self, browser: Client, people: People, writer: User) -> None:
        send([people["bob"], people["carol"]], "Oops", sender=writer)
        address = recall_address(writer)
        text = text_of(browser.get(address))
        assert "To 2 people" in text
        assert "Recall it" in text
        assert Message.objects.count() == 2
        response = browser.post(address)
        assert (response.status_code, response["Location"]) == (302, SENT)
        assert not Message.objects.exists()
        assert "The message has been recalled." in browser.get(SENT).content.decode()

    def test_recall_submitted_twice_succeeds_twice_and_deletes_once(
        self, browser: Client, people: People, writer: User
    ) -> None:
        send(people["bob"], "Oops", sender=writer)
        address = recall_address(writer)
        assert [browser.post(address).status_code for _click in range(2)] == [302, 302]
        assert browser.get(address).status_code == 302
        assert AuditRecord.objects.filter(action="recall").count() == 1

    def test_recall_after_somebody_has_read_it_returns_409(self, browser: Client, people: People, writer: User) -> None:
        send([people["bob"], people["carol"]], "Oops", sender=writer)
        address = recall_address(writer)
        inbox(people["carol"]).mark_all_read()
        response = browser.post(address)
        assert response.status_code == 409
        assert "Recall it" not in response.content.decode()
        assert "Recall it" not in text_of(browser.get(address))
        assert Message.objects.count() == 2

    def test_recall_without_csrf_token_is_refused(self, browser: Client, people: People, writer: User) -> None:
        send(people["bob"], "Oops", sender=writer)
        browser.handler.enforce_csrf_checks = True
        assert browser.post(recall_address(writer)).status_code == 403
        assert Message.objects.exists()

    @pytest.mark.parametrize("pk", ["9" * 40, "0", "999999"])
    def test_recall_of_unknown_key_returns_404(self, browser: Client, pk: str) -> None:
        assert [browser.get(f"{SENT}{pk}/recall/").status_code, browser.post(f"{SENT}{pk}/recall/").status_code] == [
            404,
            404,
        ]

    def test_recall_notifies_pages_of_recipients(
        self,
        browser: Client,
        people: People,
        writer: User,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        send([people["bob"], people["carol"]], "Oops", sender=writer)
        events: list[changes.ChangeEvent] = []
        monkeypatch.setattr(changes, "_on_commit", events.extend)
        browser.post(recall_address(writer))
        assert [(event.schema, event.users) for event in events] == [
            ("acme", frozenset(str(people[name].pk) for name in ("bob", "carol")))
        ]
