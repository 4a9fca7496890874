"""What we offer to the tests of host projects."""

import unittest
from typing import Any

import pytest
from django.contrib.messages.storage.base import Message as OrdinaryMessage
from django.contrib.messages.test import MessagesTestMixin
from django_tenants.utils import schema_context

from messages_extends.api import EVERYONE, announce, send
from messages_extends.constants import ERROR, INFO, INFO_PERSISTENT, WARNING_PERSISTENT
from messages_extends.exceptions import WrongTenant
from messages_extends.tenancy.schemas import in_schema
from messages_extends.testing import assert_nothing_sent, assert_sent_to, sent_to
from tenants.models import Tenant
from tests.factories import BrowserOf, MakeUser

pytestmark = pytest.mark.usefixtures("in_acme")

pytest_plugins = ["messages_extends.pytest_plugin"]


def test_assert_sent_to_returns_matching_message(alice: Any) -> None:
    send(alice, "Hello %(name)s", params={"name": "you"})
    (message,) = assert_sent_to(alice, "Hello you", level=INFO, kind="message", count=1)
    assert message.params == {"name": "you"}


def test_assert_sent_to_includes_announcements(alice: Any) -> None:
    announce("for everyone", to=EVERYONE)
    assert [entry.kind for entry in assert_sent_to(alice, "for everyone")] == ["announcement"]


def test_sent_to_returns_all_messages_in_order_sent(alice: Any) -> None:
    for number in range(120):
        send(alice, str(number))
    assert [str(entry) for entry in sent_to(alice)] == [str(number) for number in range(120)]


@pytest.mark.parametrize(
    "conditions",
    [{"text": "Hallo"}, {"level": ERROR}, {"kind": "broadcast"}, {"count": 2}, {"text": "Hello", "count": 0}],
)
def test_assert_sent_to_failure_lists_sent_messages(alice: Any, conditions: Any) -> None:
    send(alice, "Hello", level=WARNING_PERSISTENT)
    with pytest.raises(AssertionError, match="found 'Hello'"):
        assert_sent_to(alice, **conditions)


def test_assert_nothing_sent_fails_after_message(alice: Any, make_user: MakeUser) -> None:
    bob = make_user("bob")
    assert_nothing_sent()
    send(alice, "Hello")
    assert_nothing_sent(bob)
    for whom in (alice, None):
        with pytest.raises(AssertionError, match="Hello"):
            assert_nothing_sent(whom)


def test_assert_nothing_sent_fails_after_announcement(alice: Any) -> None:
    announce("for everyone", to=EVERYONE)
    with pytest.raises(AssertionError, match="for everyone"):
        assert_nothing_sent()


def test_assert_nothing_sent_refuses_user_of_other_tenant(alice: Any, globex: Tenant) -> None:
    with in_schema("globex"), pytest.raises(WrongTenant):
        assert_nothing_sent(alice)


def test_sent_messages_fixture_provides_assertions(sent_messages: Any, alice: Any) -> None:
    send(alice, "Hello")
    sent_messages.assert_sent_to(alice, "Hello")


class Assertions(MessagesTestMixin, unittest.TestCase):
    """Django's own assertions about messages."""


@pytest.mark.parametrize("ordered", [True, False])
def test_django_assert_messages_accepts_persistent_messages(
    alice: Any, acme: Tenant, browser_of: BrowserOf, ordered: bool
) -> None:
    send(alice, "Hello %(name)s", params={"name": "you"})
    announce("to everyone", to=EVERYONE, level=WARNING_PERSISTENT)
    response = browser_of(acme, alice).get("/")
    with schema_context("acme"):
        expected = [OrdinaryMessage(WARNING_PERSISTENT, "to everyone"), OrdinaryMessage(INFO_PERSISTENT, "Hello you")]
        Assertions().assertMessages(response, expected, ordered=ordered)
        for other in (OrdinaryMessage(INFO_PERSISTENT, "to everyone"), OrdinaryMessage(WARNING_PERSISTENT, "other")):
            with pytest.raises(AssertionError):
                Assertions().assertMessages(response, [other, expected[1]], ordered=ordered)


def test_sent_items_are_equal_only_by_primary_key(alice: Any) -> None:
    send(alice, "one")
    send(alice, "one")
    announce("one", to=EVERYONE)
    entries = sent_to(alice)
    assert entries == sent_to(alice)
    assert len({entry.pk for entry in entries}) == 3
    assert all(one != other for one in entries for other in entries if one.pk != other.pk)
    assert all(entry != "one" for entry in entries)


def test_assert_sent_to_failure_names_level(alice: Any) -> None:
    with pytest.raises(AssertionError, match=r"with level ERROR \(40\) for .*, found none"):
        assert_sent_to(alice, level=ERROR)
