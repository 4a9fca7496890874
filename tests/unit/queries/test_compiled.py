"""Queries that are compiled once: they say for everybody what the ORM would have said."""

from contextvars import ContextVar
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import UserManager
from django.core.exceptions import PermissionDenied
from django.db import models
from django.db.models import Exists, F, OuterRef, Q, QuerySet, Value
from django.utils import timezone
from django_tenants.utils import schema_context
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings

from messages_extends.access.grants import EVERYBODY, grant
from messages_extends.access.membership import has_plain_managers
from messages_extends.access.policy import AllowAll, Policy, holds_for_everybody
from messages_extends.api import inbox, send
from messages_extends.exceptions import WrongTenant
from messages_extends.inbox import feed
from messages_extends.inbox.filters import InboxFilter
from messages_extends.models import Message
from messages_extends.queries import compiled
from messages_extends.queries.compiled import CompiledQuery, Slot
from tests.unit.queries.random_data import DataSet, compare_queries_on, compare_with_orm, data_sets

PAGE = {"size": 20, "chosen": InboxFilter()}
_current_reader: ContextVar[Any] = ContextVar("tests.current_reader")


@pytest.fixture(autouse=True)
def _forget_compiled_queries() -> None:
    compiled._compiled_for_everybody.cache_clear()


def values_of(user: Any, schema: str = "acme") -> dict[str, Any]:
    return {"user": user, "at": timezone.now(), "schema": schema}


def misses() -> int:
    return compiled._compiled_for_everybody.cache_info().misses


def texts_of(user: Any) -> list[str]:
    return sorted(str(entry) for entry in inbox(user).page().entries)


# Against the ORM ----------------------------------------------------------------------------------------------------


@pytest.mark.integration
@hypothesis_settings(
    max_examples=12,
    deadline=None,
    database=None,
    derandomize=True,
    # Shrinking a data set takes minutes.
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data_set=data_sets)
def test_compiled_queries_return_same_rows_as_orm(in_acme: Any, make_user: Any, data_set: DataSet) -> None:
    compare_queries_on(data_set, lambda number: make_user(f"person {number}".replace(" ", "")), "acme")


def messages_of_current_reader(user: Any) -> "QuerySet[Any, Any]":
    """A query that takes its reader from elsewhere than its values: right whenever it is built, wrong once kept."""
    return Message.objects.filter(user_id=_current_reader.get().pk).values_list("message")


def test_comparison_with_orm_detects_value_compiled_into_query(in_acme: Any, make_user: Any, make_message: Any) -> None:
    alice, bob = make_user("alice"), make_user("bob")
    make_message(alice, "for Alice"), make_message(bob, "for Bob")
    _current_reader.set(alice)
    compare_with_orm(messages_of_current_reader, {"user": alice}, "default")
    _current_reader.set(bob)
    with pytest.raises(AssertionError, match="messages_of_current_reader"):
        compare_with_orm(messages_of_current_reader, {"user": bob}, "default")


# What is kept -------------------------------------------------------------------------------------------------------


def test_inbox_query_is_compiled_once_for_all_readers(in_acme: Any, make_user: Any, make_message: Any) -> None:
    alice, bob = make_user("alice"), make_user("bob")
    make_message(alice, "for Alice"), make_message(bob, "for Bob")
    assert [texts_of(alice), texts_of(bob)] == [["for Alice"], ["for Bob"]]
    assert misses() == 1


def test_compiled_query_is_shared_by_every_schema(acme: Any, globex: Any, make_user: Any, make_message: Any) -> None:
    found = set()
    for schema in ("acme", "globex"):
        with schema_context(schema):
            user = make_user()
            grant(user, EVERYBODY)
            make_message(user, f"of {schema}")
            assert texts_of(user) == [f"of {schema}"]
            send(make_user("other"), "Hello", sender=user)
            query = compiled.kept_query(feed.page, values_of(user, schema), "default", **PAGE)
            assert query is not None
            assert schema not in query.sql
            assert schema not in query.constants.values()
            found.add(query.sql)
    assert len(found) == 1
    cached = misses()
    with schema_context("acme"):
        send(make_user("third"), "Hello", sender=None)
        assert texts_of(make_user("fourth")) == []
    assert misses() == cached


def test_compiled_query_uses_current_time_of_each_run(in_acme: Any, make_user: Any, make_message: Any) -> None:
    user = make_user()
    make_message(user, expires=timezone.now() + timedelta(hours=1))
    values = values_of(user)
    assert compiled.count(feed.page, values, "default", **PAGE) == 1
    values["at"] += timedelta(hours=2)
    assert compiled.count(feed.page, values, "default", **PAGE) == 0


def test_second_send_with_sender_compiles_no_query(in_acme: Any, make_user: Any) -> None:
    alice, bob, carol = (make_user(name) for name in ("alice", "bob", "carol"))
    grant(alice, EVERYBODY)
    grant(bob, EVERYBODY)
    send([bob, carol], "Hello", sender=alice)
    cached = misses()
    assert send([alice, carol], "Hello", sender=bob) == 2
    assert misses() == cached


def test_compiled_query_refuses_user_of_other_tenant(acme: Any, globex: Any, make_user: Any) -> None:
    with schema_context("acme"):
        alice = make_user()
        compiled.rows(feed.page, values_of(alice), "default", **PAGE)
    with schema_context("globex"), pytest.raises(WrongTenant):
        compiled.rows(feed.page, values_of(alice, "globex"), "default", **PAGE)


# Conditions ---------------------------------------------------------------------------------------------------------


def is_friend_of(sender: Any) -> Q:
    return Q(pk=sender.pk) | Q(pk__in=Message.objects.filter(sender_id=sender.pk).values("user_id"))


def condition_of(sender: Any) -> Any:
    return compiled.condition(is_friend_of, {"sender": sender}, "default", model=get_user_model())


def test_condition_of_two_senders_is_compiled_once(in_acme: Any, make_user: Any, make_message: Any) -> None:
    alice, bob, carol = (make_user(name) for name in ("alice", "bob", "carol"))
    make_message(carol, sender=bob)
    people = get_user_model().objects
    assert set(people.filter(condition_of(alice))) == {alice}
    assert set(people.filter(condition_of(bob))) == {bob, carol}
    assert misses() == 1


def test_condition_in_subquery_is_about_its_own_rows(in_acme: Any, make_user: Any, make_message: Any) -> None:
    alice, bob, carol = (make_user(name) for name in ("alice", "bob", "carol"))
    make_message(bob, sender=alice)
    people = get_user_model().objects
    friends = people.filter(condition_of(alice), pk=OuterRef("pk"))
    assert set(people.filter(Exists(friends))) == {alice, bob}
    assert set(people.exclude(condition_of(alice))) == {carol}
    both = people.filter(condition_of(alice)).union(people.filter(condition_of(carol)))
    assert set(both) == {alice, bob, carol}


def test_condition_is_not_kept_where_host_names_members(in_acme: Any, make_user: Any, settings: Any) -> None:
    alice = make_user()
    settings.MESSAGES_EXTENDS = {**settings.MESSAGES_EXTENDS, "MEMBERS": get_user_model().objects.all}
    assert set(get_user_model().objects.filter(condition_of(alice))) == {alice}
    assert misses() == 0


def test_reachable_people_compiles_nothing_for_second_sender(in_acme: Any, make_user: Any) -> None:
    alice, bob = make_user("alice"), make_user("bob")
    grant(bob, EVERYBODY)
    assert set(Policy().reachable_people(alice)) == {alice}
    cached = misses()
    assert set(Policy().reachable_people(bob)) == {alice, bob}
    assert cached == misses() == 1


# What is not --------------------------------------------------------------------------------------------------------


def by_another_key(user: Any) -> "QuerySet[Any, Any]":
    return get_user_model().objects.filter(pk=user.pk + 1).values_list("pk")


def by_the_time(user: Any) -> "QuerySet[Any, Any]":
    return get_user_model().objects.filter(pk=user.pk, date_joined__lt=timezone.now()).values_list("pk")


def for_some_key(user: Any) -> "QuerySet[Any, Any]":
    people = get_user_model().objects.filter(pk=user.pk).values_list("pk")
    return people.order_by("pk") if user.pk % 20 else people


def nobody(user: Any) -> "QuerySet[Any, Any]":
    return get_user_model().objects.filter(pk__in=[]).values_list("pk")


@pytest.mark.parametrize("build", [by_another_key, for_some_key])
def test_query_depending_on_key_value_is_not_cached(in_acme: Any, make_user: Any, build: Any) -> None:
    assert compiled.kept_query(build, {"user": make_user()}, "default") is None
    make_user("bob")
    alice = get_user_model().objects.get(name="alice")
    assert compiled.rows(build, {"user": alice}, "default") == list(build(alice))


def test_query_depending_on_compile_time_is_not_cached(in_acme: Any, make_user: Any) -> None:
    alice = make_user()
    assert compiled.kept_query(by_the_time, {"user": alice}, "default") is None
    assert compiled.rows(by_the_time, {"user": alice}, "default") == [(alice.pk,)]


def test_closure_over_reader_is_not_cached(in_acme: Any, make_user: Any, make_message: Any) -> None:
    alice, bob = make_user("alice"), make_user("bob")
    make_message(alice), make_message(bob)

    def of_alice(user: Any) -> "QuerySet[Any, Any]":
        return Message.objects.filter(user_id=alice.pk).values_list("user_id")

    assert compiled.kept_query(of_alice, {"user": bob}, "default") is None
    assert misses() == 0


def test_slot_refuses_conversion_to_string(in_acme: Any) -> None:
    with pytest.raises(TypeError, match="'schema' is not known"):
        f"{Slot('schema')}"


def test_empty_query_is_not_cached_and_returns_no_rows(in_acme: Any, make_user: Any) -> None:
    values = {"user": make_user()}
    assert compiled.kept_query(nobody, values, "default") is None
    assert compiled.rows(nobody, values, "default") == []
    assert compiled.count(nobody, values, "default") == 0


def test_inbox_query_with_members_setting_is_not_cached(
    in_acme: Any, make_user: Any, make_message: Any, settings: Any
) -> None:
    alice = make_user()
    make_message(alice)
    settings.MESSAGES_EXTENDS = {**settings.MESSAGES_EXTENDS, "MEMBERS": get_user_model().objects.all}
    assert texts_of(alice) == ["Hello"]
    assert misses() == 0


def test_compiled_query_keeps_percent_sign_of_sql(in_acme: Any, make_user: Any) -> None:
    alice = make_user()
    people = get_user_model().objects.filter(pk=alice.pk).annotate(share=F("pk") % 7).values_list("pk", "share")
    query = CompiledQuery.of(people, "default", "people")
    assert query.run({}) == [(alice.pk, alice.pk % 7)]


def with_constants(user: Any) -> "QuerySet[Any, Any]":
    constants = [Value(each) for each in ("plain {0}", "O'Neil", "50 %s", "a\\b", "é", "", -1, True, 0.5)]
    return get_user_model().objects.filter(pk=user.pk).values_list(*constants, 5 - Value(-3))


def test_compiled_query_inlines_only_constants_without_quoting(in_acme: Any, make_user: Any) -> None:
    alice = make_user()
    query = compiled.kept_query(with_constants, {"user": alice}, "default")
    assert query is not None
    assert [*query.constants.values()] == ["O'Neil", "50 %s", "a\\b", "é", 0.5]
    assert query.run({"user": alice}) == list(with_constants(alice))


class OwnPolicy(Policy):
    """A host's own, which asks about the person."""

    def reachable_people(self, sender: Any) -> Any:
        people = super().reachable_people(sender)
        return people if sender.name == "bob" else people.filter(pk=sender.pk)


class OwnManager(UserManager[Any]):
    def get_queryset(self) -> Any:
        return super().get_queryset().filter(is_active=True)


def test_holds_for_everybody_is_false_for_custom_policy() -> None:
    assert [holds_for_everybody(kind) for kind in (Policy, AllowAll, OwnPolicy)] == [True, True, False]


def test_has_plain_managers_is_false_for_custom_user_manager(monkeypatch: pytest.MonkeyPatch) -> None:
    assert has_plain_managers()
    monkeypatch.setattr(type(get_user_model()), "_default_manager", OwnManager())
    assert not has_plain_managers()


def test_send_consults_custom_policy_each_time(in_acme: Any, make_user: Any, settings: Any) -> None:
    alice, bob, carol = (make_user(name) for name in ("alice", "bob", "carol"))
    grant(alice, EVERYBODY)
    grant(bob, EVERYBODY)
    settings.MESSAGES_EXTENDS = {**settings.MESSAGES_EXTENDS, "POLICY": OwnPolicy}
    assert send(carol, "Hello", sender=bob) == 1
    with pytest.raises(PermissionDenied):
        send(carol, "Hello", sender=alice)


@pytest.mark.parametrize("kind", [models.SmallAutoField, models.SmallIntegerField, models.PositiveSmallIntegerField])
def test_key_maker_returns_none_for_small_integer_key(kind: type[models.Field]) -> None:  # type: ignore[type-arg]
    assert compiled.key_maker(kind(primary_key=True)) is None


@pytest.mark.parametrize("kind", [models.AutoField, models.BigAutoField, models.UUIDField, models.CharField])
def test_key_maker_makes_distinct_valid_keys_for_other_fields(kind: type[models.Field]) -> None:  # type: ignore[type-arg]
    key = kind(primary_key=True, max_length=40)
    make = compiled.key_maker(key)
    assert make is not None
    assert make(10) == key.clean(make(10), None) != make(20)
