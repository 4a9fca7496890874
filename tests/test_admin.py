"""The admin's list of messages."""

from typing import Any

import pytest
from django.test import Client

from messages_extends.models import Message
from tests.conftest import count_our_queries


@pytest.fixture
def browser(in_acme: Any, make_user: Any, browser_of: Any) -> Client:
    return browser_of(in_acme, make_user("root", is_staff=True, is_superuser=True))


def test_the_list_costs_the_same_for_one_message_and_for_many(
    browser: Client, make_user: Any, make_message: Any
) -> None:
    counts = []
    for names in (["a"], ["b", "c", "d", "e"]):
        for name in names:
            make_message(make_user(name), sender=make_user(f"{name}-sender"))
        with count_our_queries() as queries:
            assert browser.get("/admin/messages_extends/message/").status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_a_message_can_be_looked_at_but_not_written(browser: Client, make_user: Any, make_message: Any) -> None:
    message = make_message(make_user("a"), "<b>Hello</b>")
    page = browser.get(f"/admin/messages_extends/message/{message.pk}/change/")
    assert b"&lt;b&gt;Hello" in page.content
    assert b"<textarea" not in page.content
    assert browser.get("/admin/messages_extends/message/add/").status_code == 403


def test_actions_mark_messages_read_and_unread(browser: Client, make_user: Any, make_message: Any) -> None:
    messages = [make_message(make_user(name)) for name in "ab"]
    for action, read in (("mark_read", True), ("mark_unread", False)):
        data = {"action": action, "_selected_action": [message.pk for message in messages]}
        assert browser.post("/admin/messages_extends/message/", data).status_code == 302
        assert set(Message.objects.values_list("read", flat=True)) == {read}
