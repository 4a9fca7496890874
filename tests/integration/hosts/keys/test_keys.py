"""Compiled queries of people whose primary keys are UUIDs, or text that looks like SQL."""

import os
from typing import Any

import pytest
from django_tenants.utils import schema_context
from hypothesis import HealthCheck, Phase, given, settings

from messages_extends.api import inbox, send
from messages_extends.inbox.inbox import unread_counts
from tests.integration.hosts.keys.people.models import Person
from tests.unit.queries.random_data import DataSet, compare_queries_on, data_sets

TEXTS = ["7", "o'hara %s", "%(user)s \\"]


def make_person(number: int) -> Person:
    keys = {"id": TEXTS[number]} if os.environ.get("KEY", "uuid") == "text" else {}
    return Person.objects.create_user(f"person{number}", **keys)


@pytest.mark.django_db
@settings(
    max_examples=6,
    deadline=None,
    database=None,
    derandomize=True,
    # Shrinking a data set takes minutes.
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(data_set=data_sets)
def test_compiled_queries_return_rows_of_orm(db: Any, data_set: DataSet) -> None:
    with schema_context("t1"):
        compare_queries_on(data_set, make_person, "t1")


@pytest.mark.django_db
def test_send_reaches_users_with_non_numeric_keys() -> None:
    with schema_context("t1"):
        people = [make_person(number) for number in range(3)]
        assert send(people[1:], "Hello") == 2
        assert [str(each) for each in inbox(people[1]).banners()] == ["Hello"]
        assert unread_counts([each.pk for each in people]) == {one.pk: min(n, 1) for n, one in enumerate(people)}
