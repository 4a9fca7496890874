"""One message, read in two languages."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from django_tenants.utils import schema_context
from playwright.sync_api import Page, expect

from config.management.commands.seed_demo import PAYMENT_FAILED
from messages_extends.api import EVERYONE, announce
from messages_extends.models import Announcement
from tenants.models import Tenant
from tests.browser.conftest import Visitor
from tests.factories import MakeUser


def limit_hint(page: Page) -> Any:
    return page.locator("[data-mx-left]")


def test_announcement_is_shown_in_language_of_each_reader(
    acme: Tenant, make_user: MakeUser, visit: Callable[..., Visitor]
) -> None:
    with schema_context("acme"):
        anna, ben = make_user("anna", is_superuser=True), make_user("ben", is_superuser=True)
        announce(PAYMENT_FAILED, params={"order": 1842}, to=EVERYONE)
        Announcement.objects.update(publish_at=datetime(2026, 5, 3, 14, 5, tzinfo=UTC))
    german, english = visit(acme, anna, locale="de-DE"), visit(acme, ben, locale="en-GB")

    page = german.go("/messages/")
    expect(page.locator("html")).to_have_attribute("lang", "de")
    expect(page.get_by_role("heading", name="Posteingang")).to_be_visible()
    expect(page.get_by_text("Die Zahlung für die Bestellung 1842 ist fehlgeschlagen").first).to_be_visible()
    page.locator(".mx-time summary").first.click()
    expect(page.get_by_text("3. Mai 2026 14:05").first).to_be_visible()
    german.require_accessible()

    page = english.go("/messages/")
    expect(page.get_by_text("The payment for order 1842 has failed").first).to_be_visible()
    page.locator(".mx-time summary").first.click()
    expect(page.get_by_text("May 3, 2026, 2:05 p.m.").first).to_be_visible()

    for visitor, left in ((german, "noch 9.995 Zeichen"), (english, "9,995 characters left")):
        page = visitor.go("/messages/compose/")
        page.locator("[data-mx-limit]").fill("Hallo")
        expect(limit_hint(page)).to_have_text(left)
