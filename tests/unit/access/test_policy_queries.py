"""The short question about two people: its answer is that of the policy about everybody."""

from itertools import product
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection

from messages_extends.access.grants import EVERY_GROUP, EVERYBODY, grant
from messages_extends.access.policy import pair_condition
from messages_extends.policy import Policy
from messages_extends.queries.sql import names_of_people
from tests.factories import MakeUser

HOLDERS = ("alice", "crew")
TARGETS = ("bob", "carol", "staff", EVERYBODY, EVERY_GROUP)


@pytest.mark.usefixtures("in_acme")
@pytest.mark.parametrize(("holder", "target"), list(product(HOLDERS, TARGETS)))
@pytest.mark.parametrize("alice_is_in_crew", [True, False])
def test_pair_condition_agrees_with_reachable_people_for_each_kind_of_grant(
    make_user: MakeUser, holder: str, target: Any, *, alice_is_in_crew: bool
) -> None:
    # The groups come first, so that no group has the key of a person.
    named: dict[Any, Any] = {name: Group.objects.create(name=name) for name in ("first", "second", "crew", "staff")}
    people = {name: make_user(name) for name in ("alice", "bob", "carol", "dan")}
    named |= people | {EVERYBODY: EVERYBODY, EVERY_GROUP: EVERY_GROUP}
    if alice_is_in_crew:
        people["alice"].groups.add(named["crew"])
    for name in ("bob", "carol"):
        people[name].groups.add(named["staff"])
    people["bob"].groups.add(named["first"])
    grant(named[holder], named[target])
    condition = pair_condition(Policy, "default")
    assert condition is not None
    statement = f"SELECT {{key}} FROM {{people}} AS person WHERE {condition}"
    for sender in people.values():
        with connection.cursor() as cursor:
            cursor.execute(statement.format(**names_of_people("default")), {"sender": sender.pk})
            found = {key for (key,) in cursor.fetchall()}
        assert found == {person.pk for person in Policy().reachable_people(sender)}
