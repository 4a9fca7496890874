"""What open pages ask the server for: the number at the bell with its version, and the banners."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django_tenants.utils import schema_context

from messages_extends.api import EVERYONE, announce, inbox, retract, revise, send
from messages_extends.constants import ERROR_PERSISTENT, WARNING_PERSISTENT
from messages_extends.live.browser_channel import broadcast_channel_name
from messages_extends.models import Message
from tenants.models import Tenant
from tests.conftest import count_our_queries
from tests.factories import BrowserOf, MakeMessage, MakeUser
from tests.html import text_of

pytestmark = pytest.mark.usefixtures("in_acme")

BADGE, BANNERS = "/messages/badge/", "/messages/banners/"


def bell(response: Any) -> dict[str, str]:
    """Return what the bell says to the script."""
    root = re.search(r"<div class=\"mx-bell\"[^>]*>", text_of(response))
    assert root
    return dict(re.findall(r'data-mx-([a-z]+)="([^"]*)"', root[0]))


class TestBadge:
    def test_badge_unread_count_matches_inbox(self, browser: Client, alice: Any) -> None:
        for unread in (0, 1, 2):
            assert browser.get(BADGE).json()["unread"] == inbox(alice).unread_count() == unread
            send(alice, "Hello")

    def test_badge_unread_count_is_capped_as_in_inbox(
        self, browser: Client, alice: Any, make_message: MakeMessage
    ) -> None:
        Message.objects.bulk_create(Message(user=alice, message="x", level=ERROR_PERSISTENT) for _ in range(101))
        announce("for everyone", to=EVERYONE)
        assert browser.get(BADGE).json()["unread"] == inbox(alice).unread_count() == 100

    def test_badge_counts_without_banners(self, browser: Client, alice: Any, settings: Any) -> None:
        settings.MESSAGES_EXTENDS = {**settings.MESSAGES_EXTENDS, "MAX_BANNERS": 0}
        send(alice, "Hello")
        assert browser.get(BADGE).json()["unread"] == 1
        assert [str(each) for each in inbox(alice).banners()] == ["and 1 more"]

    def test_badge_returns_304_when_unchanged(self, browser: Client, alice: Any) -> None:
        send(alice, "Hello")
        first = browser.get(BADGE)
        assert first["Cache-Control"] == "private, no-cache"
        again = browser.get(BADGE, headers={"if-none-match": first["ETag"]})
        assert (again.status_code, again.content, again["ETag"]) == (304, b"", first["ETag"])
        send(alice, "Another")
        assert browser.get(BADGE, headers={"if-none-match": first["ETag"]}).status_code == 200

    def test_badge_etag_depends_on_language(self, browser: Client) -> None:
        first = browser.get(BADGE)
        german = browser.get(BADGE, headers={"if-none-match": first["ETag"], "accept-language": "de"})
        assert german.status_code == 200
        assert german.json()["version"] == first.json()["version"]
        assert german.json()["name"] != first.json()["name"]

    def test_badge_version_changes_with_every_banner_change(self, browser: Client, alice: Any) -> None:
        def version() -> str:
            return str(browser.get(BADGE).json()["version"])

        shown = announce("for everyone", to=EVERYONE)
        changes: list[Callable[[], object]] = [
            lambda: send(alice, "Hello"),
            lambda: Message.objects.update(message="Good evening"),
            lambda: Message.objects.update(level=ERROR_PERSISTENT),
            lambda: Message.objects.update(url="/x/"),
            lambda: Message.objects.update(params={}),
            lambda: Message.objects.update(extra_tags="special"),
            lambda: Message.objects.update(is_safe=True),
            lambda: announce("another", to=EVERYONE),
            lambda: revise(shown, message="for everyone here"),
            lambda: revise(shown, must_acknowledge=True),
            lambda: revise(shown, message="once more", show_again=True),
            lambda: retract(shown),
            lambda: inbox(alice).mark_all_read(),
        ]
        for change in changes:
            before = version()
            change()
            assert version() != before
            assert version() == version()

    def test_badge_version_changes_with_overflow_count(self, browser: Client, alice: Any) -> None:
        for number in range(11):
            send(alice, f"message {number}")
        before = browser.get(BADGE).json()["version"]
        inbox(alice).mark_read(Message.objects.order_by("pk")[0].pk)
        assert browser.get(BADGE).json()["version"] != before


class TestBanners:
    def test_banners_fragment_matches_banners_of_page(self, browser: Client, alice: Any) -> None:
        for number in range(11):
            send(alice, f"message {number:02}", url="/x/")
        announce("the rules", to=EVERYONE, must_acknowledge=True)
        part, page = browser.get(BANNERS), browser.get("/")
        pattern = r'data-mx-pk="([^"]+)"'
        keys = re.findall(pattern, part.text)
        assert len(keys) == 11
        assert keys == re.findall(pattern, page.text)
        assert keys[-1] == "more"
        assert re.search(r'and 2 more</span> </div> <a class="mx-link" href="/messages/"', text_of(part))
        assert "no-store" in part["Cache-Control"]

    def test_banners_fragment_keeps_unsaved_messages(self, browser: Client) -> None:
        browser.post("/", {"level": "20"})
        (name,) = [name for name in browser.cookies if name.startswith("messages")]
        before = browser.cookies[name].value
        assert "data-mx-banner " not in browser.get(BANNERS).text
        assert browser.cookies[name].value == before
        assert "data-mx-banner" in browser.get("/").text

    def test_banners_fragment_states_version(self, browser: Client, alice: Any) -> None:
        send(alice, "Hello")
        version = browser.get(BADGE).json()["version"]
        assert f'data-mx-version="{version}"' in browser.get(BANNERS).text


@pytest.mark.parametrize("address", [BADGE, BANNERS])
class TestFragments:
    def test_fragment_runs_one_query(self, browser: Client, alice: Any, address: str) -> None:
        send(alice, "Hello")
        announce("for everyone", to=EVERYONE)
        with count_our_queries() as queries:
            browser.get(address)
        assert len(queries) == 1

    def test_fragment_without_login_returns_403(self, in_acme: Tenant, browser_of: BrowserOf, address: str) -> None:
        assert browser_of(in_acme).get(address).status_code == 403


@pytest.mark.parametrize("address", [BADGE, BANNERS, "/messages/stream/"])
def test_fragment_for_channel_of_other_user_returns_403(
    browser: Client, alice: Any, make_user: MakeUser, address: str
) -> None:
    assert browser.get(address, {"tabs": broadcast_channel_name("acme", alice)}).status_code in (200, 204)
    for other in (broadcast_channel_name("acme", make_user("bob")), broadcast_channel_name("globex", alice), "", "x"):
        assert browser.get(address, {"tabs": other}).status_code == 403


class TestBell:
    def test_bell_has_attributes_for_script(self, browser: Client, alice: Any) -> None:
        send(alice, "Hello")
        send(alice, "Careful", level=WARNING_PERSISTENT)
        said = bell(browser.get("/"))
        assert said["live"] == broadcast_channel_name("acme", alice)
        assert (said["badge"], said["fresh"]) == (BADGE, BANNERS)
        assert said["version"] == browser.get(BADGE).json()["version"]
        assert said["urgent"] == str(Message.objects.get(level=WARNING_PERSISTENT).pk)
        assert said["unread"] == "2"

    def test_broadcast_channel_name_is_opaque_and_unique_per_user(
        self, browser: Client, alice: Any, globex: Tenant, make_user: MakeUser
    ) -> None:
        names = {broadcast_channel_name("acme", alice), broadcast_channel_name("acme", make_user("bob"))}
        with schema_context("globex"):
            carol = make_user("carol", pk=alice.pk)
        names.add(broadcast_channel_name("globex", carol))
        assert len(names) == 3
        assert all(re.fullmatch("[0-9a-f]{32}", name) for name in names)

    def test_bell_without_bus_is_not_live(self, browser: Client, settings: Any) -> None:
        settings.MESSAGES_EXTENDS = {**settings.MESSAGES_EXTENDS, "PUSH_BUS": None}
        page = browser.get("/")
        assert "live" not in bell(page)
        assert "mx-toasts" not in page.text
