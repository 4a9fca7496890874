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


def test_what_was_sent_is_found_and_returned(alice: Any) -> None:
    send(alice, "Hello %(name)s", params={"name": "you"})
    (message,) = assert_sent_to(alice, "Hello you", level=INFO, kind="message", count=1)
    assert message.params == {"name": "you"}


def test_publications_are_sent_to_their_readers_too(alice: Any) -> None:
    announce("for everyone", to=EVERYONE)
    assert [entry.kind for entry in assert_sent_to(alice, "for everyone")] == ["announcement"]


def test_it_is_all_in_the_order_in_which_it_was_sent(alice: Any) -> None:
    for number in range(120):
        send(alice, str(number))
    assert [str(entry) for entry in sent_to(alice)] == [str(number) for number in range(120)]


@pytest.mark.parametrize(
    "conditions",
    [{"text": "Hallo"}, {"level": ERROR}, {"kind": "broadcast"}, {"count": 2}, {"text": "Hello", "count": 0}],
)
def test_what_was_not_sent_is_an_error_that_says_what_was(alice: Any, conditions: Any) -> None:
    send(alice, "Hello", level=WARNING_PERSISTENT)
    with pytest.raises(AssertionError, match="found 'Hello'"):
        assert_sent_to(alice, **conditions)


def test_nothing_sent_is_an_error_as_soon_as_something_was(alice: Any, make_user: MakeUser) -> None:
    bob = make_user("bob")
    assert_nothing_sent()
    send(alice, "Hello")
    assert_nothing_sent(bob)
    for whom in (alice, None):
        with pytest.raises(AssertionError, match="Hello"):
            assert_nothing_sent(whom)


def test_an_announcement_is_not_nothing(alice: Any) -> None:
    announce("for everyone", to=EVERYONE)
    with pytest.raises(AssertionError, match="for everyone"):
        assert_nothing_sent()


def test_a_user_of_another_organisation_is_refused(alice: Any, globex: Tenant) -> None:
    with in_schema("globex"), pytest.raises(WrongTenant):
        assert_nothing_sent(alice)


def test_the_fixture_has_them_all(sent_messages: Any, alice: Any) -> None:
    send(alice, "Hello")
    sent_messages.assert_sent_to(alice, "Hello")


class Assertions(MessagesTestMixin, unittest.TestCase):
    """Django's own assertions about messages."""


@pytest.mark.parametrize("ordered", [True, False])
def test_djangos_own_assertion_knows_what_is_saved(
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


def test_what_is_saved_is_equal_to_itself_alone(alice: Any) -> None:
    send(alice, "one")
    send(alice, "one")
    announce("one", to=EVERYONE)
    entries = sent_to(alice)
    assert entries == sent_to(alice)
    assert len({entry.pk for entry in entries}) == 3
    assert all(one != other for one in entries for other in entries if one.pk != other.pk)
    assert all(entry != "one" for entry in entries)


def test_a_level_that_is_missing_is_named(alice: Any) -> None:
    with pytest.raises(AssertionError, match=r"with level ERROR \(40\) for .*, found none"):
        assert_sent_to(alice, level=ERROR)
