"""Title, label of the link, display and times, from the forms to what is stored."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client

from messages_extends.constants import INFO_PERSISTENT
from messages_extends.models import Announcement, Message
from tenants.models import Tenant
from tests.factories import BrowserOf, MakeUser

FIELDS = {
    "title": "Office",
    "message": "It is closed.",
    "level": str(INFO_PERSISTENT),
    "url": "/plan/",
    "url_label": "See the plan",
    "display": "inbox",
    "publish_at": "2040-05-06T07:08",
}
NUMBER = "11111111-1111-4111-8111-111111111111"


@pytest.fixture
def bob(in_acme: Tenant, make_user: MakeUser) -> Any:
    return make_user("bob")


@pytest.fixture
def browser(in_acme: Tenant, alice: Any, bob: Any, browser_of: BrowserOf) -> Client:
    alice.is_superuser = True
    alice.save()
    return browser_of(in_acme, alice)


def test_compose_form_stores_all_that_was_entered(browser: Client, bob: Any) -> None:
    fields = {**FIELDS, "people": [bob.pk]}
    page = browser.post("/messages/compose/", {**fields, "step": "look"}).content.decode()
    for words in ("Office", "See the plan", "It is shown in the bell and the inbox only.", "Shown from"):
        assert words in page
    browser.post("/messages/compose/", {**fields, "step": "send", "number": NUMBER})
    (message,) = Message.objects.all()
    assert (message.title, message.url_label, message.display) == ("Office", "See the plan", "inbox")
    assert message.publish_at == datetime(2040, 5, 6, 7, 8, tzinfo=UTC)


def test_announcement_form_stores_all_that_was_entered(browser: Client) -> None:
    fields = {**FIELDS, "to": "everybody", "step": "publish", "number": NUMBER}
    assert browser.post("/messages/announcements/new/", fields).status_code == 302
    (announcement,) = Announcement.objects.all()
    assert (announcement.title, announcement.url_label, announcement.display) == ("Office", "See the plan", "inbox")
    page = browser.get(f"/messages/announcements/{announcement.pk}/edit/").content.decode()
    assert 'value="Office"' in page
    assert '<details class="mx-section" open>' in page


@pytest.mark.parametrize(("name", "value"), [("title", "x" * 201), ("url_label", "x" * 101), ("display", "email")])
def test_compose_form_refuses_invalid_option(browser: Client, bob: Any, name: str, value: str) -> None:
    answer = browser.post("/messages/compose/", {**FIELDS, name: value, "people": [bob.pk], "step": "look"})
    assert answer.status_code == 400
    assert 'class="errorlist"' in answer.content.decode()
