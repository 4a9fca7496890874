"""The pages of readers: banners, bell, panel and inbox."""

import gzip
import re
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.http import HttpRequest
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django.utils.html import format_html
from django_tenants.utils import schema_context

import messages_extends
from messages_extends.api import ALL_TENANTS, EVERYONE, announce, broadcast, inbox, send
from messages_extends.constants import ERROR_PERSISTENT
from messages_extends.inbox.badge import UnreadBadge
from messages_extends.inbox.unread import unread_for
from messages_extends.models import Message
from tenants.models import Tenant
from tests.conftest import count_our_queries
from tests.factories import BrowserOf, MakeUser

pytestmark = pytest.mark.usefixtures("in_acme")

MALICIOUS = "<script>alert(1)</script> \u202eevil 😀 " + "x" * 9_000


def text_of(response: Any) -> str:
    return re.sub(r"\s+", " ", response.content.decode())


def words_of(response: Any) -> str:
    return re.sub(r"<[^>]*>", "", text_of(response))


def snapshot_in(response: Any) -> str:
    """Return what a page says it has seen, for "mark all as read"."""
    found = re.search(r'name="snapshot" value="([^"]+)"', text_of(response))
    assert found
    return found[1]


class TestInbox:
    def test_inbox_shows_all_kinds_with_senders(self, browser: Client, alice: Any, make_user: MakeUser) -> None:
        Message.objects.create(user=alice, sender=make_user("bob"), message="from Bob", level=ERROR_PERSISTENT)
        announce("for everyone", to=EVERYONE)
        page = words_of(browser.get("/messages/"))
        for words in ("from Bob", "bob", "Error", "for everyone", "Announcement", "Unread"):
            assert words in page

    def test_inbox_names_origin_of_broadcast_once(self, browser: Client) -> None:
        for author in ("", "The operations team"):
            with schema_context("public"):
                broadcast(f"by {author}", to=ALL_TENANTS, author=author)
        for language, anonymous, signed in (
            ("en", "The platform", "The operations team From the platform"),
            ("de", "Die Plattform", "The operations team Von der Plattform"),
        ):
            page = text_of(browser.get("/messages/", headers={"accept-language": language}))
            metas = [re.sub(r"<[^>]*>", "", meta) for meta in re.findall(r'<div class="mx-meta">(.*?)</div>', page)]
            assert [" ".join(meta.split()) for meta in metas] == [signed, anonymous]

    @pytest.mark.parametrize(
        ("query", "words"),
        [
            ("", "Your inbox is empty"),
            ("?unread=1", "You have read everything"),
            ("?kind=broadcast", "Nothing matches this filter"),
            ("?unread=1&level=40", "Nothing matches this filter"),
        ],
    )
    def test_empty_inbox_states_reason(self, browser: Client, query: str, words: str) -> None:
        assert words in words_of(browser.get(f"/messages/{query}"))

    @pytest.mark.parametrize("query", ["kind=letter", "level=21", "after=nonsense", "after=1-message-x", "unread=2"])
    def test_inbox_with_invalid_filter_returns_400_and_shows_messages(
        self, browser: Client, alice: Any, query: str
    ) -> None:
        send(alice, "Hello")
        page = browser.get(f"/messages/?{query}")
        assert page.status_code == 400
        assert 'role="alert"' in text_of(page)
        assert "Hello" in words_of(page)

    def test_inbox_pages_link_to_older_messages(self, browser: Client, alice: Any) -> None:
        for number in range(45):
            send(alice, f"message {number:02}")
        address, seen = "/messages/", []
        while address:
            page = text_of(browser.get(address))
            seen += re.findall(r"message \d\d(?=</p>)", page)
            older = re.search(r'href="([^"]*)" rel="next"', page)
            address = older[1].replace("&amp;", "&") if older else ""
        assert seen == [f"message {number:02}" for number in reversed(range(45))]

    def test_pages_escape_html_in_messages(self, browser: Client, alice: Any) -> None:
        send(alice, MALICIOUS)
        for address in ("/messages/", "/", "/messages/panel/"):
            page = browser.get(address).content.decode()
            assert "<script>alert" not in page
            assert "&lt;script&gt;alert(1)" in page

    def test_safe_html_with_quotes_does_not_break_attributes(self, browser: Client, alice: Any) -> None:
        link = format_html('<a href="/p/" title="{}">Report</a>', "x onfocus=alert(1) autofocus y")
        send(alice, link, url="/p/")
        for address in ("/messages/", "/messages/panel/"):
            page = browser.get(address).content.decode()
            assert str(link) in page
            assert 'aria-label="Mark read: Report"' in page
            assert 'aria-label="Open: Report"' in page

    def test_inbox_without_login_redirects_to_login(self, in_acme: Tenant, browser_of: BrowserOf) -> None:
        answer = browser_of(in_acme).get("/messages/?unread=1")
        assert (answer.status_code, urlsplit(answer["Location"]).path) == (302, "/login/")
        assert parse_qs(urlsplit(answer["Location"]).query)["next"] == ["/messages/?unread=1"]

    def test_pages_are_never_cached(self, browser: Client) -> None:
        for address in ("/messages/", "/messages/panel/", "/messages/banners/"):
            assert "no-store" in browser.get(address)["Cache-Control"]

    def test_pages_contain_no_inline_code(self, browser: Client, alice: Any) -> None:
        send(alice, "Hello", url="/x/")
        announce("rules", to=EVERYONE, must_acknowledge=True)
        for address in ("/messages/", "/", "/messages/panel/"):
            page = browser.get(address).content.decode()
            assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=|javascript:", page)


class TestMarkingAll:
    def post(self, browser: Client, **data: Any) -> Any:
        return browser.post("/messages/mark_read/all/", {"undoable": "1", **data}, follow=True)

    def test_mark_all_read_states_count_and_offers_undo(self, browser: Client, alice: Any) -> None:
        send(alice, "one")
        announce("two", to=EVERYONE)
        page = self.post(browser)
        assert "2 messages were marked as read" in words_of(page)
        token = re.search(r'name="undo" value="([^"]+)"', text_of(page))
        assert token
        browser.post("/messages/undo/", {"undo": token[1], "next": "/messages/"})
        assert inbox(alice).unread_count() == 2

    def test_mark_all_read_with_filter_marks_filtered_messages_only(self, browser: Client, alice: Any) -> None:
        send(alice, "a message")
        announce("an announcement", to=EVERYONE)
        assert "Mark these 1 as read" in words_of(browser.get("/messages/?kind=message"))
        page = self.post(browser, kind="message")
        assert page.redirect_chain[-1][0].startswith("/messages/?kind=message&undo=")
        assert [str(entry) for entry in inbox(alice).banners()] == ["an announcement"]

    def test_mark_all_read_skips_messages_newer_than_page(self, browser: Client, alice: Any) -> None:
        send(alice, "seen")
        snapshot = snapshot_in(browser.get("/messages/"))
        send(alice, "unseen")
        self.post(browser, snapshot=snapshot)
        assert [str(entry) for entry in inbox(alice).banners()] == ["unseen"]

    @pytest.mark.parametrize(
        "data",
        [
            {"snapshot": "yesterday"},
            {"snapshot": "\0"},
            {"snapshot": "W10:" + "x" * 43},
            {"kind": "letter"},
        ],
    )
    def test_mark_all_read_with_invalid_input_returns_400(self, browser: Client, alice: Any, data: Any) -> None:
        send(alice, "Hello")
        assert self.post(browser, **data).status_code == 400
        assert inbox(alice).unread_count() == 1

    def test_mark_all_read_with_snapshot_of_other_user_returns_400(
        self, browser: Client, in_acme: Tenant, alice: Any, make_user: MakeUser, browser_of: BrowserOf
    ) -> None:
        bob = make_user("bob")
        send([alice, bob], "Hello")
        for address in ("/messages/", "/messages/panel/"):
            snapshot = snapshot_in(browser.get(address))
            assert self.post(browser_of(in_acme, bob), snapshot=snapshot).status_code == 400
        assert inbox(bob).unread_count() == 1
        self.post(browser, snapshot=snapshot)
        assert inbox(alice).unread_count() == 0

    def test_undo_with_token_of_other_user_returns_400(
        self, browser: Client, in_acme: Tenant, alice: Any, make_user: MakeUser, browser_of: BrowserOf
    ) -> None:
        send(alice, "Hello")
        token = re.search(r'name="undo" value="([^"]+)"', text_of(self.post(browser)))
        assert token
        for undo in (token[1], "nonsense", ""):
            assert (
                browser_of(in_acme, make_user(f"bob{len(undo)}")).post("/messages/undo/", {"undo": undo}).status_code
                == 400
            )
        assert inbox(alice).unread_count() == 0


class TestBell:
    @pytest.mark.parametrize(
        ("count", "text", "name"),
        [
            (0, "", "Messages, none unread"),
            (3, "3", "Messages, 3 unread"),
            (99, "99", "Messages, 99 unread"),
            (100, "99+", "Messages, 99+ unread"),
        ],
    )
    def test_unread_badge_name_states_count(self, count: int, text: str, name: str) -> None:
        assert (UnreadBadge(count).text, UnreadBadge(count).name) == (text, name)

    def test_mark_read_as_json_returns_new_badge(self, browser: Client, alice: Any) -> None:
        send(alice, "one")
        send(alice, "two")
        message = Message.objects.get(message="one")
        answer = browser.post(f"/messages/mark_read/{message.pk}/", headers={"accept": "application/json"})
        assert answer.json() == {"unread": 1, "text": "1", "name": "Messages, 1 unread"}

    def test_page_without_login_runs_no_queries(self, in_acme: Tenant, browser_of: BrowserOf) -> None:
        with count_our_queries() as queries:
            page = browser_of(in_acme).get("/")
        assert queries == []
        assert "data-mx-bell" not in text_of(page)

    def test_page_with_bell_and_banners_runs_one_query(self, browser: Client, alice: Any) -> None:
        for number in range(20):
            send(alice, f"message {number}")
        announce("for everyone", to=EVERYONE)
        with count_our_queries() as queries:
            page = browser.get("/")
        assert "Messages, 21 unread" in text_of(page)
        assert len(queries) == 1

    def test_unread_for_rereads_after_change_in_request(self, in_acme: Tenant, alice: Any) -> None:
        request = HttpRequest()
        send(alice, "one")
        assert unread_for(request, alice).count == 1
        with count_our_queries() as queries:
            assert unread_for(request, alice).count == 1
        assert queries == []
        send(alice, "two")
        assert unread_for(request, alice).count == 2
        inbox(alice).mark_all_read()
        assert unread_for(request, alice).count == 0

    def test_unread_for_is_cached_per_reader(self, in_acme: Tenant, alice: Any, make_user: MakeUser) -> None:
        request = HttpRequest()
        send(alice, "one")
        assert (unread_for(request, alice).count, unread_for(request, make_user("bob")).count) == (1, 0)
        with schema_context("globex"):
            namesake = make_user("alice", pk=alice.pk)
            assert unread_for(request, namesake).count == 0


class TestPanel:
    def test_panel_lists_unread_messages_first(self, browser: Client, alice: Any) -> None:
        for number in range(12):
            send(alice, f"message {number:02}")
        Message.objects.filter(message__gte="message 02").update(read=True)
        page = text_of(browser.get("/messages/panel/"))
        shown = re.findall(r"message \d\d(?=</p>)", page)
        assert shown == [f"message {number:02}" for number in (1, 0, 11, 10, 9, 8, 7, 6)]

    def test_panel_lists_unread_messages_only_when_full(self, browser: Client, alice: Any) -> None:
        for number in range(12):
            send(alice, f"message {number:02}")
        Message.objects.filter(message="message 11").update(read=True)
        shown = re.findall(r"message \d\d(?=</p>)", text_of(browser.get("/messages/panel/")))
        assert shown == [f"message {number:02}" for number in range(10, 2, -1)]


class TestBanners:
    def test_banner_to_acknowledge_has_no_close_button(self, browser: Client) -> None:
        announce("rules", to=EVERYONE, must_acknowledge=True)
        page = text_of(browser.get("/"))
        assert "/messages/acknowledge/" in page
        assert "/messages/mark_read/" not in page

    def test_overflow_banner_links_to_inbox(self, browser: Client, alice: Any) -> None:
        for number in range(12):
            send(alice, f"message {number}")
        page = text_of(browser.get("/"))
        assert re.search(
            r'and 2 more</span> </div> <a class="mx-link" href="/messages/" aria-label="Open the inbox: and 2 more">',
            page,
        )

    @pytest.mark.parametrize(
        ("count", "urgent", "expected"),
        [
            (2, 0, ("and 0 more", "and 0 more", 2)),
            (3, 0, ("and 0 more", "and 1 more", 3)),
            (5, 0, ("and 2 more", "and 3 more", 3)),
            (9, 5, ("and 9 more", "and 9 more", 5)),
            (15, 0, ("and 12 more", "and 13 more", 3)),
            (120, 1, ("and 98+ more", "and 99+ more", 3)),
        ],
    )
    def test_collapsed_count_includes_messages_not_loaded(
        self, browser: Client, alice: Any, count: int, urgent: int, expected: Any
    ) -> None:
        for number in range(urgent):
            announce(f"rule {number}", to=EVERYONE, must_acknowledge=True)
        send([alice], "one")
        Message.objects.bulk_create(
            Message(user=alice, level=ERROR_PERSISTENT, message=f"message {number}") for number in range(count - 1)
        )
        page = text_of(browser.get("/"))
        wide, narrow = re.findall(r'data-mx-from="\d">([^<]*)<', page)
        at = re.findall(r"(data-mx-fold)|data-mx-pk=", page).index("data-mx-fold")
        assert (wide, narrow, at) == expected

    def test_message_of_current_request_is_never_collapsed(self, browser: Client, alice: Any) -> None:
        for number in range(5):
            send(alice, f"message {number}")
        page = text_of(browser.post("/", {"level": "20"}, follow=True))
        assert '<span class="mx-wide" data-mx-from="4">and 2 more<' in page

    def test_banner_buttons_and_links_have_descriptive_labels(self, browser: Client, alice: Any) -> None:
        send(alice, "Your invoice", url="/x/")
        send(alice, format_html('<b title="{}">Report</b>', "x onfocus=alert(1) y"))
        announce("The rules", to=EVERYONE, must_acknowledge=True)
        page = text_of(browser.get("/"))
        for name in ("Close: Your invoice", "Open: Your invoice", "Close: Report", "Acknowledge: The rules"):
            assert f'aria-label="{name}"' in page
        assert 'aria-label="Close"' not in page.split("<template")[0]
        assert 'aria-label="Acknowledge: The rules"' in text_of(browser.get("/messages/panel/"))

    def test_banner_senders_are_loaded_with_one_query(self, browser: Client, alice: Any, make_user: MakeUser) -> None:
        bob, carol = make_user("bob"), make_user("carol")
        for sender in (bob, carol):
            Message.objects.create(user=alice, sender=sender, message="Hello", level=ERROR_PERSISTENT)
        announce("for everyone", to=EVERYONE)
        for address in ("/", "/messages/banners/"):
            with CaptureQueriesContext(connection) as captured:
                page = text_of(browser.get(address))
            assert re.findall(r'class="mx-sender"><bdi>(\w+)</bdi>:', page) == ["carol", "bob"]
            people = [query["sql"] for query in captured if 'FROM "people_user"' in query["sql"]]
            assert len(people) == 2  # the reader, and those who have written

    def test_assets_are_linked_once(self, browser: Client, alice: Any) -> None:
        send(alice, "Hello")
        page = text_of(browser.get("/"))
        assert page.count("messages_extends/messages.js") == 1
        assert page.count("messages_extends/messages.css") == 1

    def test_compose_page_shows_banners_to_acknowledge_only(
        self, browser: Client, alice: Any, make_user: MakeUser
    ) -> None:
        make_user("bob")
        get_user_model().objects.update(is_superuser=True)
        send(alice, "an ordinary one")
        announce("the rules", to=EVERYONE, must_acknowledge=True)
        above = text_of(browser.get("/messages/compose/")).split("<h1")[0]
        assert ("the rules" in above, "an ordinary one" in above) == (True, False)

    def test_inbox_page_shows_no_banners(self, browser: Client, alice: Any) -> None:
        send(alice, "only once here")
        announce("the rules", to=EVERYONE, must_acknowledge=True)
        assert text_of(browser.get("/messages/")).count("only once here</p>") == 1
        assert "data-mx-pk" not in text_of(browser.get("/messages/"))


def test_inbox_shows_relative_and_absolute_time(browser: Client, alice: Any) -> None:
    send(alice, "old")
    Message.objects.update(created=timezone.now() - timedelta(hours=5, minutes=10))
    page = text_of(browser.get("/messages/"))
    assert "5 hours ago" in page
    assert re.search(r'<time datetime="\d{4}-\d\d-\d\dT', page)


def test_inbox_without_host_templates_is_complete_page(browser: Client, alice: Any, settings: Any) -> None:
    (engine,) = settings.TEMPLATES
    settings.TEMPLATES = [{**engine, "DIRS": []}]
    send(alice, "Hello")
    page = text_of(browser.get("/messages/"))
    assert 'class="mx-standalone"' in page
    assert page.count("messages_extends/messages.css") == 1
    assert "Hello" in words_of(browser.get("/messages/"))


def test_scripts_and_styles_stay_within_size_limit(browser: Client, alice: Any) -> None:
    folder = Path(messages_extends.__path__[0]) / "static" / "messages_extends"
    loaded = set(re.findall(r"/static/messages_extends/([\w.]+)", text_of(browser.get("/messages/"))))
    only_for_writing = {"counting.js", "pickers.js", "writing.js"}
    assert loaded == {file.name for file in folder.iterdir()} - only_for_writing
    assert sum(len(gzip.compress((folder / name).read_bytes())) for name in loaded) <= 24_000
    assert sum(len(gzip.compress((folder / name).read_bytes())) for name in only_for_writing) <= 5_500
