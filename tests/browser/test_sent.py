"""What somebody has sent, and its recall, as people use these pages."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.utils import timezone
from django_tenants.utils import schema_context
from playwright.sync_api import Page, expect

from messages_extends.access.grants import grant
from messages_extends.api import EVERYONE, announce, inbox, send
from messages_extends.constants import ERROR_PERSISTENT
from messages_extends.models import Message
from tenants.models import Tenant
from tests.browser.conftest import Visitor
from tests.factories import MakeUser, make_group

HOSTILE = "<img src=x onerror=alert(1)> \u202egnirts 😀 " + "long" * 40
WIDTHS = (360, 768, 1280)


@pytest.fixture
def people(acme: Tenant, make_user: MakeUser) -> dict[str, Any]:
    """Make Bob, who may write to Sales, and those who are in it."""
    with schema_context("acme"):
        people = {name: make_user(name) for name in ("bob", "carol", "dan")}
        grant(people["bob"], make_group("Sales", people["carol"], people["dan"]))
        return people


def messages_in_acme() -> int:
    with schema_context("acme"):
        return Message.objects.count()


def reach(page: Page, selector: str) -> None:
    """Press Tab until the element has the focus."""
    for _step in range(80):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"{selector} cannot be reached by Tab.")


@pytest.mark.parametrize("with_script", [True, False])
def test_message_is_sent_read_and_recalled(
    acme: Tenant, people: Any, visit: Callable[..., Visitor], with_script: bool
) -> None:
    with schema_context("acme"):
        send(Group.objects.get(), "Kept", sender=people["bob"])
        inbox(people["carol"]).mark_all_read()
        send(Group.objects.get(), "Oops", sender=people["bob"])
    page = visit(acme, people["bob"], java_script_enabled=with_script).go("/messages/compose/")
    page.get_by_role("link", name="Sent", exact=True).click()
    oops, kept = page.get_by_role("listitem").filter(has_text="To 2 people").all()
    expect(kept).to_contain_text("1 of 2 have read it")
    expect(kept.get_by_role("link", name="Recall")).to_have_count(0)
    expect(oops).to_contain_text("0 of 2 have read it")
    oops.get_by_role("link", name="Recall: Oops").click()
    expect(page.get_by_role("heading", name="Recall this message?")).to_be_visible()
    assert messages_in_acme() == 4
    page.get_by_role("button", name="Recall it").click()
    expect(page.get_by_text("The message has been recalled.")).to_be_visible()
    expect(page.get_by_text("Oops")).to_have_count(0)
    assert messages_in_acme() == 2


def test_recall_removes_message_from_open_page_of_recipient(
    acme: Tenant, people: Any, visit: Callable[..., Visitor]
) -> None:
    with schema_context("acme"):
        send(people["carol"], "Oops", sender=people["bob"])
    reader = visit(acme, people["carol"]).go("/")
    expect(reader.get_by_text("Oops")).to_be_visible()
    page = visit(acme, people["bob"]).go("/messages/sent/")
    page.get_by_role("link", name="Recall").click()
    page.get_by_role("button", name="Recall it").click()
    expect(page.get_by_text("The message has been recalled.")).to_be_visible()
    expect(reader.get_by_text("Oops")).to_have_count(0)


def test_message_is_recalled_by_keyboard_alone(acme: Tenant, people: Any, visit: Callable[..., Visitor]) -> None:
    with schema_context("acme"):
        send(people["carol"], "Oops", sender=people["bob"])
    page = visit(acme, people["bob"]).go("/messages/sent/")
    reach(page, "a[href$='/recall/']")
    page.keyboard.press("Enter")
    page.wait_for_url("**/recall/")
    reach(page, "main button.mx-danger")
    page.keyboard.press("Enter")
    expect(page.get_by_text("The message has been recalled.")).to_be_visible()
    assert messages_in_acme() == 0


def test_recall_after_message_was_read_explains_why_it_is_refused(
    acme: Tenant, people: Any, visit: Callable[..., Visitor]
) -> None:
    with schema_context("acme"):
        send(people["carol"], "Oops", sender=people["bob"])
    visitor = visit(acme, people["bob"])
    page = visitor.go("/messages/sent/")
    page.get_by_role("link", name="Recall").click()
    with schema_context("acme"):
        inbox(people["carol"]).mark_all_read()
    page.get_by_role("button", name="Recall it").click()
    expect(page.get_by_role("alert")).to_contain_text("can no longer be recalled")
    page.get_by_role("link", name="Back to what you have sent").click()
    expect(page.get_by_text("1 of 1 have read it")).to_be_visible()
    assert messages_in_acme() == 1
    visitor.problems.clear()


@pytest.mark.parametrize("width", WIDTHS)
def test_sent_pages_are_accessible_and_fit_viewport(
    acme: Tenant, people: Any, visit: Callable[..., Visitor], width: int
) -> None:
    later = timezone.now() + timedelta(hours=1)
    with schema_context("acme"):
        group = Group.objects.get()
        send(group, HOSTILE, sender=people["bob"], title=HOSTILE[:100], level=ERROR_PERSISTENT, url="/there/")
        send(people["carol"], "Later", sender=people["bob"], publish_at=later, expires=later + timedelta(days=1))
        Message.objects.filter(user=people["dan"]).delete()
        announce(HOSTILE, to=EVERYONE)
        announce(HOSTILE, to=group, sender=people["bob"])
        recalled = Message.objects.get(message="Later").pk
        refused = Message.objects.exclude(message="Later").get().pk
    visitor = visit(acme, people["bob"], viewport={"width": width, "height": 800})
    for path in ("", "announcements/", f"{recalled}/recall/", f"{refused}/recall/"):
        page = visitor.go(f"/messages/sent/{path}")
        assert page.locator("h1").count() == 1, path
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        visitor.require_accessible()
