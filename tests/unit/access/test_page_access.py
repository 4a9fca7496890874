"""Which pages for writing somebody is led to: what the policy says, prepared once."""

from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, Group, Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django_tenants.utils import schema_context

from messages_extends.access.grants import EVERYBODY, grant, revoke
from messages_extends.access.pages import AccessiblePages, accessible_pages
from messages_extends.exceptions import WrongTenant
from messages_extends.policy import Policy
from tenants.models import Tenant
from tests.factories import MakeUser


class NobodyButOneself(Policy):
    """A host's own, which answers by something about the person."""

    def recipients_for(self, sender: Any) -> Any:
        found = super().recipients_for(sender)
        return found if sender.name == "bob" else found.filter(pk=sender.pk)


@pytest.fixture
def people(in_acme: Tenant, make_user: MakeUser) -> dict[str, Any]:
    return {name: make_user(name) for name in ("alice", "bob", "carol")}


def give(person: Any, permission: str) -> None:
    app_label, codename = permission.split(".")
    person.user_permissions.add(Permission.objects.get(content_type__app_label=app_label, codename=codename))


def test_nobody_is_led_anywhere_without_a_grant(people: Any) -> None:
    assert {accessible_pages(person) for person in people.values()} == {AccessiblePages()}
    assert accessible_pages(AnonymousUser()) == AccessiblePages()


def test_a_grant_opens_and_its_end_closes(people: Any) -> None:
    for target in (people["carol"], EVERYBODY):
        grant(people["bob"], target)
        assert accessible_pages(people["bob"]) == AccessiblePages(compose=True)
        assert accessible_pages(people["alice"]) == AccessiblePages()
        revoke(people["bob"], target)
        assert accessible_pages(people["bob"]) == AccessiblePages()


def test_a_grant_to_oneself_opens_nothing(people: Any) -> None:
    grant(people["bob"], people["bob"])
    assert accessible_pages(people["bob"]) == AccessiblePages()


def test_a_group_opens_two(people: Any) -> None:
    grant(people["bob"], Group.objects.create(name="Sales"))
    assert accessible_pages(people["bob"]) == AccessiblePages(compose=True, announcements=True)


def test_permissions_open_theirs(people: Any) -> None:
    give(people["bob"], "messages_extends.view_announcement")
    give(people["carol"], "people.change_user")
    assert accessible_pages(people["bob"]) == AccessiblePages(announcements=True)
    assert accessible_pages(people["carol"]) == AccessiblePages(grants=True)


def test_broadcasts_are_the_platforms(people: Any, make_user: MakeUser) -> None:
    give(people["bob"], "broadcasts.add_broadcast")
    assert not accessible_pages(people["bob"]).broadcasts
    with schema_context("platform"):
        operator = make_user("operator")
        give(operator, "broadcasts.add_broadcast")
        assert accessible_pages(operator) == AccessiblePages(broadcasts=True)


def test_who_is_inactive_is_led_nowhere(people: Any) -> None:
    grant(people["bob"], EVERYBODY)
    type(people["bob"]).objects.filter(pk=people["bob"].pk).update(is_active=False)
    assert accessible_pages(people["bob"]) == AccessiblePages()
    people["bob"].refresh_from_db()
    assert accessible_pages(people["bob"]) == AccessiblePages()


def test_another_organisations_person_is_refused(people: Any) -> None:
    with schema_context("globex"), pytest.raises(WrongTenant):
        accessible_pages(people["bob"])


def test_a_hosts_own_policy_is_asked(people: Any, settings: Any) -> None:
    for person in people.values():
        grant(person, people["carol"])
    settings.MESSAGES_EXTENDS = {**settings.MESSAGES_EXTENDS, "POLICY": NobodyButOneself}
    assert [accessible_pages(people[name]).compose for name in ("alice", "bob")] == [False, True]
    settings.MESSAGES_EXTENDS = {**settings.MESSAGES_EXTENDS, "POLICY": "messages_extends.policy.AllowAll"}
    assert accessible_pages(people["alice"]).compose


def test_it_takes_one_query(people: Any) -> None:
    grant(people["bob"], people["carol"])
    with CaptureQueriesContext(connection) as captured:
        accessible_pages(people["bob"])
    assert len([query for query in captured if "search_path" not in query["sql"]]) == 1
