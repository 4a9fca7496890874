"""Writing to people, announcing, broadcasting, and the operator's organisations, as people use these pages."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django_tenants.utils import schema_context
from playwright.sync_api import Page, expect

from messages_extends.access.grants import EVERYBODY, grant
from messages_extends.api import ALL_TENANTS, EVERYONE, announce, broadcast, inbox, send
from messages_extends.broadcasts.models import Broadcast
from messages_extends.models import Announcement
from messages_extends.models.publication import State
from tenants.models import Tenant
from tests.browser.conftest import Visitor
from tests.factories import MakeUser
from tests.rows import recipient_names

# As two impatient clicks do, or a browser that tries again.
SEND_TWICE = """async () => {
  const form = document.querySelector("form.mx-form");
  const send = () => {
    const body = new FormData(form);
    body.set("step", "send");
    return fetch(form.action, { method: "POST", body });
  };
  await Promise.all([send(), send(), send()]);
}"""
MALICIOUS = "<img src=x onerror=alert(1)> \u202egnirts 😀"


@pytest.fixture
def people(acme: Tenant, make_user: MakeUser) -> dict[str, Any]:
    """Make a manager who may write to Sales and to Erin, and an administrator who may do anything."""
    with schema_context("acme"):
        people = {name: make_user(name) for name in ("bob", "carol", "dan", "erin", "frank")}
        sales = Group.objects.create(name="Sales")
        sales.user_set.add(people["carol"], people["dan"])
        grant(people["bob"], sales)
        grant(people["bob"], people["erin"])
        people["alice"] = make_user("alice", is_superuser=True)
        return people


class TestCompose:
    def test_compose_sends_to_group_and_searched_person(
        self, acme: Tenant, people: Any, visit: Callable[..., Visitor]
    ) -> None:
        page = visit(acme, people["bob"]).go("/messages/compose/")
        page.get_by_role("checkbox", name="Sales").check()
        search = page.get_by_role("combobox", name="People")
        search.fill("er")
        expect(page.get_by_role("option")).to_have_count(1)
        search.press("ArrowDown")
        search.press("Enter")
        page.get_by_role("radio", name="Warning").check()
        page.get_by_label("Text").fill("The meeting is at noon.")
        expect(page.locator("[data-mx-preview]")).to_contain_text("The meeting is at noon.")
        page.get_by_role("button", name="Continue").click()
        expect(page.get_by_role("heading", name="3 people will receive it")).to_be_visible()
        page.get_by_role("button", name="Send a test to myself").click()
        expect(page.get_by_role("heading", name="3 people will receive it")).to_be_visible()
        assert recipients_in_acme() == ["bob"]
        page.get_by_role("button", name="Send to 3 people").click()
        expect(page.locator("[data-mx-banner]").first).to_be_visible()
        assert recipients_in_acme() == ["bob", "carol", "dan", "erin"]

    def test_compose_works_by_keyboard_alone(self, acme: Tenant, people: Any, visit: Callable[..., Visitor]) -> None:
        page = visit(acme, people["bob"]).go("/messages/compose/")
        reach(page, "input[name=groups]")
        page.keyboard.press("Space")
        reach(page, "textarea")
        page.keyboard.type("By keyboard.")
        reach(page, "button[value=look]")
        page.keyboard.press("Enter")
        page.wait_for_selector("button[value=send]")
        reach(page, "button[value=send]")
        page.keyboard.press("Enter")
        page.wait_for_selector("[data-mx-banner]")
        assert recipients_in_acme() == ["carol", "dan"]

    def test_compose_without_javascript_keeps_input_between_steps(
        self, acme: Tenant, people: Any, visit: Callable[..., Visitor]
    ) -> None:
        page = visit(acme, people["bob"], java_script_enabled=False).go("/messages/compose/")
        page.get_by_label("Text").fill("Hello")
        page.get_by_role("searchbox", name="People").fill("erin")
        page.get_by_role("button", name="Search").click()
        page.get_by_role("checkbox", name="erin").check()
        expect(page.get_by_label("Text")).to_have_value("Hello")
        page.get_by_role("button", name="Continue").click()
        page.get_by_role("button", name="Back").click()
        expect(page.get_by_role("checkbox", name="erin")).to_be_checked()
        page.get_by_role("button", name="Continue").click()
        page.get_by_role("button", name="Send to 1 person").click()
        assert recipients_in_acme() == ["erin"]

    def test_compose_submitted_twice_sends_once(self, acme: Tenant, people: Any, visit: Callable[..., Visitor]) -> None:
        page = visit(acme, people["bob"]).go("/messages/compose/")
        page.get_by_role("checkbox", name="Sales").check()
        page.get_by_label("Text").fill("Once")
        page.get_by_role("button", name="Continue").click()
        expect(page.get_by_role("button", name="Send to 2 people")).to_be_visible()
        page.evaluate(SEND_TWICE)
        assert recipients_in_acme() == ["carol", "dan"]

    def test_compose_picker_finds_no_unreachable_person(
        self, acme: Tenant, people: Any, visit: Callable[..., Visitor]
    ) -> None:
        page = visit(acme, people["bob"]).go("/messages/compose/")
        page.get_by_role("combobox", name="People").fill("frank")
        expect(page.get_by_text("No more results").first).to_be_attached()
        expect(page.get_by_role("option")).to_have_count(0)
        assert "frank" not in page.content()

    def test_compose_shows_html_as_text_and_refuses_javascript_link(
        self, acme: Tenant, people: Any, visit: Callable[..., Visitor]
    ) -> None:
        visitor = visit(acme, people["bob"])
        page = visitor.go("/messages/compose/")
        page.get_by_role("checkbox", name="Sales").check()
        page.get_by_label("Text").fill(MALICIOUS)
        expect(page.locator("[data-mx-preview] img")).to_have_count(0)
        page.locator("summary", has_text="More options").click()
        page.get_by_label("Link", exact=True).fill("javascript:alert(1)")
        page.get_by_role("button", name="Continue").click()
        expect(page.get_by_label("Link", exact=True)).to_have_attribute("aria-invalid", "true")
        page.get_by_label("Link", exact=True).fill("")
        page.get_by_role("button", name="Continue").click()
        expect(page.locator(".mx-preview img")).to_have_count(0)
        expect(page.locator(".mx-preview")).to_contain_text("<img src=x onerror=alert(1)>")
        assert [problem for problem in visitor.problems if "400" not in problem] == []
        visitor.problems.clear()


def recipients_in_acme() -> list[str]:
    with schema_context("acme"):
        return recipient_names()


def reach(page: Page, selector: str) -> None:
    """Press Tab until the element that `selector` names has the focus."""
    for _attempt in range(80):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    pytest.fail(f"The keyboard does not lead to {selector}.")


class TestAnnouncements:
    def test_announcement_is_published_acknowledged_changed_and_retracted(
        self, acme: Tenant, people: Any, visit: Callable[..., Visitor]
    ) -> None:
        at_admins = visit(acme, people["alice"])
        page = at_admins.go("/messages/announcements/")
        page.get_by_role("link", name="New announcement").first.click()
        page.get_by_role("radio", name="Everyone").check()
        page.get_by_label("Text").fill("The rules have changed.")
        page.locator("summary", has_text="More options").click()
        page.get_by_role("checkbox", name="Readers must acknowledge it").check()
        page.get_by_role("button", name="Continue").click()
        page.get_by_role("button", name="Publish it").click()
        expect(page.get_by_text("0 of 6 have read it").first).to_be_visible()

        at_carols = visit(acme, people["carol"])
        reading = at_carols.go("/")
        reading.get_by_role("button", name="Acknowledge").click()
        expect(reading.locator("[data-mx-banner]")).to_have_count(0)

        page.reload()
        expect(page.get_by_text("1 of 6 have read it").first).to_be_visible()
        page.get_by_role("link", name="Change").click()
        page.get_by_label("Text").fill("The rules have changed again.")
        page.get_by_role("radio").last.check()
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_text("0 of 6 have read it").first).to_be_visible()
        expect(at_carols.go("/").get_by_text("The rules have changed again.")).to_be_visible()

        page.get_by_role("link", name="Retract").click()
        page.get_by_role("button", name="Retract it").click()
        expect(page.get_by_text("Retracted").first).to_be_visible()
        expect(at_carols.go("/").get_by_text("The rules have changed again.")).to_have_count(0)
        with schema_context("acme"):
            assert Announcement.objects.get().state() is State.RETRACTED

    def test_announcement_without_javascript_is_scheduled(
        self, acme: Tenant, people: Any, visit: Callable[..., Visitor]
    ) -> None:
        page = visit(acme, people["alice"], java_script_enabled=False).go("/messages/announcements/new/")
        page.get_by_role("radio", name="The members of groups").check()
        page.get_by_role("checkbox", name="Sales").check()
        page.get_by_label("Text").fill("To come")
        page.locator("summary", has_text="More options").click()
        page.get_by_label("Show from").fill("2099-01-01T10:00")
        page.get_by_role("button", name="Continue").click()
        page.get_by_role("button", name="Schedule it").click()
        with schema_context("acme"):
            announcement = Announcement.objects.get()
            assert (announcement.state(), announcement.groups.get().name) == (State.SCHEDULED, "Sales")
            assert inbox(people["carol"]).unread_count() == 0

    def test_manager_announces_to_own_group_only(
        self, acme: Tenant, people: Any, visit: Callable[..., Visitor]
    ) -> None:
        page = visit(acme, people["bob"]).go("/messages/announcements/new/")
        expect(page.get_by_role("radio", name="Everyone")).to_have_count(0)
        page.get_by_role("checkbox", name="Sales").check()
        page.get_by_label("Text").fill("For Sales")
        page.get_by_role("button", name="Continue").click()
        page.get_by_role("button", name="Publish it").click()
        expect(page.get_by_text("0 of 2 have read it").first).to_be_visible()


class TestConsole:
    def test_broadcast_is_published_counted_and_retracted(
        self, acme: Tenant, people: Any, platform: Any, operator: Any, visit: Callable[..., Visitor]
    ) -> None:
        page = visit(platform, operator).go("/messages/broadcasts/new/")
        page.get_by_role("radio", name="All current and future organisations").check()
        page.get_by_label("Text").fill("Maintenance on Sunday.")
        page.get_by_role("button", name="Continue").click()
        page.get_by_role("button", name="Publish it").click()
        expect(page.get_by_role("heading", name="Broadcast", exact=True)).to_be_visible()

        at_bobs = visit(acme, people["bob"])
        reading = at_bobs.go("/")
        expect(reading.get_by_text("Maintenance on Sunday.")).to_be_visible()
        reading.get_by_role("button", name="Close").click()
        expect(reading.locator("[data-mx-banner]")).to_have_count(0)

        page.get_by_role("button", name="Count the readers").click()
        expect(page.get_by_text("All organisations are counted").first).to_be_visible(timeout=20_000)
        expect(page.get_by_role("row", name="Acme")).to_contain_text("1 of 6")
        assert "bob" not in page.content()

        page.get_by_role("link", name="Retract").click()
        page.get_by_role("button", name="Retract it").click()
        expect(page.get_by_text("Retracted").first).to_be_visible()
        carol = visit(acme, people["carol"]).go("/")
        expect(carol.get_by_text("Maintenance on Sunday.")).to_have_count(0)

    def test_broadcast_without_javascript_reaches_chosen_tenants(
        self, platform: Any, operator: Any, visit: Callable[..., Visitor]
    ) -> None:
        page = visit(platform, operator, java_script_enabled=False).go("/messages/broadcasts/new/")
        page.get_by_role("radio", name="Chosen organisations").check()
        page.get_by_role("checkbox", name="Globex").check()
        page.get_by_label("Text").fill("For Globex alone")
        page.get_by_role("button", name="Continue").click()
        page.get_by_role("button", name="Publish it").click()
        assert [tenant.schema_name for tenant in Broadcast.objects.get().tenants.all()] == ["globex"]

    @pytest.mark.parametrize("path", ["", "new/"])
    def test_broadcast_pages_outside_platform_return_404(
        self, acme: Tenant, people: Any, visit: Callable[..., Visitor], path: str
    ) -> None:
        visitor = visit(acme, people["alice"])
        expect(visitor.go(f"/messages/broadcasts/{path}").get_by_text("Page not found").first).to_be_visible()
        visitor.problems.clear()


PAGES = {
    "/messages/compose/": "alice",
    "/messages/sent/": "alice",
    "/messages/sent/announcements/": "alice",
    "/messages/announcements/": "alice",
    "/messages/announcements/new/": "alice",
    "/messages/grants/": "alice",
    "/messages/grants/why/": "alice",
    "/messages/broadcasts/": "olga",
    "/messages/broadcasts/new/": "olga",
    "/organisations/": "olga",
    "/organisations/new/": "olga",
}


@pytest.fixture
def something_to_show(people: Any, operator: Any) -> dict[str, str]:
    """Publish one of each kind; return the addresses of what has one of its own."""
    with schema_context("acme"):
        announcement = announce(f"An announcement {MALICIOUS}", to=EVERYONE, sender=people["alice"])
        grant(Group.objects.get(), EVERYBODY)
        send(people["alice"], "a message")
        inbox(people["carol"]).mark_all_read()
    with schema_context("platform"):
        published = broadcast("A broadcast", to=ALL_TENANTS, sender=operator)
    return {
        f"/messages/announcements/{announcement.pk}/": "alice",
        f"/messages/announcements/{announcement.pk}/edit/": "alice",
        f"/messages/announcements/{announcement.pk}/retract/": "alice",
        f"/messages/broadcasts/{published.pk}/": "olga",
        f"/messages/broadcasts/{published.pk}/edit/": "olga",
        f"/messages/broadcasts/{published.pk}/retract/": "olga",
    }


@pytest.mark.parametrize("width", [320, 1280])
def test_pages_are_accessible_and_fit_viewport(
    request: pytest.FixtureRequest, something_to_show: dict[str, str], visit: Callable[..., Visitor], width: int
) -> None:
    size = {"width": width, "height": 800}
    acme, people, platform, operator = map(request.getfixturevalue, ("acme", "people", "platform", "operator"))
    visitors = {
        "alice": visit(acme, people["alice"], viewport=size),
        "olga": visit(platform, operator, viewport=size),
    }
    for path, who in {**PAGES, **something_to_show}.items():
        page = visitors[who].go(path)
        assert page.locator("h1").count() == 1, path
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        visitors[who].require_accessible()


@pytest.mark.parametrize("path", [path for path in PAGES if not path.startswith("/messages/sent/")])
def test_pages_without_permission_show_error_without_names(
    acme: Tenant, people: Any, visit: Callable[..., Visitor], path: str
) -> None:
    visitor = visit(acme, people["frank"])
    page = visitor.go(path)
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("Permission denied|Page not found"))
    assert not [name for name in people if name != "frank" and name in page.locator("main").inner_text()]
    visitor.problems.clear()
