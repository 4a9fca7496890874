"""A host with shared users: messages are per tenant all the same, and nobody is written to where they do not belong."""

from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django_tenants.utils import schema_context

from messages_extends.exceptions import RecipientUnavailable
from messages_extends.models import Message
from tests.hosts.conftest import SCHEMAS
from tests.hosts.contract import HostContract, MakeBrowser, add, page, texts_in, write


def make_member(name: str, *schemas: str) -> User:
    user = User.objects.create_user(name)
    user.groups.set([Group.objects.get_or_create(name=schema)[0] for schema in schemas])
    return user


class TestMessages(HostContract):
    users_of = {"t1": "public", "t2": "public"}

    def make_person(self, name: str, *schemas: str) -> Any:
        return make_member(name, *schemas)


@pytest.mark.django_db
def test_users_are_shared_indeed() -> None:
    user = make_member("alice", "t1")
    with schema_context("t2"):
        assert User.objects.get() == user


@pytest.mark.django_db
def test_a_member_of_two_tenants_reads_in_each_what_was_written_there(browser_at: MakeBrowser) -> None:
    user = make_member("alice", "t1", "t2")
    for schema in ("t1", "t2"):
        add(browser_at(schema, user), f"written at {schema}")
    for schema, other in (("t1", "t2"), ("t2", "t1")):
        shown = page(browser_at(schema, user))
        assert f"written at {schema}" in shown
        assert f"written at {other}" not in shown


@pytest.mark.django_db
def test_somebody_who_is_no_member_here_is_not_written_to(browser_at: MakeBrowser) -> None:
    alice = make_member("alice", "t1")
    make_member("stranger", "t2")
    with pytest.raises(RecipientUnavailable):
        add(browser_at("t1", alice), "lunch is ready", to="stranger")
    assert texts_in("t1") == texts_in("t2") == []


@pytest.mark.django_db
def test_a_superuser_who_is_no_member_here_is_not_written_to(browser_at: MakeBrowser) -> None:
    alice = make_member("alice", "t1")
    User.objects.create_superuser("root")
    with pytest.raises(RecipientUnavailable):
        add(browser_at("t1", alice), "lunch is ready", to="root")


@pytest.mark.django_db
@pytest.mark.parametrize("schema", SCHEMAS)
@pytest.mark.parametrize("in_bulk", [False, True])
def test_deleting_a_user_from_any_schema_cleans_every_schema(schema: str, in_bulk: bool) -> None:
    user, other = make_member("alice", "t1", "t2"), make_member("bob", "t1", "t2")
    for tenant in ("t1", "t2"):
        write(tenant, user, "to the deleted")
        write(tenant, other, "from the deleted", sender=user)
    with schema_context(schema):
        User.objects.filter(pk=user.pk).delete() if in_bulk else user.delete()
        connection.check_constraints()
    for tenant in ("t1", "t2"):
        assert texts_in(tenant) == ["from the deleted"]
        with schema_context(tenant):
            assert Message.objects.get().sender is None
