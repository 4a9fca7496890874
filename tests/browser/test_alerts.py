"""Messages on pages that are not ours: Bootstrap's alerts, and Django's admin."""

from collections.abc import Callable

from django.template.loader import render_to_string
from django_tenants.utils import schema_context
from playwright.sync_api import expect

from messages_extends.api import EVERYONE, announce, inbox, send
from messages_extends.constants import ERROR_PERSISTENT
from tenants.models import Tenant
from tests.browser.conftest import Visitor
from tests.factories import MakeUser

ALERTS = "messages_extends/includes/alerts_bootstrap.html"


def test_bootstrap_alerts_are_acknowledged_and_closed_in_place(
    acme: Tenant, make_user: MakeUser, visit: Callable[..., Visitor]
) -> None:
    with schema_context("acme"):
        alice = make_user("alice")
        announce("The rules", to=EVERYONE, must_acknowledge=True)
        send(alice, "Hello")
    page = visit(acme, alice).go("/messages/")
    token = page.locator("[name=csrfmiddlewaretoken]").first.get_attribute("value")
    with schema_context("acme"):
        html = render_to_string(ALERTS, {"messages": inbox(alice).banners(), "csrf_token": token})
    page.evaluate("html => document.querySelector('main').innerHTML = html", html)
    page.add_script_tag(url="/static/close-alerts.js")
    alerts = page.locator(".alert")
    expect(alerts).to_have_count(2)
    page.get_by_role("button", name="Acknowledge").click()
    expect(alerts).to_have_count(1)
    expect(alerts.get_by_role("button")).to_be_focused()
    with schema_context("acme"):
        assert [str(each) for each in inbox(alice).banners()] == ["Hello"]
    page.keyboard.press("Enter")
    expect(alerts).to_have_count(0)
    assert page.url.endswith("/messages/")
    with schema_context("acme"):
        assert inbox(alice).banners() == []


def test_admin_shows_messages_with_working_close_button(
    acme: Tenant, make_user: MakeUser, visit: Callable[..., Visitor]
) -> None:
    with schema_context("acme"):
        root = make_user("root", is_staff=True, is_superuser=True)
        send(root, "Disk full", level=ERROR_PERSISTENT)
    visitor = visit(acme, root)
    # The admin names no icon, and browsers ask for this one.
    visitor.page.route("**/favicon.ico", lambda route: route.fulfill(status=204))
    page = visitor.go("/admin/")
    banner = page.locator("[data-mx-banner]")
    expect(banner).to_contain_text("Disk full")
    expect(page.locator(".messagelist")).to_have_count(0)
    banner.get_by_role("button").click()
    expect(banner).to_have_count(0)
    assert page.url.endswith("/admin/")
    with schema_context("acme"):
        assert inbox(root).unread_count() == 0
