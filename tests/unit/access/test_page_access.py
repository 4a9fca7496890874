"""Which pages for writing somebody is led to: what the policy says, prepared once."""

from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, Group, Permission
from django.db import connection
from django.db.models import QuerySet
from django.test.utils import CaptureQueriesContext
from django_tenants.utils import schema_context

from messages_extends.access.grants import EVERY_GROUP, EVERYBODY, grant, revoke
from messages_extends.access.pages import AccessiblePages, accessible_pages
from messages_extends.access.policy import policy
from messages_extends.api import EVERYONE, announce
from messages_extends.exceptions import WrongTenant
from messages_extends.models import Announcement
from messages_extends.policy import Policy
from tests.factories import MakeUser


class OnlyOneself(Policy):
    """A host's own, which answers by something about the person."""

    def reachable_people(self, sender: Any) -> Any:
        found = super().reachable_people(sender)
        return found if sender.name == "bob" else found.filter(pk=sender.pk)


class GrantsByName(Policy):
    """Bob grants and announces, whatever he holds; nobody else does."""

    def may_grant(self, person: Any) -> bool:
        return str(person) == "bob"

    def may_announce_to_everyone(self, sender: Any) -> bool:
        return str(sender) == "bob"


class Auditors(Policy):
    """Whoever may change people grants, but nobody whose name begins with C."""

    def may_grant(self, person: Any) -> bool:
        return super().may_grant(person) and not person.name.startswith("c")


def give(person: Any, permission: str) -> None:
    app_label, codename = permission.split(".")
    person.user_permissions.add(Permission.objects.get(content_type__app_label=app_label, codename=codename))


def test_accessible_pages_without_grant_is_empty(people: Any) -> None:
    assert {accessible_pages(person) for person in people.values()} == {AccessiblePages()}
    assert accessible_pages(AnonymousUser()) == AccessiblePages()


def test_accessible_pages_follow_grant_and_revoke(people: Any) -> None:
    for target in (people["carol"], EVERYBODY):
        grant(people["bob"], target)
        assert accessible_pages(people["bob"]) == AccessiblePages(compose=True)
        assert accessible_pages(people["alice"]) == AccessiblePages()
        revoke(people["bob"], target)
        assert accessible_pages(people["bob"]) == AccessiblePages()


def test_accessible_pages_with_grant_on_oneself_is_empty(people: Any) -> None:
    grant(people["bob"], people["bob"])
    assert accessible_pages(people["bob"]) == AccessiblePages()


def test_accessible_pages_with_group_grant_include_announcements(people: Any) -> None:
    grant(people["bob"], Group.objects.create(name="Sales"))
    assert accessible_pages(people["bob"]) == AccessiblePages(compose=True, announcements=True)


def test_accessible_pages_follow_model_permissions(people: Any) -> None:
    give(people["bob"], "messages_extends.view_announcement")
    give(people["carol"], "people.change_user")
    assert accessible_pages(people["bob"]) == AccessiblePages(announcements=True)
    assert accessible_pages(people["carol"]) == AccessiblePages(grants=True)


def test_accessible_pages_include_broadcasts_only_in_platform_schema(people: Any, make_user: MakeUser) -> None:
    give(people["bob"], "broadcasts.add_broadcast")
    assert not accessible_pages(people["bob"]).broadcasts
    with schema_context("platform"):
        operator = make_user("operator")
        give(operator, "broadcasts.add_broadcast")
        assert accessible_pages(operator) == AccessiblePages(broadcasts=True)


def test_accessible_pages_for_inactive_user_is_empty(people: Any) -> None:
    grant(people["bob"], EVERYBODY)
    type(people["bob"]).objects.filter(pk=people["bob"].pk).update(is_active=False)
    assert accessible_pages(people["bob"]) == AccessiblePages()
    people["bob"].refresh_from_db()
    assert accessible_pages(people["bob"]) == AccessiblePages()


def test_accessible_pages_refuses_user_of_other_tenant(people: Any) -> None:
    with schema_context("globex"), pytest.raises(WrongTenant):
        accessible_pages(people["bob"])


def test_accessible_pages_follow_reachable_people_of_custom_policy(people: Any, settings: Any) -> None:
    for person in people.values():
        grant(person, people["carol"])
    settings.MESSAGES_EXTENDS = {**settings.MESSAGES_EXTENDS, "POLICY": OnlyOneself}
    assert [accessible_pages(people[name]).compose for name in ("alice", "bob")] == [False, True]
    settings.MESSAGES_EXTENDS = {**settings.MESSAGES_EXTENDS, "POLICY": "messages_extends.policy.AllowAll"}
    assert accessible_pages(people["alice"]).compose


def test_accessible_pages_follow_boolean_answers_of_custom_policy(people: Any, settings: Any) -> None:
    give(people["carol"], "people.change_user")
    settings.MESSAGES_EXTENDS = {**settings.MESSAGES_EXTENDS, "POLICY": GrantsByName}
    assert accessible_pages(people["bob"]) == AccessiblePages(announcements=True, grants=True)
    assert accessible_pages(people["carol"]) == AccessiblePages()
    give(people["bob"], "people.change_user")
    settings.MESSAGES_EXTENDS = {**settings.MESSAGES_EXTENDS, "POLICY": Auditors}
    assert [accessible_pages(people[name]).grants for name in ("alice", "bob", "carol")] == [False, True, False]


def test_accessible_pages_include_announcements_only_for_reports_of_others(people: Any, settings: Any) -> None:
    class Readers(Policy):
        def reports_visible_to(self, viewer: Any) -> QuerySet[Announcement]:
            return Announcement.objects.all()

    announce("News", to=EVERYONE, sender=None)
    Announcement.objects.update(sender=people["bob"])
    assert accessible_pages(people["bob"]) == AccessiblePages()
    settings.MESSAGES_EXTENDS = {**settings.MESSAGES_EXTENDS, "POLICY": Readers}
    assert accessible_pages(people["bob"]) == AccessiblePages()
    assert accessible_pages(people["carol"]) == AccessiblePages(announcements=True)


class InheritingPolicy(Policy):
    """A host's class, which is asked the long way round."""


def give_all(what: str, bob: Any, carol: Any, sales: Group) -> None:
    match what:
        case "a person":
            grant(bob, carol)
        case "a group":
            grant(bob, sales)
        case "by a group":
            sales.user_set.add(bob)
            grant(sales, sales)
        case "everybody":
            grant(bob, EVERYBODY)
        case "every group":
            sales.user_set.add(carol)
            grant(bob, EVERY_GROUP)
        case "superuser":
            type(bob).objects.filter(pk=bob.pk).update(is_superuser=True)
        case permission:
            give(bob, permission)


@pytest.mark.parametrize(
    "what",
    [
        "a person",
        "a group",
        "by a group",
        "everybody",
        "every group",
        "superuser",
        "people.change_user",
        "messages_extends.add_announcement",
        "messages_extends.view_announcement",
        "messages_extends.change_announcement",
    ],
)
def test_policy_subclass_without_overrides_answers_as_default_policy(people: Any, settings: Any, what: str) -> None:
    sales = Group.objects.create(name="Sales")
    announce("News", to=EVERYONE, sender=None)
    give_all(what, people["bob"], people["carol"], sales)
    for person in people.values():
        answers = []
        for kind in (Policy, InheritingPolicy):
            settings.MESSAGES_EXTENDS = {**settings.MESSAGES_EXTENDS, "POLICY": kind}
            answers.append((accessible_pages(person), set(policy().reachable_people(person))))
        assert answers[0] == answers[1]
        assert policy().may_see_announcements(person) is answers[0][0].announcements
        assert policy().may_compose(person) is answers[0][0].compose
        assert policy().may_grant(person) is answers[0][0].grants


def test_accessible_pages_takes_one_query(people: Any) -> None:
    grant(people["bob"], people["carol"])
    with CaptureQueriesContext(connection) as captured:
        accessible_pages(people["bob"])
    assert len([query for query in captured if "search_path" not in query["sql"]]) == 1
