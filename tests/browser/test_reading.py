"""Banners, bell and inbox, as people use them."""

from collections.abc import Callable
from typing import Any

import pytest
from django_tenants.utils import schema_context
from playwright.sync_api import Page, expect

from messages_extends.api import EVERYONE, announce, inbox, send
from messages_extends.constants import ERROR_PERSISTENT
from messages_extends.models import Message
from tenants.models import Tenant
from tests.browser.conftest import Visitor, tell
from tests.factories import MakeUser

WIDTHS = (320, 768, 1280)
# The primary key of one person in each of two organisations.
SAME = 7_000


def unread_of(user: Any) -> int:
    with schema_context("acme"):
        return inbox(user).unread_count()


class TestBanners:
    def test_closing_banner_marks_read_moves_focus_and_updates_bell(self, at_acme: Visitor, alice: Any) -> None:
        tell(alice, "first", "second")
        page = at_acme.go("/")
        banners = page.locator("[data-mx-banner]")
        expect(banners).to_have_count(2)
        banners.first.get_by_role("button", name="Close").click()
        expect(banners).to_have_count(1)
        expect(banners.first.get_by_role("button", name="Close")).to_be_focused()
        expect(page.get_by_role("button", name="Messages, 1 unread")).to_be_visible()
        banners.first.get_by_role("button", name="Close").click()
        expect(page.locator("main")).to_be_focused()
        assert unread_of(alice) == 0

    def test_acknowledge_button_marks_announcement_read(self, at_acme: Visitor, alice: Any) -> None:
        with schema_context("acme"):
            announce("the rules", to=EVERYONE, must_acknowledge=True)
        page = at_acme.go("/")
        expect(page.get_by_role("button", name="Close")).to_have_count(0)
        page.get_by_role("button", name="Acknowledge").click()
        expect(page.locator("[data-mx-banner]")).to_have_count(0)
        assert unread_of(alice) == 0

    def test_banner_reappears_with_error_when_request_fails(self, at_acme: Visitor, alice: Any) -> None:
        tell(alice, "first")
        page = at_acme.go("/")
        page.route("**/mark_read/**", lambda route: route.abort())
        page.get_by_role("button", name="Close").click()
        expect(page.get_by_text("That did not work").first).to_be_visible()
        expect(page.locator("[data-mx-banner]")).not_to_have_class("mx-leaving")
        assert unread_of(alice) == 1
        at_acme.problems.clear()

    def test_closing_unsaved_message_removes_banner(self, at_acme: Visitor) -> None:
        page = at_acme.go("/")
        page.locator("button[value='18']").click()
        page.locator("[data-mx-banner]").get_by_role("button", name="Close").click()
        expect(page.locator("[data-mx-banner]")).to_have_count(0)

    def test_close_button_without_javascript_marks_message_read(
        self, acme: Tenant, alice: Any, visit: Callable[..., Visitor]
    ) -> None:
        tell(alice, "first", "second")
        page = visit(acme, alice, java_script_enabled=False).go("/")
        page.get_by_role("button", name="Close").first.click()
        expect(page.locator("[data-mx-banner]")).to_have_count(1)
        assert unread_of(alice) == 1


def height_of(page: Page, selector: str) -> float:
    box = page.locator(selector).first.bounding_box()
    assert box is not None
    return box["height"]


@pytest.mark.parametrize("scripts", [True, False], ids=["with-script", "without"])
class TestLongContent:
    """A long text has two lines, and of many banners three are shown, or two on a phone, until more is asked for."""

    @pytest.fixture
    def open_at(self, acme: Tenant, alice: Any, visit: Callable[..., Visitor], scripts: bool) -> Callable[[int], Page]:
        def open_at(width: int) -> Page:
            size = {"width": width, "height": 720}
            return visit(acme, alice, viewport=size, java_script_enabled=scripts).go("/")

        return open_at

    def test_long_banner_text_expands_on_request(self, open_at: Any, alice: Any) -> None:
        tell(alice, "short", "x" * 9_000)
        page = open_at(360)
        assert height_of(page, "[data-mx-banner]") < 140
        expect(page.get_by_text("Show all")).to_have_count(1)
        page.get_by_text("Show all").click()
        assert height_of(page, "[data-mx-banner]") > 1_000
        page.get_by_text("Show less").click()
        assert height_of(page, "[data-mx-banner]") < 140

    def test_long_inbox_entry_text_expands_on_request(self, open_at: Any, alice: Any) -> None:
        tell(alice, "short", "x" * 9_000)
        page = open_at(360)
        page.goto(page.url + "messages/")
        assert height_of(page, "[data-mx-list] [data-mx-entry]") < 300
        page.get_by_text("Show all").filter(visible=True).click()
        assert height_of(page, "[data-mx-list] [data-mx-entry]") > 1_000

    @pytest.mark.parametrize(("width", "shown", "more"), [(1280, 3, "and 14 more"), (479, 2, "and 15 more")])
    def test_banners_beyond_limit_are_collapsed(
        self, open_at: Any, alice: Any, width: int, shown: int, more: str
    ) -> None:
        tell(alice, *(f"message {number}" for number in range(17)))
        page = open_at(width)
        banners = page.locator("[data-mx-banner]").filter(visible=True)
        expect(banners).to_have_count(shown)
        assert height_of(page, ".mx-banners") < 300
        page.get_by_text(more).click()
        expect(banners).to_have_count(11)
        expect(banners.last).to_contain_text("and 7 more")
        page.get_by_text("Show fewer").click()
        expect(banners).to_have_count(shown)

    def test_banners_to_acknowledge_are_never_collapsed(self, open_at: Any, alice: Any) -> None:
        with schema_context("acme"):
            for number in range(5):
                announce(f"rule {number}", to=EVERYONE, must_acknowledge=True)
        tell(alice, "a message", "another")
        page = open_at(360)
        expect(page.locator("[data-mx-banner][data-mx-urgent]").filter(visible=True)).to_have_count(5)
        expect(page.locator("[data-mx-banner]").filter(visible=True)).to_have_count(5)
        expect(page.get_by_text("and 2 more").filter(visible=True)).to_have_count(1)


class TestFolding:
    def test_closing_banner_shows_next_and_updates_count(self, at_acme: Visitor, alice: Any) -> None:
        tell(alice, *(f"message {number}" for number in range(6)))
        page = at_acme.go("/")
        page.get_by_role("button", name="Close: message 3").click()
        expect(page.locator("[data-mx-banner]").filter(visible=True)).to_have_count(3)
        expect(page.get_by_role("button", name="Close: message 2")).to_be_focused()
        expect(page.get_by_text("and 2 more")).to_be_visible()
        for number in (5, 4):
            page.get_by_role("button", name=f"Close: message {number}").click()
        expect(page.locator("[data-mx-banner]").filter(visible=True)).to_have_count(3)
        expect(page.locator("[data-mx-fold]")).to_be_hidden()

    def test_new_message_updates_collapsed_count_and_keeps_expanded_banners(self, at_acme: Visitor, alice: Any) -> None:
        tell(alice, *(f"message {number}" for number in range(4)), "long " * 200)
        page = at_acme.go("/")
        page.get_by_text("Show all").click()
        tell(alice, "one more")
        expect(page.get_by_text("and 3 more")).to_be_visible()
        expect(page.get_by_text("Show less")).to_be_visible()
        page.get_by_text("and 3 more").click()
        tell(alice, "another")
        expect(page.locator("[data-mx-banner]").filter(visible=True)).to_have_count(7)
        expect(page.get_by_text("Show fewer")).to_be_visible()

    def test_show_all_button_is_hidden_when_text_fits(self, at_acme: Visitor, alice: Any) -> None:
        tell(alice, "This text is longer than two lines of a phone, but not of a screen.")
        page = at_acme.go("/")
        expect(page.get_by_text("Show all")).to_be_hidden()
        page.set_viewport_size({"width": 320, "height": 720})
        expect(page.get_by_text("Show all")).to_be_visible()


class TestBell:
    def test_bell_opens_panel_of_latest_messages(self, at_acme: Visitor, alice: Any) -> None:
        tell(alice, *(f"message {number}" for number in range(12)))
        page = at_acme.go("/")
        bell = page.get_by_role("button", name="Messages, 12 unread")
        bell.click()
        panel = page.get_by_role("dialog", name="Latest messages")
        expect(panel.locator("[data-mx-entry]")).to_have_count(8)
        expect(panel.get_by_role("link", name="Open the inbox")).to_be_visible()
        page.keyboard.press("Escape")
        expect(panel).to_be_hidden()
        expect(bell).to_be_focused()

    def test_bell_panel_marks_one_and_all_messages_read(self, at_acme: Visitor, alice: Any) -> None:
        tell(alice, "first", "second", "third")
        page = at_acme.go("/")
        page.locator(".mx-bell-button").click()
        panel = page.get_by_role("dialog", name="Latest messages")
        panel.get_by_role("button", name="Mark read: third").click()
        expect(page.get_by_role("button", name="Messages, 2 unread")).to_be_visible()
        panel.get_by_role("button", name="Mark all as read").click()
        expect(page.get_by_role("button", name="Messages, none unread")).to_be_visible()
        assert unread_of(alice) == 0

    def test_bell_without_javascript_links_to_inbox(
        self, acme: Tenant, alice: Any, visit: Callable[..., Visitor]
    ) -> None:
        tell(alice, "first")
        page = visit(acme, alice, java_script_enabled=False).go("/")
        page.get_by_role("link", name="Messages, 1 unread").click()
        expect(page.get_by_role("heading", name="Inbox")).to_be_visible()


class TestInbox:
    def test_inbox_marks_message_read_and_unread(self, at_acme: Visitor, alice: Any) -> None:
        tell(alice, "first")
        page = at_acme.go("/messages/")
        page.get_by_role("button", name="Mark read: first").click()
        expect(page.get_by_role("button", name="Mark unread: first")).to_be_focused()
        expect(page.get_by_role("button", name="Messages, none unread")).to_be_visible()
        page.get_by_role("button", name="Mark unread: first").click()
        expect(page.get_by_role("button", name="Messages, 1 unread")).to_be_visible()
        assert unread_of(alice) == 1

    def test_inbox_reverts_marking_when_server_refuses(self, at_acme: Visitor, alice: Any) -> None:
        tell(alice, "first")
        page = at_acme.go("/messages/")
        with schema_context("acme"):
            # Without a word to the page, which would take the entry away first.
            Message.objects.all()._raw_delete(Message.objects.db)
        page.get_by_role("button", name="Mark read: first").click()
        expect(page.get_by_text("That did not work").first).to_be_visible()
        expect(page.get_by_role("button", name="Mark read: first")).to_be_visible()
        at_acme.problems.clear()

    def test_inbox_mark_all_read_can_be_undone_after_reload(self, at_acme: Visitor, alice: Any) -> None:
        tell(alice, "first", "second")
        page = at_acme.go("/messages/")
        page.get_by_role("button", name="Mark all as read").click()
        undo = page.get_by_role("button", name="Undo")
        expect(undo).to_be_focused()
        expect(page.get_by_text("2 messages were marked as read.").first).to_be_visible()
        page.reload()
        page.get_by_role("button", name="Undo").click()
        expect(page.get_by_role("button", name="Messages, 2 unread")).to_be_visible()
        assert unread_of(alice) == 2

    def test_inbox_keyboard_shortcuts_navigate_and_mark(self, at_acme: Visitor, alice: Any) -> None:
        tell(alice, "first", "second", "third")
        page = at_acme.go("/")
        page.keyboard.press("g")
        page.keyboard.press("n")
        expect(page.get_by_role("heading", name="Inbox")).to_be_visible()
        page.keyboard.press("j")
        page.keyboard.press("j")
        page.keyboard.press("Shift+I")
        expect(page.get_by_role("button", name="Mark unread: second")).to_be_visible()
        page.keyboard.press("Shift+U")
        expect(page.get_by_role("button", name="Mark read: second")).to_be_visible()
        page.keyboard.press("k")
        page.keyboard.press("Shift+I")
        expect(page.get_by_role("button", name="Mark unread: third")).to_be_visible()
        page.keyboard.press("?")
        expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()

    def test_inbox_keyboard_shortcuts_can_be_disabled(self, at_acme: Visitor, alice: Any) -> None:
        tell(alice, "first")
        page = at_acme.go("/messages/")
        page.get_by_role("button", name="Keyboard shortcuts").click()
        page.get_by_role("checkbox", name="Use these shortcuts").uncheck()
        page.get_by_role("dialog").get_by_role("button", name="Close").click()
        page.reload()
        page.keyboard.press("j")
        page.keyboard.press("e")
        expect(page.get_by_role("button", name="Mark read: first")).to_be_visible()
        assert unread_of(alice) == 1

    def test_inbox_without_javascript_pages_filters_marks_and_undoes(
        self, acme: Tenant, alice: Any, visit: Callable[..., Visitor]
    ) -> None:
        tell(alice, *(f"message {number}" for number in range(25)))
        page = visit(acme, alice, java_script_enabled=False).go("/messages/")
        page.get_by_role("link", name="Older messages").click()
        page.get_by_role("button", name="Mark read: message 0").click()
        page.get_by_role("link", name="Unread", exact=True).click()
        page.locator("summary", has_text="Filter").click()
        page.get_by_label("Level").select_option(label="Information")
        page.get_by_role("button", name="Apply").click()
        page.get_by_role("button", name="Mark these 24 as read").click()
        expect(page.get_by_text("24 messages were marked as read.")).to_be_visible()
        assert unread_of(alice) == 0
        page.get_by_role("button", name="Undo").click()
        assert unread_of(alice) == 24


class TestTwoOrganisations:
    def test_sessions_of_two_tenants_show_and_mark_own_messages_only(
        self, acme: Tenant, globex: Tenant, make_user: MakeUser, visit: Callable[..., Visitor]
    ) -> None:
        people = {}
        for tenant in (acme, globex):
            with schema_context(tenant.schema_name):
                people[tenant.schema_name] = make_user("alice", pk=SAME)
                send(people[tenant.schema_name], f"for {tenant.schema_name} alone")
        at_acme = visit(acme, people["acme"])
        at_globex = visit(globex, people["globex"], beside=at_acme)
        for visitor, own, other in ((at_acme, "acme", "globex"), (at_globex, "globex", "acme")):
            page = visitor.go("/messages/")
            expect(page.get_by_text(f"for {own} alone").first).to_be_visible()
            expect(page.get_by_text(f"for {other} alone")).to_have_count(0)
        at_acme.page.get_by_role("button", name="Mark read").click()
        expect(at_acme.page.get_by_role("button", name="Messages, none unread")).to_be_visible()
        expect(at_globex.go("/").get_by_role("button", name="Messages, 1 unread")).to_be_visible()


@pytest.mark.parametrize(
    "path", ["/", "/messages/", "/messages/?unread=1", "/messages/?kind=broadcast", "/messages/?level=7"]
)
def test_pages_are_accessible_in_light_and_dark(at_acme: Visitor, alice: Any, path: str) -> None:
    tell(alice, "first", url="/x/")
    tell(alice, "second", level=ERROR_PERSISTENT)
    with schema_context("acme"):
        announce("the rules", to=EVERYONE, must_acknowledge=True)
    page = at_acme.go(path)
    at_acme.require_accessible()
    page.locator(".mx-bell-button").click()
    page.wait_for_selector(".mx-panel [data-mx-entry]")
    at_acme.require_accessible()
    at_acme.problems.clear()


@pytest.mark.parametrize("width", WIDTHS)
def test_pages_fit_viewport_width(acme: Tenant, alice: Any, visit: Callable[..., Visitor], width: int) -> None:
    tell(alice, "x" * 9_000)
    visitor = visit(acme, alice, viewport={"width": width, "height": 700})
    for path in ("/", "/messages/"):
        page = visitor.go(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.locator(".mx-bell-button").click()
    page.wait_for_selector(".mx-panel [data-mx-entry]")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
