"""Searching an inbox: words that begin like those entered, in titles, texts and parameters; input is only data."""

from typing import Any

import hypothesis.strategies as st
import pytest
from django_tenants.utils import schema_context
from hypothesis import HealthCheck, given, settings

from messages_extends.api import EVERYONE, announce, broadcast, inbox, send
from messages_extends.constants import ALL_TENANTS
from messages_extends.queries import compiled
from tests.conftest import count_our_queries

pytestmark = pytest.mark.usefixtures("in_acme")


def found(user: Any, search: str, **chosen: Any) -> list[str]:
    return [entry.body for entry in inbox(user).page(search=search, **chosen).entries]


@pytest.mark.parametrize(
    ("text", "search"),
    [
        ("Invoice 5 is due", "invoice"),
        ("Invoice 5 is due", "INV"),
        ("Invoice 5 is due", "due inv"),
        ("Invoice 5 is due", " 5 "),
        ("Grüße aus Köln", "grü kö"),
        ("Grüße aus Köln", "KÖLN"),
        ("Élan", "él"),
        ("100% sure", "100%"),
        ("a_b", "a_b"),
        (r"C:\temp", r"c:\t"),
        ("see (this)", "(this)"),
        ("see (this)", "thi"),
        ("see (this", "(th"),
        ("fixes #12", "#12"),
        ("発注書 を確認", "発注"),
        ("line one\nline two", "two"),
    ],
)
def test_search_finds_words_that_begin_like_it(alice: Any, text: str, search: str) -> None:
    send(alice, text)
    send(alice, "Something else")
    assert found(alice, search) == [text]


@pytest.mark.parametrize(
    ("text", "search"),
    [
        ("Invoice", "voice"),
        ("Invoice 5", "invoice 6"),
        ("100 sure", "100%"),
        ("axb", "a_b"),
        ("Renée", "ée"),
        ("Invoice", "inv.*"),
        ("Invoice", "[i]"),
        ("Invoice", "invoice | nothing"),
        ("xa.b ayb", "a.b"),
        ("invoice twenty-five", "invoice wenty"),
    ],
)
def test_search_leaves_out_what_does_not_begin_like_it(alice: Any, text: str, search: str) -> None:
    send(alice, text)
    assert found(alice, search) == []


@pytest.mark.parametrize("search", ["", "  ", "\0", "\ud800"])
def test_search_without_words_shows_everything(alice: Any, search: str) -> None:
    send(alice, "Hello")
    assert found(alice, search) == ["Hello"]


def test_search_looks_at_title_parameters_and_publications(alice: Any) -> None:
    send(alice, "by title", title="Quarter report")
    send(alice, "by %(what)s", params={"what": "quarter"})
    announce("quarter announced", to=EVERYONE)
    with schema_context("public"):
        broadcast("quarter broadcast", to=ALL_TENANTS)
    send(alice, "no")
    assert found(alice, "quart") == ["quarter broadcast", "quarter announced", "by quarter", "by title"]


def test_search_finds_only_own_messages(alice: Any, bob: Any) -> None:
    send(bob, "secret")
    assert found(alice, "secret", view="all") == []


def test_search_narrows_views_pages_and_selections(alice: Any) -> None:
    for number in range(5):
        send(alice, f"alpha {number}")
        send(alice, f"beta {number}")
    page = inbox(alice).page(search="alpha", size=3)
    assert [entry.body for entry in page.entries] == ["alpha 4", "alpha 3", "alpha 2"]
    assert [entry.body for entry in inbox(alice).page(page.next, search="alpha").entries] == ["alpha 1", "alpha 0"]
    snapshot = inbox(alice).snapshot(unread=False, search="alpha")
    assert len(snapshot) == 5
    assert inbox(alice).select_all(snapshot, search="alpha").archive().count == 5
    assert found(alice, "alpha") == []
    assert len(found(alice, "alpha", view="archived")) == 5


def test_search_uses_one_query_that_is_compiled_once(alice: Any) -> None:
    send(alice, "Hello")
    with count_our_queries() as queries:
        assert found(alice, "hel") == ["Hello"]
    misses = compiled._compiled_for_everybody.cache_info().misses
    assert found(alice, "some other words") == []
    assert compiled._compiled_for_everybody.cache_info().misses == misses
    assert len(queries) == 1


@settings(max_examples=150, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(min_size=1, max_size=40), noise=st.text(max_size=40))
def test_search_accepts_every_text_and_finds_a_message_by_its_words(alice: Any, text: str, noise: str) -> None:
    found(alice, noise)
    words = [word for word in text.split() if word.isalnum() and word.isascii()]
    if words:
        send(alice, " ".join(words))
        assert " ".join(words) in found(alice, words[-1], size=1000)


def test_inbox_search_looks_in_all_views(alice: Any) -> None:
    for text in ("Invoice 1", "Invoice 2", "Else"):
        send(alice, text)
    [archived] = inbox(alice).page(search="1").entries
    inbox(alice).archive(archived.pk)
    first = inbox(alice).search("inv", size=1)
    assert [entry.body for entry in first.entries] == ["Invoice 2"]
    assert [entry.body for entry in inbox(alice).search("inv", first.next).entries] == ["Invoice 1"]
    assert [entry.body for entry in inbox(alice).search("inv", view="archived").entries] == ["Invoice 1"]


@pytest.mark.parametrize("words", ["", " \n"])
def test_inbox_search_refuses_no_words(alice: Any, words: str) -> None:
    with pytest.raises(ValueError, match="words is empty"):
        inbox(alice).search(words)


def test_selection_and_mark_all_read_change_only_what_the_search_finds(alice: Any) -> None:
    for text in ("alpha", "beta"):
        send(alice, text)
        announce(f"{text} announced", to=EVERYONE)
    assert inbox(alice).mark_all_read(search="alpha").count == 2
    assert [entry.body for entry in inbox(alice).page(unread=True).entries] == ["beta announced", "beta"]
    assert inbox(alice).select_all(search="beta").archive().count == 2
    assert [entry.body for entry in inbox(alice).page().entries] == ["alpha announced", "alpha"]
