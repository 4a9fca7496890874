"""Our pages in a host that has no style sheet of its own."""

from collections.abc import Callable
from pathlib import Path

from django.contrib.messages.storage.base import Message as OrdinaryMessage
from django.template.loader import render_to_string
from django.test import RequestFactory
from django_tenants.utils import schema_context
from playwright.sync_api import Browser

import messages_extends
from messages_extends.api import send
from messages_extends.constants import INFO, INFO_STICKY
from tenants.models import Tenant
from tests.browser.conftest import Visitor
from tests.factories import MakeUser


def test_unread_count_does_not_cover_bell_without_host_styles(
    acme: Tenant, make_user: MakeUser, visit: Callable[..., Visitor]
) -> None:
    with schema_context("acme"):
        alice = make_user("alice")
        send(alice, "Hello")
    page = visit(acme, alice).go("/")
    page.evaluate("document.querySelector('link[href*=\"site.css\"]').remove()")
    number, bell = (page.locator(f".mx-bell {name}").bounding_box() for name in (".mx-count", ".mx-icon"))
    assert number is not None
    assert bell is not None
    assert number["width"] <= bell["width"]


def test_sticky_alert_style_hides_close_button_of_sticky_alerts_only(
    db: None, browser: Browser, rf: RequestFactory
) -> None:
    """The rule is that of django-messages-extends' README."""
    shown = [OrdinaryMessage(INFO_STICKY, "sticky"), OrdinaryMessage(INFO, "ordinary")]
    html = render_to_string("messages_extends/includes/alerts_bootstrap.html", {"messages": shown}, rf.get("/"))
    page = browser.new_page()
    page.set_content(f"<style>.alert.sticky .close {{ display: none }}</style>{html}")
    for text, is_visible in (("sticky", False), ("ordinary", True)):
        assert page.locator(".alert", has_text=text).locator("button").is_visible() is is_visible
    page.close()


def test_host_css_layer_after_package_layer_overrides_properties(browser: Browser) -> None:
    ours = (Path(messages_extends.__path__[0]) / "static" / "messages_extends" / "messages.css").read_text()
    order, own = "@layer messages-extends, app;", "@layer app { :root { --mx-radius: 7px } }"
    page = browser.new_page()
    for styles, radius in (((order, own, ours), "7px"), ((own, ours), "8px")):
        page.set_content("".join(f"<style>{each}</style>" for each in styles) + "<button class=mx-button>Go</button>")
        assert page.locator("button").evaluate("each => getComputedStyle(each).borderTopLeftRadius") == radius
    page.close()
