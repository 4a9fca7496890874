"""Queries that are compiled once: they say for every reader what the ORM would have said."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import models
from django.db.models import QuerySet, Value
from django.utils import timezone
from django_tenants.utils import schema_context

from messages_extends.inbox import feed
from messages_extends.inbox.filters import InboxFilter
from messages_extends.inbox.items import as_feed_item
from messages_extends.models import Message
from messages_extends.queries import compiled
from messages_extends.queries.compiled import Reader
from tenants.models import Tenant
from tests.factories import MakeMessage, MakeUser


@pytest.fixture(autouse=True)
def _forget_templates() -> None:
    compiled._template.cache_clear()


def require_reader(user: Any, schema: str = "acme") -> Reader:
    return Reader(user, timezone.now(), schema)


def by_the_orm(build: Any, reader: Reader, *shape: Any) -> list[Any]:
    return list(build(reader, *shape))


def texts(reader: Reader) -> set[str]:
    rows = compiled.rows(feed.page, reader, 20, InboxFilter(), None)
    return {str(as_feed_item(row, reader.user)) for row in rows}


def test_the_statement_is_compiled_once_for_all_readers(
    in_acme: Tenant, make_user: MakeUser, make_message: MakeMessage
) -> None:
    alice, bob = make_user("alice"), make_user("bob")
    make_message(alice, "for Alice"), make_message(bob, "for Bob")
    assert [texts(require_reader(alice)), texts(require_reader(bob))] == [{"for Alice"}, {"for Bob"}]
    assert compiled._template.cache_info().misses == 1


def test_the_same_statement_serves_every_schema(
    acme: Tenant, globex: Tenant, make_user: MakeUser, make_message: MakeMessage
) -> None:
    for schema in ("acme", "globex"):
        with schema_context(schema):
            user = make_user()
            make_message(user, f"of {schema}")
            assert texts(require_reader(user, schema)) == {f"of {schema}"}
    assert compiled._template.cache_info().misses == 1


def test_time_goes_on(in_acme: Tenant, make_user: MakeUser, make_message: MakeMessage) -> None:
    alice = make_user()
    make_message(alice, "soon over", expires=timezone.now() + timedelta(hours=1))
    assert texts(require_reader(alice)) == {"soon over"}
    assert texts(Reader(alice, timezone.now() + timedelta(hours=2), "acme")) == set()


@pytest.mark.parametrize(
    ("build", "shape"),
    [
        (feed.banners, (10,)),
        (feed.page, (20, InboxFilter(unread=True), None)),
        (feed.page, (20, InboxFilter(level=20, kind="message"), None)),
        (feed.page, (20, InboxFilter(), "message")),
        (feed.unread_marks, (100, InboxFilter())),
        (feed.unread_marks, (None, InboxFilter(level=20))),
    ],
)
def test_it_says_what_the_orm_says(
    in_acme: Tenant, make_user: MakeUser, make_message: MakeMessage, build: Any, shape: tuple[Any, ...]
) -> None:
    alice, bob = make_user("alice"), make_user("bob")
    for number in range(30):
        make_message(alice if number % 3 else bob, f"message {number}", level=(19, 29, 39)[number % 3])
    Message.objects.filter(message__endswith="7").mark_read()
    last = Message.objects.for_user(bob).newest_first()[4]
    for user in (alice, bob):
        reader = Reader(user, timezone.now(), "acme", last.created, last.pk)
        expected = sorted(map(str, by_the_orm(build, reader, *shape)))
        assert sorted(map(str, compiled.rows(build, reader, *shape))) == expected
        assert compiled.count(build, reader, *shape) == len(expected)


def test_what_differs_beyond_a_readers_own_values_is_never_prepared(in_acme: Tenant, make_user: MakeUser) -> None:
    calls = iter(range(100))

    def build(reader: Reader) -> "QuerySet[Any, Any]":
        return get_user_model().objects.annotate(call=Value(next(calls))).values_list("call")

    make_user()
    assert compiled._template(build, (), "{}", type(None), get_user_model()) is None
    assert compiled.rows(build, require_reader(make_user("bob")))[0] == (2,)


def test_where_a_host_says_who_the_members_are_nothing_is_prepared(
    in_acme: Tenant, make_user: MakeUser, make_message: MakeMessage, settings: Any
) -> None:
    alice = make_user()
    make_message(alice)
    members = get_user_model().objects.all
    settings.MESSAGES_EXTENDS = {**settings.MESSAGES_EXTENDS, "MEMBERS": members}
    assert texts(require_reader(alice)) == {"Hello"}
    assert compiled._template.cache_info().misses == 0


@pytest.mark.parametrize("kind", [models.SmallAutoField, models.SmallIntegerField, models.PositiveSmallIntegerField])
def test_a_key_that_holds_small_numbers_only_is_not_made_up(kind: type[models.Field]) -> None:  # type: ignore[type-arg]
    assert compiled._maker(kind(primary_key=True)) is None


@pytest.mark.parametrize("kind", [models.AutoField, models.BigAutoField, models.UUIDField, models.CharField])
def test_any_other_key_is_made_up(kind: type[models.Field]) -> None:  # type: ignore[type-arg]
    key = kind(primary_key=True, max_length=40)
    make = compiled._maker(key)
    assert make is not None
    assert make(10) == key.clean(make(10), None) != make(20)
