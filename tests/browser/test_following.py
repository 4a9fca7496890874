"""Following the link of a message marks it as read, if scripts run; without them nothing is marked."""

from collections.abc import Callable
from typing import Any, Literal

import pytest
from django_tenants.utils import schema_context
from playwright.sync_api import Page, expect

from messages_extends.api import EVERYONE, announce, inbox, send
from messages_extends.constants import ERROR_PERSISTENT
from tenants.models import Tenant
from tests.browser.conftest import Visitor
from tests.processes import eventually

Modifier = Literal["Control", "Shift"]


@pytest.fixture
def at_acme(acme: Tenant, alice: Any, visit: Callable[..., Visitor]) -> Visitor:
    return visit(acme, alice)


def tell(user: Any, text: str, **options: Any) -> None:
    with schema_context("acme"):
        send(user, text, url="/people/", **options)


def unread_of(user: Any) -> int:
    with schema_context("acme"):
        return inbox(user).unread_count()


def link(page: Page) -> Any:
    return page.get_by_role("link", name="Open: invoice").first


def test_link_of_entry_marks_it_read_when_it_is_clicked(at_acme: Visitor, alice: Any) -> None:
    tell(alice, "invoice")
    page = at_acme.go("/messages/")
    link(page).click()
    expect(page).to_have_url(f"{at_acme.origin}/people/")
    assert eventually(lambda: unread_of(alice) == 0)
    at_acme.problems.clear()


def test_link_of_entry_marks_it_read_when_enter_is_pressed(at_acme: Visitor, alice: Any) -> None:
    tell(alice, "invoice")
    page = at_acme.go("/messages/")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{at_acme.origin}/people/")
    assert eventually(lambda: unread_of(alice) == 0)
    at_acme.problems.clear()


def test_link_of_banner_marks_it_read_when_it_is_clicked(at_acme: Visitor, alice: Any) -> None:
    tell(alice, "invoice")
    page = at_acme.go("/")
    link(page).click()
    expect(page).to_have_url(f"{at_acme.origin}/people/")
    assert eventually(lambda: unread_of(alice) == 0)
    at_acme.problems.clear()


@pytest.mark.parametrize("path", ["/", "/messages/"])
@pytest.mark.parametrize(
    "click",
    [{"button": "middle"}, {"modifiers": ["Control"]}, {"modifiers": ["Shift"]}],
    ids=["middle", "ctrl", "shift"],
)
def test_link_marks_read_and_updates_this_page_when_it_opens_another(
    at_acme: Visitor, alice: Any, path: str, click: Any
) -> None:
    tell(alice, "invoice")
    page = at_acme.go(path)
    with page.context.expect_page() as opened:
        link(page).click(**click)
    expect(page.get_by_role("button", name="Messages, none unread")).to_be_visible()
    expect(page.locator("[data-mx-banner], .mx-unread")).to_have_count(0)
    assert unread_of(alice) == 0
    opened.value.close()


def test_link_marks_nothing_when_its_menu_is_opened(at_acme: Visitor, alice: Any) -> None:
    tell(alice, "invoice")
    page = at_acme.go("/messages/")
    link(page).click(button="right")
    page.wait_for_timeout(300)
    assert unread_of(alice) == 1


def test_link_acknowledges_nothing(at_acme: Visitor, alice: Any) -> None:
    with schema_context("acme"):
        announce("invoice", to=EVERYONE, url="/people/", must_acknowledge=True)
    for path in ("/", "/messages/"):
        page = at_acme.go(path)
        link(page).click()
        expect(page).to_have_url(f"{at_acme.origin}/people/")
    assert unread_of(alice) == 1
    at_acme.problems.clear()


def test_link_of_toast_marks_its_message_read(at_acme: Visitor, alice: Any) -> None:
    page = at_acme.go("/")
    tell(alice, "invoice", level=ERROR_PERSISTENT)
    with page.context.expect_page() as opened:
        page.locator(".mx-toast").get_by_role("link", name="Open: invoice").click(button="middle")
    expect(page.get_by_role("button", name="Messages, none unread")).to_be_visible()
    expect(page.locator("[data-mx-banner]")).to_have_count(0)
    assert unread_of(alice) == 0
    opened.value.close()


def test_link_marks_nothing_without_scripts(acme: Tenant, alice: Any, visit: Callable[..., Visitor]) -> None:
    tell(alice, "invoice")
    visitor = visit(acme, alice, java_script_enabled=False)
    page = visitor.go("/messages/")
    link(page).click()
    expect(page).to_have_url(f"{visitor.origin}/people/")
    assert unread_of(alice) == 1
    visitor.go("/messages/").get_by_role("button", name="Mark read: invoice").click()
    assert unread_of(alice) == 0
    visitor.problems.clear()
