"""Our pages in hosts that were not made for them: with Bootstrap or without, light or dark, with htmx or Turbo."""

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlencode

import pytest
from django_tenants.utils import schema_context
from playwright.sync_api import Page, Request, expect

from messages_extends.api import EVERYONE, announce, inbox
from messages_extends.constants import ERROR_PERSISTENT, WARNING_PERSISTENT
from messages_extends.models import Message
from tenants.models import Tenant
from tests.browser.conftest import Visitor, serving, tell
from tests.browser.host.turbo import fetch_turbo
from tests.factories import MakeUser
from tests.servers import free_port

LIBRARIES = ("htmx-2", "htmx-4", "turbo")
COMPUTERS: tuple[Literal["light", "dark"], ...] = ("light", "dark")
COLOURS = """(selector) => {
  const painted = (element) => {
    const colour = getComputedStyle(element).backgroundColor;
    return colour.endsWith(", 0)") && element.parentElement ? painted(element.parentElement) : colour;
  };
  const element = document.querySelector(selector);
  return [getComputedStyle(element).color, painted(element)];
}"""


@dataclass
class Host:
    """Opens pages of the host, each browser with a look of its own."""

    port: int
    visit: Callable[..., Visitor]
    tenant: Any
    user: Any
    folder: Path
    posts: list[str] = field(default_factory=list)

    def open(self, path: str = "/", *, options: dict[str, Any] | None = None, **look: str) -> Visitor:
        visitor = self.visit(self.tenant, self.user, server=self.port, **(options or {}))
        visitor.page.on("request", self._note)
        wear(visitor, **look)
        visitor.go(path)
        return visitor

    def _note(self, request: Request) -> None:
        if request.method == "POST":
            self.posts.append(request.url.partition("/messages/")[2])


def wear(visitor: Visitor, **look: str) -> None:
    visitor.page.context.add_cookies([{"name": "look", "value": urlencode(look), "url": visitor.origin}])


@pytest.fixture(scope="module")
def served(port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    own_port, folder = free_port(), tmp_path_factory.mktemp("turbo")
    env = {"DJANGO_SETTINGS_MODULE": "tests.browser.host.settings", "TURBO": str(folder)}
    with serving(own_port, tmp_path_factory.mktemp("host") / "log", **env):
        yield own_port, folder


@pytest.fixture
def alice(acme: Tenant, make_user: MakeUser) -> Any:
    with schema_context("acme"):
        make_user("bob")
        return make_user("alice", is_superuser=True)


@pytest.fixture
def host(served: tuple[int, Path], acme: Tenant, alice: Any, visit: Callable[..., Visitor]) -> Host:
    return Host(served[0], visit, acme, alice, served[1])


@pytest.fixture(params=LIBRARIES)
def library(request: pytest.FixtureRequest, served: tuple[int, Path], tmp_path: Path) -> str:
    if request.param == "turbo" and not [*served[1].iterdir()]:
        shutil.copy(fetch_turbo(tmp_path) / "turbo.es2017-umd.js", served[1])
    return str(request.param)


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, as the Web Content Accessibility Guidelines define it."""

    def luminance(colour: str) -> float:
        found = [float(number) for number in re.findall(r"[\d.]+", colour)][:3]
        channels = [number if colour.startswith("color(") else number / 255 for number in found]
        linear = [each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in channels]
        return sum(weight * each for weight, each in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


class TestColours:
    @pytest.mark.parametrize(
        "look",
        [
            {},
            {"scheme": "light dark"},
            {"css": "bootstrap"},
            {"css": "bootstrap", "theme": "light"},
            {"css": "bootstrap", "theme": "dark"},
        ],
        ids=lambda look: "-".join(look.values()) or "plain",
    )
    def test_pages_meet_accessibility_rules_in_every_colour_scheme(
        self, host: Host, alice: Any, look: dict[str, str]
    ) -> None:
        tell(alice, "A long text. " * 50, url="/x/", sender=alice, level=WARNING_PERSISTENT)
        tell(alice, "Payment failed", level=ERROR_PERSISTENT)
        visitor = host.open(**look)
        visitor.page.locator(".mx-bell-button").click()
        visitor.page.wait_for_selector(".mx-panel [data-mx-entry]")
        visitor.require_accessible()
        visitor.go("/messages/compose/")
        visitor.page.get_by_label("Text").fill("Hello")
        visitor.require_accessible()

    @pytest.mark.parametrize("theme", ["light", "dark"])
    def test_banner_colours_follow_theme_of_host(self, host: Host, alice: Any, theme: str) -> None:
        tell(alice, "Hello")
        page = host.open(css="bootstrap", theme=theme).page
        seen = []
        for computer in COMPUTERS:
            page.emulate_media(color_scheme=computer)
            seen.append(page.evaluate(COLOURS, ".mx-banner"))
        assert seen[0] == seen[1]
        text, _ground = page.evaluate(COLOURS, "body")
        assert contrast(seen[0][0], text) < 1.5


class TestBell:
    @pytest.mark.parametrize("bar", ["", "dark", "navbar-dark", "navy"])
    @pytest.mark.parametrize("theme", ["light", "dark"])
    def test_bell_contrasts_with_navbar_when_hovered_and_not(self, host: Host, bar: str, theme: str) -> None:
        page = host.open(css="bootstrap", theme=theme, bar=bar).page
        for _pointer in ("away", "over"):
            colour, _own = page.evaluate(COLOURS, ".mx-bell-button")
            _text, ground = page.evaluate(COLOURS, ".navbar")
            assert contrast(colour, ground) >= 4.5
            page.locator(".mx-bell-button").hover()

    @pytest.mark.parametrize("direction", ["ltr", "rtl"])
    @pytest.mark.parametrize("end", ["start", "end"])
    def test_bell_panel_stays_within_viewport(self, host: Host, alice: Any, end: str, direction: str) -> None:
        tell(alice, *(f"message {number}" for number in range(10)))
        for width in (320, 600, 900):
            options = {"viewport": {"width": width, "height": 500}}
            page = host.open(css="bootstrap", bell=end, dir=direction, options=options).page
            page.locator(".mx-bell-button").click()
            page.wait_for_selector(".mx-panel [data-mx-entry]")
            box = page.locator(".mx-panel").bounding_box()
            assert box is not None
            assert 0 <= box["x"] <= box["x"] + box["width"] <= width
            assert box["y"] + box["height"] <= 500
            assert box["width"] == min(400, width - 16)
            # Beside the bell, where there is room for that.
            bell = page.locator(".mx-bell-button").bounding_box()
            assert bell is not None
            assert box["x"] <= bell["x"] + bell["width"] / 2 <= box["x"] + box["width"]

    def test_bell_panel_at_page_bottom_opens_upwards(self, host: Host, alice: Any) -> None:
        tell(alice, "Hello")
        page = host.open().page
        page.evaluate("document.body.append(document.querySelector('[data-mx-bell]'))")
        page.evaluate("document.querySelector('main').style.minHeight = '120vh'")
        page.locator(".mx-bell-button").click()
        page.wait_for_selector(".mx-panel [data-mx-entry]")
        panel, bell = (page.locator(name).bounding_box() for name in (".mx-panel", ".mx-bell-button"))
        assert panel is not None
        assert bell is not None
        assert 0 <= panel["y"] < panel["y"] + panel["height"] <= bell["y"]


class TestScripts:
    def test_scripts_work_in_any_load_order(self, host: Host, alice: Any) -> None:
        """Libraries that exchange the body may insert them so that each runs as soon as it has been fetched."""
        tell(alice, "Hello")
        visitor = host.open("/other/")
        page, ours = visitor.page, "**/messages_extends/*.js"
        page.route(ours, lambda route: route.fulfill(body="", content_type="text/javascript"))
        visitor.go("/")
        sources = page.locator("script[type=module]").evaluate_all("all => all.map(each => each.src)")
        assert len(sources) == 5
        page.unroute(ours)
        for source in reversed(sources):
            page.add_script_tag(url=f"{source}?again", type="module")
        page.get_by_role("button", name="Messages, 1 unread").click()
        page.get_by_role("dialog").get_by_role("button", name="Mark read: Hello").click()
        expect(page.locator("[data-mx-banner]")).to_have_count(0)
        tell(alice, "Hello again")
        expect(page.get_by_role("button", name="Messages, 1 unread")).to_be_visible()


class TestReplacedBody:
    """What a library has fetched takes the place of the body, again and again; no page is loaded."""

    def follow(self, page: Page, link: str, heading: str) -> None:
        # The page before may have the same heading, and a click during its replacement is lost.
        page.evaluate("document.querySelector('h1')?.setAttribute('data-before', '')")
        page.get_by_role("link", name=link, exact=True).first.click()
        expect(page.locator("h1:not([data-before])", has_text=heading)).to_be_visible()

    def open(self, host: Host, library: str, **look: str) -> Page:
        page = host.open(library=library, **look).page
        page.evaluate("window.loaded = 'once'")
        self.follow(page, "Other", "Other")
        self.follow(page, "Start", "Start")
        return page

    def test_bell_after_body_swap_opens_and_sends_click_once(self, host: Host, alice: Any, library: str) -> None:
        tell(alice, "first", "second", "third")
        page = self.open(host, library)
        page.get_by_role("button", name="Close: first").click()
        expect(page.locator("[data-mx-banner]")).to_have_count(2)
        page.get_by_role("button", name="Messages, 2 unread").click()
        panel = page.get_by_role("dialog", name="Latest messages")
        panel.get_by_role("button", name="Mark read: second").click()
        expect(page.get_by_role("button", name="Messages, 1 unread")).to_be_visible()
        page.keyboard.press("Escape")
        expect(panel).to_be_hidden()
        page.wait_for_timeout(200)
        assert [post.split("/")[0] for post in host.posts] == ["mark_read", "mark_read"]
        assert page.evaluate("window.loaded") == "once"

    def test_mark_all_read_and_back_button_work_after_body_swap(self, host: Host, alice: Any, library: str) -> None:
        tell(alice, "first", "second")
        page = self.open(host, library)
        self.follow(page, "Messages", "Inbox")
        page.get_by_role("button", name="Mark all as read").click()
        undo = page.get_by_role("button", name="Undo")
        expect(undo).to_be_focused()
        undo.click()
        expect(page.get_by_role("button", name="Messages, 2 unread")).to_be_visible()
        assert host.posts == ["mark_read/all/", "undo/"]
        page.go_back()
        expect(page.get_by_role("heading", name="Start")).to_be_visible()
        page.get_by_role("button", name="Messages, 2 unread").click()
        expect(page.locator(".mx-panel [data-mx-entry]")).to_have_count(2)
        assert page.evaluate("window.loaded") == "once"

    def test_back_button_works_after_body_swap_without_history_cache(self, host: Host, alice: Any) -> None:
        tell(alice, "first")
        page = self.open(host, "htmx-2", history="off")
        self.follow(page, "Messages", "Inbox")
        page.get_by_role("button", name="Mark read: first").click()
        expect(page.get_by_role("button", name="Messages, none unread")).to_be_visible()
        page.go_back()
        expect(page.get_by_role("heading", name="Start")).to_be_visible()
        expect(page.locator("[data-mx-banner]")).to_have_count(0)
        page.get_by_role("button", name="Messages, none unread").click()
        expect(page.locator(".mx-panel [data-mx-entry]")).to_have_count(1)

    def test_live_updates_continue_after_body_swap(self, host: Host, alice: Any, library: str) -> None:
        page = self.open(host, library)
        tell(alice, "Hello", level=ERROR_PERSISTENT)
        expect(page.get_by_role("button", name="Messages, 1 unread")).to_be_visible()
        expect(page.locator("[data-mx-banner]", has_text="Hello")).to_be_visible()
        toast = page.locator(".mx-toast", has_text="Hello")
        expect(toast.get_by_role("button", name="Close: Hello")).to_be_visible()
        self.follow(page, "Other", "Other")
        expect(toast).to_be_visible()

    def test_compose_pages_work_repeatedly_after_body_swap(self, host: Host, alice: Any, library: str) -> None:
        page = self.open(host, library)
        for _time in range(2):
            self.follow(page, "Host", "Start")
            self.follow(page, "Write", "New message")
        search = page.get_by_role("combobox", name="People")
        search.fill("ali")
        page.get_by_role("option", name="alice").click()
        page.get_by_label("Text").fill("To myself")
        expect(page.locator("[data-mx-preview]")).to_contain_text("alice: To myself")
        page.get_by_role("button", name="Continue").click()
        expect(page.get_by_role("heading", name="1 person will receive it")).to_be_visible()
        page.get_by_role("button", name="Send to 1 person").click()
        expect(page.get_by_text("Sent to 1 person.")).to_be_visible()
        with schema_context("acme"):
            assert Message.objects.count() == 1

    def test_messages_of_request_are_shown_after_body_swap(self, host: Host, library: str) -> None:
        page = self.open(host, library)
        page.get_by_role("button", name="Order", exact=True).click()
        expect(page.get_by_text("Your order has been placed.")).to_be_visible()
        page.get_by_role("button", name="Close: Your order has been placed.").click()
        expect(page.locator("[data-mx-banner]")).to_have_count(0)

    @pytest.mark.parametrize("library", ["htmx-2", "htmx-4"])
    def test_partial_response_updates_banners(self, host: Host, alice: Any, library: str) -> None:
        tell(alice, "saved")
        page = self.open(host, library)
        page.get_by_role("button", name="Order in place").click()
        expect(page.get_by_text("Done.")).to_be_visible()
        expect(page.get_by_text("Your order has been placed.")).to_be_visible()
        page.get_by_role("button", name="Close: saved").click()
        expect(page.locator("[data-mx-banner]")).to_have_count(1)
        with schema_context("acme"):
            assert inbox(alice).unread_count() == 0


class TestPhones:
    def test_touch_device_hides_keyboard_shortcuts_button(self, host: Host, alice: Any) -> None:
        tell(alice, "Hello")
        phone = {"viewport": {"width": 900, "height": 500}, "has_touch": True, "is_mobile": True}
        page = host.open("/messages/", options=phone).page
        expect(page.get_by_role("heading", name="Inbox")).to_be_visible()
        expect(page.get_by_text("Keyboard shortcuts").first).to_be_hidden()
        page.keyboard.press("?")
        expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()


class TestBootstrap:
    def test_bootstrap_element_rules_do_not_change_form_sizes(self, host: Host) -> None:
        page = host.open("/messages/compose/", css="bootstrap").page
        sizes = page.evaluate(
            "['.mx-field > legend', '.mx-field > label'].map((name) => {"
            "  const style = getComputedStyle(document.querySelector(name));"
            "  return [style.fontSize, style.float, style.lineHeight];"
            "})"
        )
        assert sizes[0] == sizes[1]

    def test_page_title_is_in_head(self, host: Host) -> None:
        page = host.open("/messages/", css="bootstrap").page
        expect(page).to_have_title("Inbox · Host")
        assert page.locator("body title").count() == 0

    @pytest.mark.parametrize("library", ["", "htmx-2"])
    def test_bootstrap_alerts_close_and_acknowledge_once(self, host: Host, alice: Any, library: str) -> None:
        tell(alice, "first", "second")
        with schema_context("acme"):
            announce("The rules", to=EVERYONE, must_acknowledge=True)
        visitor = host.open("/alerts/", css="bootstrap", library=library)
        page = visitor.page
        page.get_by_role("link", name="Alerts").click()
        expect(page.locator(".alert")).to_have_count(3)
        visitor.require_accessible()
        page.get_by_role("button", name="Acknowledge: The rules").click()
        expect(page.locator(".alert")).to_have_count(2)
        expect(page.get_by_role("button", name="Close: second")).to_be_focused()
        page.get_by_role("button", name="Close: first").click()
        expect(page.locator(".alert")).to_have_count(1)
        assert [post.split("/")[0] for post in host.posts] == ["acknowledge", "mark_read"]
        with schema_context("acme"):
            assert inbox(alice).unread_count() == 1

    def test_announcement_to_acknowledge_is_shown_above_page_content(self, host: Host, alice: Any) -> None:
        with schema_context("acme"):
            announce("The rules", to=EVERYONE, must_acknowledge=True, sender=alice)
        page = host.open(css="bootstrap").page
        expect(page.locator("[data-mx-banner]")).to_contain_text("alice: The rules")
        page.get_by_role("button", name="Acknowledge: The rules").click()
        expect(page.locator("[data-mx-banner]")).to_have_count(0)
