"""A host whose user model has no groups: people are written to, and a group is refused before it reaches nobody."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.core import checks
from django.core.management import CommandError, call_command
from django_tenants.utils import schema_context

from messages_extends.access.grants import EVERY_GROUP, EVERYBODY, grant, revoke
from messages_extends.access.membership import groups_of, keys_of_people_in
from messages_extends.access.policy import policy
from messages_extends.api import EVERYONE, announce, inbox, send
from messages_extends.exceptions import NoGroups
from messages_extends.models import Announcement, Message
from messages_extends.templatetags.messages_extends import sender_name
from tests.integration.hosts.contract import grants_in
from tests.integration.hosts.no_groups.people.models import Person


@pytest.fixture
def in_t1(db: None) -> Iterator[None]:
    with schema_context("t1"):
        yield


@pytest.fixture
def alice(in_t1: None) -> Person:
    return Person.objects.create(username="alice")


@pytest.fixture
def bob(in_t1: None) -> Person:
    return Person.objects.create(username="bob")


@pytest.fixture
def sales(in_t1: None) -> Group:
    return Group.objects.create(name="Sales")


def test_checks_report_missing_groups_only() -> None:
    reports = checks.run_checks()
    assert [report.id for report in reports] == ["messages_extends.W091"]
    assert "people.Person has no groups" in reports[0].msg


@pytest.mark.parametrize(
    "write",
    [
        lambda alice, sales: send(sales, "hello"),
        lambda alice, sales: send(sales, "hello", sender=alice),
        lambda alice, sales: announce("hello", to=sales),
        lambda alice, sales: announce("hello", to=[sales]),
        grant,
        lambda alice, sales: grant(sales, alice),
        lambda alice, sales: grant(sales, EVERYBODY),
        lambda alice, sales: grant(alice, EVERY_GROUP),
    ],
)
def test_writing_to_group_raises_no_groups(alice: Person, sales: Group, write: Callable[..., Any]) -> None:
    with pytest.raises(NoGroups, match="The user model has no groups"):
        write(alice, sales)
    assert not Message.objects.exists()
    assert not Announcement.objects.exists()
    assert grants_in("t1") == 0


def test_grant_messaging_command_refuses_group(alice: Person, sales: Group) -> None:
    with pytest.raises(CommandError, match="The user model has no groups"):
        call_command("grant_messaging", "alice", "group:Sales", schema="t1")


def test_send_and_announce_reach_users(alice: Person, bob: Person) -> None:
    assert send([alice, bob], "one by one") == 2
    assert send(Person.objects.all(), "by a query") == 2
    announce("to everyone", to=EVERYONE)
    assert [str(entry) for entry in inbox(bob).page().entries] == ["to everyone", "by a query", "one by one"]


def test_grant_on_user_allows_sending_until_revoked(alice: Person, bob: Person) -> None:
    grant(alice, bob)
    assert send(bob, "hello", sender=alice) == 1
    revoke(alice, bob)
    assert not policy().may_message(alice, bob)


def test_permissions_of_group_grant_nothing(alice: Person, bob: Person, sales: Group) -> None:
    permission = Permission.objects.get(codename="send_message")
    sales.permissions.add(permission)
    assert not policy().reachable_people(alice).exclude(pk=alice.pk).exists()
    assert not groups_of(alice).exists()
    assert not keys_of_people_in(Group.objects.all()).exists()
    assert not policy().may_grant(alice)


def test_policy_offers_no_groups(alice: Person, sales: Group) -> None:
    assert not policy().reachable_groups(alice).exists()
    assert not policy().announceable_groups(alice).exists()


def test_sender_hidden_by_manager_is_shown_as_former_member_and_kept(alice: Person, bob: Person) -> None:
    grant(alice, bob)
    send(bob, "hello", sender=alice)
    Person.objects.filter(pk=alice.pk).update(has_left=True)
    entry: Any = inbox(bob).page().entries[0]
    assert (entry.sender, sender_name(entry)) == (None, "Former member")
    entry.save()
    assert Message.objects.get().sender_id == alice.pk
