"""Our pages in a host that has no style sheet of its own."""

from collections.abc import Callable
from typing import Any

from django_tenants.utils import schema_context

from messages_extends.api import send
from tests.browser.conftest import Visitor


def test_the_number_leaves_the_bell_to_be_seen(acme: Any, make_user: Any, visit: Callable[..., Visitor]) -> None:
    with schema_context("acme"):
        alice = make_user("alice")
        send(alice, "Hello")
    page = visit(acme, alice).go("/")
    page.evaluate("document.querySelector('link[href*=\"site.css\"]').remove()")
    number, bell = (page.locator(f".mx-bell {name}").bounding_box() for name in (".mx-count", ".mx-icon"))
    assert number is not None
    assert bell is not None
    assert number["width"] <= bell["width"]
