"""Live updates, as people see them: in several tabs, browsers and organisations."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django_tenants.utils import get_tenant_model, schema_context
from playwright.sync_api import Page, Request, expect

from messages_extends.api import ALL_TENANTS, EVERYONE, announce, broadcast, inbox, retract, revise
from messages_extends.constants import ERROR_PERSISTENT, INFO_PERSISTENT, WARNING_PERSISTENT
from messages_extends.models import Message
from tenants.models import Tenant
from tests.browser.conftest import Visitor, serving, tell
from tests.factories import MakeUser
from tests.processes import eventually
from tests.servers import free_port

HIDE = """hidden => {
  const state = { hidden, visibilityState: hidden ? "hidden" : "visible" };
  for (const [name, value] of Object.entries(state)) {
    Object.defineProperty(document, name, { configurable: true, get: () => value });
  }
  document.dispatchEvent(new Event("visibilitychange"));
}"""
COVERS = """() => {
  const both = [document.querySelector(".mx-toasts"), document.activeElement];
  const [a, b] = both.map((each) => each.getBoundingClientRect());
  return a.bottom > b.top && b.bottom > a.top && a.right > b.left && b.right > a.left;
}"""
TABS = 12
# The primary key of one person in each of two organisations.
SAME = 7_000


class Streams:
    """The streams that the tabs of some browsers hold, and what else they ask for."""

    def __init__(self, *visitors: Visitor) -> None:
        self.asked: list[str] = []
        self.opened: list[Page] = []
        self.open: dict[Request, Page] = {}
        for visitor in visitors:
            self.watch(visitor.page)

    def watch(self, page: Page) -> None:
        page.on("request", lambda request: self._begin(request, page))
        page.on("requestfinished", self._end)
        page.on("requestfailed", self._end)
        page.on("close", self._forget)

    def _begin(self, request: Request, page: Page) -> None:
        found = re.search(r"/messages/(stream|badge|banners|panel)/", request.url)
        if found:
            self.asked.append(found[1])
        if found and found[1] == "stream":
            self.opened.append(page)
            self.open[request] = page

    def _end(self, request: Request) -> None:
        self.open.pop(request, None)

    def _forget(self, page: Page) -> None:
        self.open = {request: holder for request, holder in self.open.items() if holder is not page}


def go_live(visitor: Visitor, path: str = "/") -> Page:
    """Open a page and wait until it has been told how things stand."""
    with visitor.page.expect_response(re.compile("/badge/")):
        return visitor.go(path)


def expect_unread(page: Page, count: int | str) -> None:
    expect(page.locator(".mx-bell-button")).to_have_attribute("aria-label", f"Messages, {count or 'none'} unread")


def holds_soon(page: Page, holds: Callable[[], bool]) -> bool:
    """Wait, as `eventually` does, while the browser's news come in."""

    def look() -> bool:
        page.wait_for_timeout(50)
        return holds()

    return eventually(look)


def pass_time(seconds: int, page: Page) -> None:
    """Let the clock of all tabs of this browser run, and leave them the time to be answered."""
    for _second in range(seconds):
        page.clock.run_for(1_000)
    page.wait_for_timeout(200)


def hide(page: Page, hidden: bool = True) -> None:
    page.evaluate(HIDE, hidden)


class TestOnePage:
    def test_new_message_updates_page_and_status_announcement(self, at_acme: Visitor, alice: Any) -> None:
        page = go_live(at_acme)
        tell(alice, "Hello")
        expect_unread(page, 1)
        expect(page.locator(".mx-count")).to_have_text("1")
        expect(page.locator("[data-mx-banner]", has_text="Hello")).to_be_visible()
        expect(page.locator("[data-mx-status]")).to_have_text("Messages, 1 unread")
        page.get_by_role("button", name="Close").click()
        expect_unread(page, 0)

    def test_decreasing_unread_count_is_not_announced(self, at_acme: Visitor, alice: Any) -> None:
        tell(alice, "first", "second")
        page = go_live(at_acme)
        with schema_context("acme"):
            inbox(alice).mark_all_read()
        expect_unread(page, 0)
        expect(page.locator("[data-mx-banner]")).to_have_count(0)
        expect(page.locator(".mx-count")).to_be_hidden()
        expect(page.locator("[data-mx-status]")).to_have_text("")

    def test_mark_all_read_includes_messages_received_since_page_load(self, at_acme: Visitor, alice: Any) -> None:
        tell(alice, "first")
        page = go_live(at_acme, "/messages/")
        tell(alice, "second")
        expect(page.locator("[data-mx-list] [data-mx-entry]", has_text="second")).to_be_visible()
        page.locator("[data-mx-part=all]").get_by_role("button", name="Mark all as read").click()
        expect(page.locator("#mx-undo")).to_contain_text("2 messages were marked as read.")
        expect_unread(page, 0)

    def test_live_banners_update_and_request_messages_stay(self, at_acme: Visitor, alice: Any) -> None:
        page = go_live(at_acme)
        page.locator("button[value='18']").click()
        own = page.locator("[data-mx-banner]:not([data-mx-pk])")
        expect(own).to_have_count(1)
        with schema_context("acme"):
            shown = announce("The rules", to=EVERYONE)
        banner = page.locator("[data-mx-banner][data-mx-pk]")
        expect(banner).to_contain_text("The rules")
        with schema_context("acme"):
            revise(shown, message="The new rules")
        expect(banner).to_contain_text("The new rules")
        banner.get_by_role("button", name="Close").focus()
        with schema_context("acme"):
            retract(shown)
        expect(banner).to_have_count(0)
        expect(own).to_have_count(1)
        expect(own.get_by_role("button", name="Close")).to_be_focused()
        expect_unread(page, 0)

    def test_revised_banner_keeps_focus(self, at_acme: Visitor) -> None:
        with schema_context("acme"):
            shown = announce("The rules", to=EVERYONE)
        page = go_live(at_acme)
        page.get_by_role("button", name="Close").focus()
        with schema_context("acme"):
            revise(shown, message="The new rules")
        expect(page.get_by_text("The new rules")).to_be_visible()
        expect(page.get_by_role("button", name="Close")).to_be_focused()

    def test_overflow_banner_counts_and_closes_remaining_messages(self, at_acme: Visitor, alice: Any) -> None:
        tell(alice, *(f"message {number}" for number in range(10)))
        page = go_live(at_acme)
        tell(alice, "one more")
        more = page.locator("[data-mx-pk=more]")
        expect(more).to_contain_text("and 1 more")
        page.get_by_text("and 8 more").click()
        tell(alice, "another")
        expect(more).to_contain_text("and 2 more")
        expect(page.locator("[data-mx-banner]").first).to_contain_text("another")
        expect(page.locator("[data-mx-banner]").last).to_contain_text("and 2 more")
        more.get_by_role("button", name="Close").click()
        expect(more).to_have_count(0)
        with schema_context("acme"):
            Message.objects.filter(message="another").update(message="another one")
            inbox(alice).mark_read(Message.objects.get(message="one more").pk)
        expect(more).to_contain_text("and 1 more")

    def test_page_restored_by_back_button_shows_new_message(self, at_acme: Visitor, alice: Any) -> None:
        page = go_live(at_acme)
        at_acme.go("/messages/")
        tell(alice, "Hello")
        page.go_back()
        expect_unread(page, 1)
        expect(page.locator("[data-mx-banner]", has_text="Hello")).to_be_visible()


class TestPanelAndInbox:
    def test_open_panel_updates_and_keeps_focus(self, at_acme: Visitor, alice: Any) -> None:
        tell(alice, "first")
        page = go_live(at_acme)
        page.locator(".mx-bell-button").click()
        panel = page.get_by_role("dialog", name="Latest messages")
        panel.get_by_role("button", name="Mark read: first").focus()
        tell(alice, "second")
        expect(panel.locator("[data-mx-entry]")).to_have_count(2)
        expect(panel.locator("[data-mx-entry]").first).to_contain_text("second")
        expect(panel.get_by_role("button", name="Mark read: first")).to_be_focused()
        with schema_context("acme"):
            inbox(alice).mark_read(Message.objects.get(message="first").pk)
        expect(panel.get_by_role("button", name="Mark unread: first")).to_be_focused()
        panel.get_by_role("button", name="Mark all as read").click()
        expect_unread(page, 0)

    def test_empty_panel_and_empty_inbox_show_new_message(self, at_acme: Visitor, alice: Any) -> None:
        page = go_live(at_acme, "/messages/")
        expect(page.get_by_text("Your inbox is empty")).to_be_visible()
        page.locator(".mx-bell-button").click()
        panel = page.get_by_role("dialog", name="Latest messages")
        expect(panel.get_by_text("You have no messages.")).to_be_visible()
        tell(alice, "first")
        expect(panel.locator("[data-mx-entry]")).to_have_count(1)
        expect(page.locator("[data-mx-list] [data-mx-entry]")).to_have_count(1)
        expect(panel).to_be_focused()
        page.keyboard.press("Escape")
        page.get_by_role("button", name="Mark all as read").click()
        expect_unread(page, 0)

    def test_inbox_update_keeps_focus_and_scroll_position(self, at_acme: Visitor, alice: Any) -> None:
        tell(alice, *(f"message {number:02}" for number in range(20)))
        page = go_live(at_acme, "/messages/")
        # Some browsers hold still by themselves, and not all do.
        page.evaluate("document.documentElement.style.overflowAnchor = 'none'")
        button = page.get_by_role("button", name="Mark read: message 10")
        button.focus()
        before = button.evaluate("each => [each.getBoundingClientRect().top, scrollY > 100]")
        assert before[1]
        tell(alice, "above all", "and this")
        expect(page.locator("[data-mx-list] [data-mx-entry]").first).to_contain_text("and this")
        expect(button).to_be_focused()
        assert abs(button.evaluate("each => each.getBoundingClientRect().top") - before[0]) < 2
        with schema_context("acme"):
            inbox(alice).mark_read(Message.objects.get(message="message 10").pk)
        expect(page.get_by_role("button", name="Mark unread: message 10")).to_be_focused()

    def test_removed_inbox_entry_moves_focus_to_next_entry(self, at_acme: Visitor, alice: Any) -> None:
        tell(alice, "older")
        with schema_context("acme"):
            shown = announce("The rules", to=EVERYONE)
        page = go_live(at_acme, "/messages/")
        page.get_by_role("button", name="Mark read: The rules").focus()
        with schema_context("acme"):
            retract(shown)
        expect(page.locator("[data-mx-list] [data-mx-entry]")).to_have_count(1)
        expect(page.locator("[data-mx-list] [data-mx-entry]", has_text="older")).to_be_focused()

    def test_inbox_update_keeps_undo_button_and_open_dialog(self, at_acme: Visitor, alice: Any) -> None:
        tell(alice, "first", "second")
        page = go_live(at_acme, "/messages/")
        page.get_by_role("button", name="Mark all as read").click()
        expect(page.get_by_role("button", name="Undo")).to_be_focused()
        tell(alice, "third")
        expect(page.locator("[data-mx-list] [data-mx-entry]")).to_have_count(3)
        expect(page.get_by_role("button", name="Undo")).to_be_focused()
        page.keyboard.press("?")
        dialog = page.get_by_role("dialog", name="Keyboard shortcuts")
        expect(dialog).to_be_visible()
        tell(alice, "fourth")
        expect(page.locator("[data-mx-list] [data-mx-entry]")).to_have_count(4)
        expect(dialog).to_be_visible()
        page.keyboard.press("Escape")
        page.get_by_role("button", name="Undo").click()
        expect_unread(page, 4)

    def test_later_inbox_page_updates_without_moving(self, at_acme: Visitor, alice: Any) -> None:
        tell(alice, *(f"message {number:02}" for number in range(25)))
        page = go_live(at_acme, "/messages/")
        with page.expect_response(re.compile("/badge/")):
            page.get_by_role("link", name="Older messages").click()
        entries = page.locator("[data-mx-list] [data-mx-entry]")
        expect(entries).to_have_count(5)
        tell(alice, "new")
        expect_unread(page, 26)
        with schema_context("acme"):
            inbox(alice).mark_read(Message.objects.get(message="message 02").pk)
        expect(page.get_by_role("button", name="Mark unread: message 02")).to_be_visible()
        expect(entries).to_have_count(5)
        expect(entries.first).to_contain_text("message 04")

    def test_unread_filter_keeps_entries_just_marked_read(self, at_acme: Visitor, alice: Any) -> None:
        tell(alice, "first", "second")
        page = go_live(at_acme, "/messages/?unread=1")
        page.get_by_role("button", name="Mark read: first").click()
        expect(page.get_by_role("button", name="Mark unread: first")).to_be_focused()
        tell(alice, "third")
        expect(page.locator("[data-mx-list] [data-mx-entry]")).to_have_count(3)
        expect(page.get_by_role("button", name="Mark unread: first")).to_be_focused()


class TestTwoOrganisations:
    @pytest.fixture
    def platform(self, database: None) -> Any:
        return get_tenant_model().objects.get(schema_name="platform")

    @pytest.fixture
    def people(self, acme: Tenant, globex: Tenant, make_user: MakeUser) -> dict[str, Any]:
        people = {}
        for tenant in (acme, globex):
            with schema_context(tenant.schema_name):
                people[tenant.schema_name] = make_user("alice", pk=SAME)
        return people

    @pytest.fixture
    def pages(
        self, acme: Tenant, globex: Tenant, people: dict[str, Any], visit: Callable[..., Visitor]
    ) -> Iterator[tuple[Page, Page]]:
        """Open acme and globex, each in a browser of its own; nothing of the other's may ever reach globex."""
        at_acme, at_globex = visit(acme, people["acme"]), visit(globex, people["globex"])
        pages = go_live(at_acme), go_live(at_globex)
        heard = Streams(at_globex)
        yield pages
        # Some time, in which it would have come.
        tell(people["acme"], "the last")
        expect(pages[0].get_by_text("the last")).to_be_visible()
        pages[1].wait_for_timeout(1_500)
        assert heard.asked == []
        expect_unread(pages[1], 0)
        expect(pages[1].locator("[data-mx-status]")).to_have_text("")

    def test_message_updates_badge_of_own_tenant_only(self, pages: tuple[Page, Page], people: dict[str, Any]) -> None:
        tell(people["acme"], "for acme")
        expect_unread(pages[0], 1)

    def test_announcement_changes_update_badge_of_own_tenant_only(self, pages: tuple[Page, Page]) -> None:
        with schema_context("acme"):
            shown = announce("for acme", to=EVERYONE)
        expect_unread(pages[0], 1)
        with schema_context("acme"):
            revise(shown, message="for acme, again", show_again=True)
        expect(pages[0].get_by_text("for acme, again")).to_be_visible()
        with schema_context("acme"):
            retract(shown)
        expect_unread(pages[0], 0)

    def test_broadcast_changes_update_badge_of_addressed_tenant_only(
        self, pages: tuple[Page, Page], acme: Tenant
    ) -> None:
        with schema_context("public"):
            shown = broadcast("for acme", to=[acme])
        expect_unread(pages[0], 1)
        with schema_context("public"):
            shown = revise(shown, message="for acme, again")
        expect(pages[0].get_by_text("for acme, again")).to_be_visible()
        with schema_context("public"):
            retract(shown)
        expect_unread(pages[0], 0)

    def test_marking_in_other_browser_updates_badge_of_own_tenant_only(
        self, pages: tuple[Page, Page], people: dict[str, Any], acme: Tenant, visit: Callable[..., Visitor]
    ) -> None:
        tell(people["acme"], "for acme")
        expect_unread(pages[0], 1)
        # A browser of its own: a tab of the same one would hear it from its neighbour.
        other = visit(acme, people["acme"]).go("/messages/")
        other.get_by_role("button", name="Mark read: for acme").click()
        expect_unread(pages[0], 0)
        expect(pages[0].locator("[data-mx-banner]")).to_have_count(0)
        other.get_by_role("button", name="Mark unread: for acme").click()
        expect_unread(pages[0], 1)

    def test_broadcast_to_all_tenants_reaches_both_tenants(
        self, acme: Tenant, globex: Tenant, people: dict[str, Any], visit: Callable[..., Visitor]
    ) -> None:
        pages = [go_live(visit(tenant, people[tenant.schema_name])) for tenant in (acme, globex)]
        with schema_context("public"):
            broadcast("for all", to=ALL_TENANTS, level=WARNING_PERSISTENT)
        for page in pages:
            expect_unread(page, 1)
            expect(page.locator("[data-mx-banner]", has_text="for all")).to_be_visible()


class TestTabs:
    @pytest.fixture
    def tabs(self, acme: Tenant, alice: Any, visit: Callable[..., Visitor]) -> list[Visitor]:
        first = visit(acme, alice)
        return [first, *(visit(acme, beside=first) for _ in range(TABS - 1))]

    def test_twelve_tabs_share_one_stream_and_replace_closed_leader(self, tabs: list[Visitor], alice: Any) -> None:
        streams = Streams(*tabs)
        go_live(tabs[0])
        for tab in tabs[1:]:
            tab.go("/")
        tell(alice, "Hello")
        for tab in tabs:
            expect_unread(tab.page, 1)
            expect(tab.page.locator("[data-mx-banner]", has_text="Hello")).to_be_visible()
        assert len(streams.open) == len(streams.opened) == 1
        (leader,) = streams.open.values()
        leader.close()
        left = [tab.page for tab in tabs if tab.page is not leader]
        assert holds_soon(left[0], lambda: len(streams.open) == 1)
        tell(alice, "Hello again")
        for page in left:
            expect_unread(page, 2)
        assert len(streams.opened) == 2

    def test_marking_in_one_tab_updates_other_tabs(
        self, acme: Tenant, alice: Any, visit: Callable[..., Visitor]
    ) -> None:
        tell(alice, "first", "second")
        one = visit(acme, alice)
        other = visit(acme, beside=one)
        go_live(one)
        other.go("/messages/")
        other.page.get_by_role("button", name="Mark read: first").click()
        expect_unread(one.page, 1)
        expect(one.page.locator("[data-mx-banner]")).to_have_count(1)

    def test_hidden_tab_updates_count_and_fetches_when_shown(
        self, acme: Tenant, alice: Any, visit: Callable[..., Visitor]
    ) -> None:
        one = visit(acme, alice)
        other = visit(acme, beside=one)
        go_live(one)
        # What it asks for by itself when it opens is over then.
        go_live(other)
        hide(other.page)
        asked = Streams(other)
        tell(alice, "Hello", level=ERROR_PERSISTENT)
        expect_unread(other.page, 1)
        expect(one.page.locator(".mx-toast")).to_be_visible()
        assert asked.asked == []
        expect(other.page.locator("[data-mx-status]")).to_have_text("")
        hide(other.page, False)
        expect(other.page.locator("[data-mx-banner]", has_text="Hello")).to_be_visible()
        # It was seen in the other one.
        expect(other.page.locator(".mx-toast")).to_have_count(0)

    def test_hidden_leader_releases_stream_to_visible_tab(
        self, acme: Tenant, alice: Any, visit: Callable[..., Visitor]
    ) -> None:
        one = visit(acme, alice)
        other = visit(acme, beside=one)
        one.page.clock.install()
        streams = Streams(one, other)
        go_live(one)
        other.go("/")
        hide(one.page)
        one.page.clock.fast_forward(295_000)
        one.page.wait_for_timeout(300)
        assert list(streams.open.values()) == [one.page]
        pass_time(6, one.page)
        assert holds_soon(other.page, lambda: list(streams.open.values()) == [other.page])
        tell(alice, "Hello")
        expect_unread(one.page, 1)
        other.page.close()
        one.page.wait_for_timeout(500)
        assert streams.opened == [one.page, other.page]
        hide(one.page, False)
        assert holds_soon(one.page, lambda: list(streams.open.values()) == [one.page])

    def test_page_in_back_forward_cache_releases_stream(
        self, acme: Tenant, alice: Any, visit: Callable[..., Visitor]
    ) -> None:
        one = visit(acme, alice)
        other = visit(acme, beside=one)
        streams = Streams(one, other)
        go_live(one)
        other.go("/")
        # Browsers under test keep none.
        one.page.evaluate("dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }))")
        assert holds_soon(other.page, lambda: list(streams.open.values()) == [other.page])
        tell(alice, "Hello")
        expect_unread(other.page, 1)
        expect_unread(one.page, 0)
        one.page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
        expect_unread(one.page, 1)
        expect(one.page.locator("[data-mx-banner]", has_text="Hello")).to_be_visible()

    def test_logout_stops_streams_and_requests_of_all_tabs(
        self, acme: Tenant, alice: Any, visit: Callable[..., Visitor]
    ) -> None:
        one = visit(acme, alice)
        other, third = visit(acme, beside=one), visit(acme, beside=one)
        one.page.clock.install()
        go_live(one)
        other.go("/")
        streams = Streams(one, other)
        third.go("/")
        third.page.get_by_role("group").locator("summary").click()
        third.page.get_by_role("button", name="Log out").click()
        expect(third.page.get_by_role("button", name="Log in")).to_be_visible()
        pass_time(60, one.page)
        asked = len(streams.asked)
        one.page.clock.run_for(1_200_000)
        one.page.wait_for_timeout(500)
        assert len(streams.asked) == asked <= 4
        assert streams.open == {}
        one.problems.clear()
        other.problems.clear()

    def test_tab_of_previous_user_shows_no_messages_of_next_user(
        self, acme: Tenant, alice: Any, make_user: MakeUser, visit: Callable[..., Visitor]
    ) -> None:
        with schema_context("acme"):
            bob = make_user("bob")
        one = visit(acme, alice)
        go_live(one)
        other = visit(acme, bob, beside=one)
        go_live(other)
        hide(one.page)
        tell(bob, "for Bob alone")
        expect_unread(other.page, 1)
        hide(one.page, False)
        one.page.wait_for_timeout(1_500)
        expect_unread(one.page, 0)
        assert "for Bob alone" not in one.page.content()
        one.problems.clear()


class TestFailures:
    def test_page_reconnects_after_server_restart(
        self, acme: Tenant, alice: Any, visit: Callable[..., Visitor], tmp_path: Path
    ) -> None:
        port = free_port()
        with serving(port, tmp_path / "log"):
            visitor = visit(acme, alice, server=port)
            page = go_live(visitor)
            tell(alice, "before")
            expect_unread(page, 1)
        tell(alice, "meanwhile")
        with serving(port, tmp_path / "log"):
            expect(page.get_by_text("meanwhile")).to_be_visible(timeout=40_000)
            tell(alice, "after")
            expect_unread(page, 3)
            page.close()
        visitor.problems.clear()

    def test_page_polls_under_wsgi(
        self, acme: Tenant, alice: Any, visit: Callable[..., Visitor], tmp_path: Path
    ) -> None:
        port = free_port()
        with serving(port, tmp_path / "log", wsgi=True):
            visitor = visit(acme, alice, server=port)
            visitor.page.clock.install()
            streams = Streams(visitor)
            page = visitor.go("/")
            with page.expect_response(re.compile("/badge/")):
                page.clock.run_for(5_000)
            tell(alice, "Hello")
            with page.expect_response(lambda answer: "/badge/" in answer.url and answer.status == 200):
                page.clock.run_for(40_000)
            page.clock.run_for(2_000)
            expect_unread(page, 1)
            expect(page.locator("[data-mx-banner]", has_text="Hello")).to_be_visible()
            with page.expect_response(lambda answer: "/badge/" in answer.url and answer.status == 304):
                page.clock.run_for(40_000)
            hide(page)
            asked = len(streams.asked)
            page.clock.run_for(600_000)
            page.wait_for_timeout(500)
            assert len(streams.asked) == asked
            with page.expect_response(lambda answer: "/badge/" in answer.url and answer.status == 304):
                hide(page, False)
            page.close()

    @pytest.mark.parametrize("status", [204, 429, 503])
    def test_failing_stream_makes_one_tab_poll_and_retry(
        self, acme: Tenant, alice: Any, visit: Callable[..., Visitor], status: int
    ) -> None:
        one = visit(acme, alice)
        other = visit(acme, beside=one)
        streams = Streams(one, other)
        one.page.context.route("**/stream/**", lambda route: route.fulfill(status=status))
        one.page.clock.install()
        for each in (one, other):
            each.go("/")
        pass_time(10, one.page)
        tell(alice, "Hello")
        pass_time(40, one.page)
        for each in (one, other):
            expect_unread(each.page, 1)
            expect(each.page.locator("[data-mx-banner]", has_text="Hello")).to_be_visible()
        assert len(set(streams.opened)) == 1
        # At once, then after about 5, 10 and 20 seconds.
        assert 3 <= len(streams.opened) <= 5
        one.page.context.unroute("**/stream/**")

        def is_open() -> bool:
            pass_time(10, one.page)
            return bool(streams.open)

        assert eventually(is_open)
        tell(alice, "streamed")
        for each in (one, other):
            expect_unread(each.page, 2)
            each.problems.clear()

    def test_tabs_without_lock_api_hold_one_stream_each(
        self, acme: Tenant, alice: Any, visit: Callable[..., Visitor]
    ) -> None:
        one = visit(acme, alice)
        other = visit(acme, beside=one)
        one.page.context.add_init_script(
            "Object.defineProperty(Navigator.prototype, 'locks', { get: () => undefined })"
        )
        streams = Streams(one, other)
        go_live(one)
        go_live(other)
        assert len(streams.open) == 2
        tell(alice, "Hello")
        for each in (one, other):
            expect_unread(each.page, 1)
        hide(one.page)
        assert holds_soon(one.page, lambda: list(streams.open.values()) == [other.page])


class TestToasts:
    def test_toast_appears_for_new_urgent_message_only(self, at_acme: Visitor, alice: Any) -> None:
        tell(alice, "old and urgent", level=ERROR_PERSISTENT)
        page = go_live(at_acme)
        tell(alice, "not urgent", level=INFO_PERSISTENT)
        expect(page.locator("[data-mx-banner]", has_text="not urgent")).to_be_visible()
        tell(alice, "urgent <img src=x>", level=WARNING_PERSISTENT, url="/x/")
        toast = page.locator(".mx-toast")
        expect(toast).to_have_count(1)
        expect(toast.get_by_role("alert")).to_have_text(re.compile(r"Warning:\s+urgent <img src=x>"))
        expect(toast.get_by_role("link", name="Open")).to_have_attribute("href", "/x/")
        expect(toast.get_by_role("alert").locator("a, button")).to_have_count(0)
        expect(page.locator("[data-mx-banner]", has_text="urgent <img")).to_be_visible()

    def test_toast_appears_on_inbox_page_and_for_revision_shown_again(self, at_acme: Visitor) -> None:
        with schema_context("acme"):
            shown = announce("the rules", to=EVERYONE, level=ERROR_PERSISTENT)
        page = go_live(at_acme, "/messages/")
        with schema_context("acme"):
            revise(shown, message="the new rules")
        expect(page.locator("[data-mx-list]")).to_contain_text("the new rules")
        expect(page.locator(".mx-toast")).to_have_count(0)
        with schema_context("acme"):
            revise(shown, message="the newest rules", show_again=True)
        expect(page.locator(".mx-toast")).to_contain_text("the newest rules")
        # The inbox lists what is saved, and shows none of it twice.
        expect(page.locator("[data-mx-banner]")).to_have_count(0)

    def test_toast_disappears_after_timeout_unless_hovered_or_focused(self, at_acme: Visitor, alice: Any) -> None:
        at_acme.page.clock.install()
        page = go_live(at_acme)
        tell(alice, "urgent", level=ERROR_PERSISTENT)
        page.clock.run_for(2_000)
        toast = page.locator(".mx-toast")
        expect(toast).to_be_visible()

        def stays_while(leave: Callable[[], None]) -> None:
            page.clock.run_for(60_000)
            expect(toast).to_be_visible()
            leave()
            page.clock.run_for(7_000)
            expect(toast).to_be_visible()

        toast.hover()
        stays_while(lambda: page.mouse.move(0, 0))
        toast.get_by_role("button").focus()
        stays_while(page.locator(".mx-bell-button").focus)
        page.clock.run_for(2_000)
        expect(toast).to_have_count(0)
        expect(page.locator(".mx-toasts")).to_have_count(0)
        expect(page.locator("[data-mx-banner]", has_text="urgent")).to_be_visible()

    @pytest.mark.parametrize("how", ["click", "Escape", "Enter"])
    def test_closing_toast_restores_focus_and_marks_nothing_read(self, at_acme: Visitor, alice: Any, how: str) -> None:
        page = go_live(at_acme)
        page.locator(".mx-bell-button").focus()
        tell(alice, "urgent", level=ERROR_PERSISTENT)
        close = page.get_by_role("region", name="New messages").get_by_role("button", name="Close")
        close.focus()
        if how == "click":
            close.click()
        else:
            close.press(how)
        expect(page.locator(".mx-toast")).to_have_count(0)
        expect(page.locator(".mx-bell-button")).to_be_focused()
        expect_unread(page, 1)

    def test_toast_never_covers_focused_element(self, acme: Tenant, alice: Any, visit: Callable[..., Visitor]) -> None:
        page = go_live(visit(acme, alice, viewport={"width": 360, "height": 640}))
        tell(alice, "urgent", level=ERROR_PERSISTENT)
        expect(page.locator(".mx-toast")).to_be_visible()
        page.locator(".mx-toast").hover()
        for button in page.locator("main button").all():
            button.evaluate("each => { each.scrollIntoView({ block: 'end' }); each.focus(); }")
            assert not page.evaluate(COVERS)

    @pytest.mark.parametrize("path", ["/", "/messages/"])
    @pytest.mark.parametrize("width", [320, 1280])
    def test_toast_is_accessible_and_fits_viewport(
        self, acme: Tenant, alice: Any, visit: Callable[..., Visitor], path: str, width: int
    ) -> None:
        visitor = visit(acme, alice, viewport={"width": width, "height": 700})
        page = go_live(visitor, path)
        tell(alice, "x" * 9_000, level=ERROR_PERSISTENT, url="/x/")
        tell(alice, "urgent", level=WARNING_PERSISTENT)
        expect(page.locator(".mx-toast")).to_have_count(2)
        page.locator(".mx-toast").last.hover()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        box = page.locator(".mx-toasts").bounding_box()
        assert box
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
        assert box["height"] < 600
        visitor.require_accessible()
        expect(page.locator(".mx-toast")).to_have_count(2)
