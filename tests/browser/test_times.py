"""The relative times of the inbox."""

from collections.abc import Callable
from typing import Any

from django_tenants.utils import schema_context
from playwright.sync_api import expect

from messages_extends.api import send
from tenants.models import Tenant
from tests.browser.conftest import Visitor


def test_time_of_entry_is_said_anew_while_page_is_open(acme: Tenant, alice: Any, visit: Callable[..., Visitor]) -> None:
    with schema_context("acme"):
        send(alice, "first")
    visitor = visit(acme, alice)
    visitor.page.clock.install()
    page = visitor.go("/messages/")
    time = page.locator("[data-mx-list] time")
    expect(time).to_have_text("just now")
    page.clock.fast_forward("02:03:10")
    expect(time).to_have_text("2 hours ago")
    time.click()
    expect(page.locator("[data-mx-list] .mx-time > span")).to_be_visible()
