"""Archiving, snoozing and saving in the inbox, with scripts and without, by keyboard and on a phone."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django_tenants.utils import schema_context
from playwright.sync_api import Page, expect

from messages_extends.api import EVERYONE, announce, inbox, send
from messages_extends.models import Message
from tenants.models import Tenant
from tests.browser.conftest import Visitor
from tests.processes import eventually

PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}


@pytest.fixture
def at_acme(acme: Tenant, alice: Any, visit: Callable[..., Visitor]) -> Visitor:
    return visit(acme, alice)


@pytest.fixture
def without_scripts(acme: Tenant, alice: Any, visit: Callable[..., Visitor]) -> Visitor:
    return visit(acme, alice, java_script_enabled=False)


def tell(user: Any, *texts: str, **options: Any) -> None:
    with schema_context("acme"):
        for text in texts:
            send(user, text, **options)


def texts_in(user: Any, view: Any = "inbox") -> list[str]:
    with schema_context("acme"):
        return [str(entry) for entry in inbox(user).page(view=view).entries]


def entries(page: Page) -> Any:
    return page.locator("[data-mx-list] [data-mx-entry]").filter(visible=True)


def focused_text(page: Page) -> str:
    return str(page.evaluate("document.activeElement.querySelector('.mx-text')?.textContent ?? ''"))


class TestOneEntry:
    @pytest.mark.parametrize(
        ("button", "view", "tab"), [("Done", "archived", "Done"), ("Save", "saved", "Saved")], ids=["done", "save"]
    )
    def test_button_moves_entry_to_view_and_undo_restores_it(
        self, at_acme: Visitor, alice: Any, button: str, view: str, tab: str
    ) -> None:
        tell(alice, "first", "second")
        page = at_acme.go("/messages/")
        page.get_by_role("button", name=f"{button}: first").click()
        expect(page.get_by_role("button", name="Undo")).to_be_visible()
        assert texts_in(alice, view) == ["first"]
        page.get_by_role("link", name=tab, exact=True).click()
        expect(entries(page)).to_have_count(1)
        page.go_back()
        page.get_by_role("button", name="Undo").click()
        expect(page.get_by_role("button", name="Undo")).to_have_count(0)
        expect(entries(page)).to_have_count(2)
        assert texts_in(alice, view) == []

    def test_snooze_asks_for_a_time_in_a_dialog(self, at_acme: Visitor, alice: Any) -> None:
        tell(alice, "first", "second")
        page = at_acme.go("/messages/")
        page.get_by_role("button", name="Snooze: first").click()
        dialog = page.get_by_role("dialog", name="Snooze until")
        dialog.get_by_role("button", name="Tomorrow").click()
        expect(entries(page)).to_have_count(1)
        expect(dialog).to_be_hidden()
        expect(page.get_by_role("button", name="Undo")).to_be_visible()
        page.get_by_role("link", name="Snoozed", exact=True).click()
        expect(page.get_by_text("Snoozed until")).to_be_visible()
        page.get_by_role("button", name="End the snooze: first").click()
        expect(entries(page)).to_have_count(0)
        assert eventually(lambda: sorted(texts_in(alice)) == ["first", "second"])

    def test_changes_that_are_still_to_be_sent_outlive_the_page(self, at_acme: Visitor, alice: Any) -> None:
        tell(alice, "first", "second", "third", "fourth")
        page = at_acme.go("/messages/")
        page.evaluate("""() => {
            document.querySelectorAll("[data-mx-list] [name=archive]").forEach((button) => button.click());
            location.assign("/");
        }""")
        page.wait_for_url("**.localhost:*/")
        assert eventually(lambda: len(texts_in(alice, "archived")) == 4)

    def test_snooze_takes_an_own_time(self, at_acme: Visitor, alice: Any) -> None:
        tell(alice, "first")
        page = at_acme.go("/messages/")
        page.get_by_role("button", name="Snooze: first").click()
        dialog = page.get_by_role("dialog", name="Snooze until")
        dialog.get_by_label("Date and time").fill("2040-05-06T07:08")
        dialog.get_by_role("button", name="Snooze").click()
        expect(page.get_by_text("Your inbox is empty")).to_be_visible()
        with schema_context("acme"):
            (message,) = Message.objects.all()
        assert message.snoozed_until == datetime(2040, 5, 6, 7, 8, tzinfo=UTC)

    def test_entry_to_be_acknowledged_has_no_button_to_archive_or_snooze(self, at_acme: Visitor, alice: Any) -> None:
        with schema_context("acme"):
            announce("the rules", to=EVERYONE, must_acknowledge=True)
        page = at_acme.go("/messages/")
        expect(page.get_by_role("button", name="Acknowledge: the rules")).to_be_visible()
        expect(page.locator("[data-mx-list] :is([name=archive], [name=snooze], [type=checkbox])")).to_have_count(0)
        page.get_by_role("button", name="Acknowledge: the rules").click()
        page.get_by_role("button", name="Done: the rules").click()
        expect(page.get_by_text("Your inbox is empty")).to_be_visible()

    def test_entry_comes_back_when_server_refuses(self, at_acme: Visitor, alice: Any) -> None:
        tell(alice, "first")
        page = at_acme.go("/messages/")
        page.route("**/triage/", lambda route: route.abort())
        page.get_by_role("button", name="Done: first").click()
        expect(page.get_by_text("That did not work").first).to_be_visible()
        expect(entries(page)).to_have_count(1)
        at_acme.problems.clear()


class TestSelection:
    def test_selected_entries_are_archived_together(self, at_acme: Visitor, alice: Any) -> None:
        tell(alice, "first", "second", "third")
        page = at_acme.go("/messages/")
        expect(page.locator(".mx-bulk")).to_be_hidden()
        page.get_by_role("checkbox", name="Select: first").check()
        page.get_by_role("checkbox", name="Select: third").check()
        expect(page.get_by_text("2 selected")).to_be_visible()
        page.locator(".mx-bulk").get_by_role("button", name="Done").click()
        expect(entries(page)).to_have_count(1)
        expect(page.get_by_text("2 messages are done.").first).to_be_visible()
        assert eventually(lambda: texts_in(alice) == ["second"])

    def test_all_on_page_are_selected_by_one_box(self, at_acme: Visitor, alice: Any) -> None:
        tell(alice, "first", "second", "third")
        page = at_acme.go("/messages/")
        page.get_by_role("checkbox", name="Select: first").check()
        page.get_by_role("checkbox", name="Select all on this page").check()
        page.locator(".mx-bulk").get_by_role("button", name="Snooze").click()
        page.get_by_role("dialog").get_by_role("button", name="Next week").click()
        expect(page.get_by_text("Your inbox is empty")).to_be_visible()
        assert len(texts_in(alice, "snoozed")) == 3


class TestAllOfFilter:
    @pytest.mark.parametrize("scripts", [True, False], ids=["with-scripts", "without"])
    def test_page_asks_before_all_are_archived(
        self, acme: Tenant, alice: Any, visit: Callable[..., Visitor], scripts: bool
    ) -> None:
        tell(alice, *(f"message {number}" for number in range(25)))
        page = visit(acme, alice, java_script_enabled=scripts).go("/messages/")
        page.locator("summary", has_text="Actions for all").click()
        page.locator(".mx-popup").get_by_role("button", name="Done").click()
        expect(page.get_by_role("heading", name="Mark as done")).to_be_visible()
        expect(page.get_by_text("25 messages")).to_be_visible()
        tell(alice, "later")
        page.get_by_role("button", name="Mark as done").click()
        expect(page.get_by_text("25 messages are done.").first).to_be_visible()
        assert eventually(lambda: texts_in(alice) == ["later"])
        page.get_by_role("button", name="Undo").click()
        expect(page.get_by_role("button", name="Undo")).to_have_count(0)
        assert eventually(lambda: len(texts_in(alice)) == 20)


class TestWithoutScripts:
    def test_buttons_and_undo_work(self, without_scripts: Visitor, alice: Any) -> None:
        tell(alice, "first", "second")
        page = without_scripts.go("/messages/")
        page.get_by_role("button", name="Done: first").click()
        expect(page.get_by_text("1 message is done.")).to_be_visible()
        assert eventually(lambda: texts_in(alice) == ["second"])
        page.get_by_role("button", name="Undo").click()
        assert eventually(lambda: sorted(texts_in(alice)) == ["first", "second"])

    def test_snooze_asks_for_a_time_on_a_page(self, without_scripts: Visitor, alice: Any) -> None:
        tell(alice, "first", "second")
        page = without_scripts.go("/messages/?kind=message")
        page.get_by_role("checkbox", name="Select: first").check()
        page.get_by_role("checkbox", name="Select: second").check()
        page.locator(".mx-bulk").get_by_role("button", name="Snooze").click()
        expect(page.get_by_role("heading", name="Snooze")).to_be_visible()
        expect(page.get_by_text("2 messages")).to_be_visible()
        page.get_by_role("button", name="In an hour").click()
        expect(page.get_by_text("2 messages were snoozed.")).to_be_visible()
        expect(page).to_have_url(re.compile("kind=message"))
        assert len(texts_in(alice, "snoozed")) == 2

    def test_own_time_in_the_past_is_refused_with_a_reason(self, without_scripts: Visitor, alice: Any) -> None:
        tell(alice, "first")
        page = without_scripts.go("/messages/")
        page.get_by_role("button", name="Snooze: first").click()
        page.get_by_label("Date and time").fill("2020-05-06T07:08")
        page.locator(".mx-field").get_by_role("button", name="Snooze").click()
        expect(page.get_by_text("Enter a time in the future.").first).to_be_visible()
        assert eventually(lambda: texts_in(alice) == ["first"])
        without_scripts.problems.clear()


class TestKeyboard:
    def test_keys_archive_snooze_save_and_undo_the_current_entry(self, at_acme: Visitor, alice: Any) -> None:
        tell(alice, "fourth", "third", "second", "first")
        page = at_acme.go("/messages/")
        page.keyboard.press("j")
        page.keyboard.press("e")
        assert eventually(lambda: texts_in(alice, "archived") == ["first"])
        page.keyboard.press("s")
        assert eventually(lambda: texts_in(alice, "saved") == ["second"])
        page.keyboard.press("h")
        expect(page.get_by_role("dialog", name="Snooze until")).to_be_visible()
        page.keyboard.press("Enter")
        assert eventually(lambda: texts_in(alice, "snoozed") == ["second"])
        expect(entries(page)).to_have_count(2)
        page.keyboard.press("z")
        assert eventually(lambda: texts_in(alice, "snoozed") == [])

    def test_key_archives_one_after_the_other_without_waiting(self, at_acme: Visitor, alice: Any) -> None:
        tell(alice, *(f"message {number}" for number in range(30)))
        page = at_acme.go("/messages/")
        page.keyboard.press("j")
        for _number in range(12):
            page.keyboard.press("e")
        assert eventually(lambda: len(texts_in(alice, "archived")) == 12)
        expect(entries(page)).to_have_count(18)
        assert focused_text(page) == "message 17"

    def test_keys_apply_to_selected_entries(self, at_acme: Visitor, alice: Any) -> None:
        tell(alice, "third", "second", "first")
        page = at_acme.go("/messages/")
        for key in ("j", "x", "j", "x", "e"):
            page.keyboard.press(key)
        expect(entries(page)).to_have_count(1)
        assert eventually(lambda: sorted(texts_in(alice, "archived")) == ["first", "second"])

    def test_slash_focuses_the_search(self, at_acme: Visitor, alice: Any) -> None:
        tell(alice, "the invoice", "the offer")
        page = at_acme.go("/messages/")
        page.keyboard.press("/")
        page.keyboard.type("invo")
        page.keyboard.press("Enter")
        expect(entries(page)).to_have_count(1)
        expect(entries(page)).to_contain_text("the invoice")

    def test_keys_do_nothing_when_switched_off(self, at_acme: Visitor, alice: Any) -> None:
        tell(alice, "first")
        page = at_acme.go("/messages/")
        page.get_by_role("button", name="Keyboard shortcuts").click()
        page.get_by_role("checkbox", name="Use these shortcuts").uncheck()
        page.get_by_role("dialog").get_by_role("button", name="Close").click()
        page.locator("[data-mx-entry]").focus()
        for key in ("e", "s", "x", "h"):
            page.keyboard.press(key)
        page.wait_for_timeout(300)
        assert (texts_in(alice), texts_in(alice, "saved")) == (["first"], [])
        expect(page.get_by_role("dialog")).to_have_count(0)


class TestPhone:
    def test_buttons_are_there_without_hover(self, acme: Tenant, alice: Any, visit: Callable[..., Visitor]) -> None:
        tell(alice, "first")
        page = visit(acme, alice, **PHONE).go("/messages/")
        button = page.get_by_role("button", name="Done: first")
        assert button.evaluate("button => getComputedStyle(button).opacity") == "1"
        box = button.bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= 24
        button.tap()
        expect(page.get_by_text("Your inbox is empty")).to_be_visible()


class TestGroups:
    @pytest.mark.parametrize("scripts", [True, False], ids=["with-scripts", "without"])
    def test_entries_of_group_fold_into_one_line_that_opens(
        self, acme: Tenant, alice: Any, visit: Callable[..., Visitor], scripts: bool
    ) -> None:
        tell(alice, "one", "two", "three", group="comments on invoice 5")
        tell(alice, "alone", group="comments on invoice 6")
        page = visit(acme, alice, java_script_enabled=scripts).go("/messages/")
        expect(entries(page)).to_have_count(2)
        page.get_by_text("3 comments on invoice 5").click()
        expect(entries(page)).to_have_count(5)
        page.get_by_role("button", name="Done: two").click()
        expect(page.get_by_text("2 comments on invoice 5")).to_be_visible()
        expect(entries(page)).to_have_count(4 if scripts else 2)
        page.get_by_role("button", name="Done: 2 comments on invoice 5").click()
        expect(entries(page)).to_have_count(1)
        assert eventually(lambda: texts_in(alice) == ["alone"])


class TestLive:
    def test_snoozed_entry_comes_back_to_open_page(self, at_acme: Visitor, alice: Any) -> None:
        tell(alice, "first")
        with schema_context("acme"):
            (message,) = inbox(alice).page().entries
            inbox(alice).snooze(message.pk, until=datetime.now(UTC) + timedelta(seconds=4))
        page = at_acme.go("/messages/")
        expect(page.get_by_text("Your inbox is empty")).to_be_visible()
        expect(entries(page)).to_have_count(1)


@pytest.mark.parametrize("path", ["/messages/?view=saved", "/messages/?view=snoozed", "/messages/?view=archived"])
def test_every_view_is_accessible_in_light_and_dark(at_acme: Visitor, alice: Any, path: str) -> None:
    tell(alice, "first", url="https://example.com/", title="A title")
    tell(alice, "two", "three", group="comments")
    with schema_context("acme"):
        keys = [entry.pk for entry in inbox(alice).page().entries]
        inbox(alice).save(*keys)
        inbox(alice).archive(keys[0])
        inbox(alice).snooze(keys[1], until=datetime.now(UTC) + timedelta(days=1))
    page = at_acme.go(path)
    at_acme.require_accessible()
    page.locator("[data-mx-list] [type=checkbox]").first.check()
    page.locator("summary", has_text="Filter").click()
    at_acme.require_accessible()
    page.keyboard.press("Escape")
    page.goto(f"{at_acme.origin}/messages/")
    page.get_by_role("button", name="Snooze:").first.click()
    at_acme.require_accessible()
