"""Who may message whom: every kind of grant, every refusal, in a number of queries that does not grow."""

import re
from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser, Group, Permission
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.db.models import Q, QuerySet
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_tenants.utils import schema_context
from guardian.models import GroupObjectPermission, UserObjectPermission
from guardian.shortcuts import assign_perm, remove_perm

from messages_extends.access.explain import explain
from messages_extends.access.grants import EVERYBODY, grant, orphaned_grants, remove_orphaned_grants, revoke
from messages_extends.access.guards import (
    require_may_announce,
    require_may_broadcast,
    require_may_change,
    require_may_send,
)
from messages_extends.access.membership import members
from messages_extends.access.pages import AccessiblePages, accessible_pages
from messages_extends.access.permissions import make_permissions
from messages_extends.access.policy import policy
from messages_extends.exceptions import RecipientUnavailable, WrongTenant
from messages_extends.models import Announcement, AuditRecord
from messages_extends.policy import AllowAll, Policy
from tenants.models import Tenant
from tests.documentation import block_of
from tests.factories import MakeUser
from tests.routers import ReplicaRouter

User: Any = get_user_model()
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("in_acme")]


@pytest.fixture
def carol(in_acme: Tenant, make_user: MakeUser) -> Any:
    return make_user("carol")


def group_of(name: str, *people: Any) -> Group:
    group = Group.objects.create(name=name)
    group.user_set.set(people)
    return group


def permission(name: str) -> Permission:
    app_label, codename = name.split(".")
    return Permission.objects.get(content_type__app_label=app_label, codename=codename)


def fresh(user: Any) -> Any:
    return User.objects.get(pk=user.pk)


def recipients(sender: Any) -> set[Any]:
    """Ask the policy both ways; the answers must agree."""
    found = set(Policy().reachable_people(sender))
    assert found == {person for person in User.objects.all() if Policy().may_message(sender, person)}
    return found


def groups(sender: Any) -> set[str]:
    return set(Policy().reachable_groups(sender).values_list("name", flat=True))


def everybody() -> Any:
    return User.objects.all()


def announcement(sender: Any, audience: str, *audience_groups: Group) -> Announcement:
    now = timezone.now()
    made = Announcement.objects.create(
        message="News", level=19, sender=sender, audience=audience, publish_at=now, expires=now + timedelta(days=1)
    )
    made.groups.set(audience_groups)
    return made


# Grants -------------------------------------------------------------------------------------------------------------


def test_policy_without_grant_reaches_only_oneself(alice: Any, bob: Any) -> None:
    assert recipients(alice) == {alice}
    assert groups(alice) == set()


def test_policy_ignores_grants_of_other_holders(alice: Any, bob: Any, carol: Any, make_user: MakeUser) -> None:
    make_user("root", is_superuser=True)
    managers = group_of("Managers", bob)
    for holder in (bob, managers):
        for target in (carol, group_of(f"For {holder}", carol), EVERYBODY):
            grant(holder, target)
    assert recipients(alice) == {alice}
    assert groups(alice) == set()


def test_grant_on_user_reaches_that_user_in_one_direction(alice: Any, bob: Any, carol: Any) -> None:
    grant(alice, bob)
    assert recipients(alice) == {alice, bob}
    assert recipients(bob) == {bob}
    assert groups(alice) == set()
    revoke(alice, bob)
    assert recipients(alice) == {alice}


def test_may_message_queries_primary_database_with_replica_router(alice: Any, bob: Any, settings: Any) -> None:
    grant(alice, bob)
    settings.DATABASE_ROUTERS = [ReplicaRouter()]
    assert policy().may_message(alice, bob)


def test_guardian_assign_perm_equals_grant(alice: Any, bob: Any) -> None:
    assign_perm("send_message", alice, bob)
    assert alice.has_perm("send_message", bob)
    assert recipients(alice) == {alice, bob}
    remove_perm("send_message", alice, bob)
    assert recipients(alice) == {alice}


def test_grant_held_by_group_applies_to_members(alice: Any, bob: Any, carol: Any) -> None:
    managers, sales = group_of("Managers", alice), group_of("Sales", carol)
    grant(managers, bob)
    grant(managers, sales)
    assert recipients(alice) == {alice, bob, carol}
    assert groups(alice) == {"Sales"}
    assert recipients(carol) == {carol}


def test_grant_on_group_reaches_members_and_no_other_group(alice: Any, bob: Any, carol: Any) -> None:
    sales, _other = group_of("Sales", bob), group_of("Other", carol)
    grant(alice, sales)
    assert recipients(alice) == {alice, bob}
    assert groups(alice) == {"Sales"}


def test_group_membership_change_takes_effect_at_once(alice: Any, bob: Any, carol: Any) -> None:
    managers, sales = group_of("Managers"), group_of("Sales", bob)
    grant(managers, sales)
    assert recipients(alice) == {alice}
    managers.user_set.add(alice)
    sales.user_set.add(carol)
    assert recipients(alice) == {alice, bob, carol}
    sales.user_set.remove(bob)
    assert recipients(alice) == {alice, carol}
    managers.user_set.remove(alice)
    assert recipients(alice) == {alice}


@pytest.mark.parametrize("through", ["user", "group", "superuser"])
def test_grant_on_everybody_reaches_all_users_and_groups(alice: Any, bob: Any, carol: Any, through: str) -> None:
    managers, _sales = group_of("Managers", alice), group_of("Sales", bob)
    if through == "superuser":
        User.objects.filter(pk=alice.pk).update(is_superuser=True)
    else:
        grant(alice if through == "user" else managers, EVERYBODY)
    assert recipients(alice) == {alice, bob, carol}
    assert groups(alice) == {"Managers", "Sales"}
    if through != "superuser":
        revoke(alice if through == "user" else managers, EVERYBODY)
        assert recipients(alice) == {alice}


def test_send_group_message_permission_reaches_members_of_any_group(alice: Any, bob: Any, carol: Any) -> None:
    group_of("Sales", bob)
    alice.user_permissions.add(permission("auth.send_group_message"))
    assert groups(alice) == {"Sales"}
    assert recipients(alice) == {alice, bob}


def test_policy_ignores_other_permissions_on_same_object(alice: Any, bob: Any) -> None:
    sales = group_of("Sales", bob)
    assign_perm("change_user", alice, bob)
    assign_perm("change_group", alice, sales)
    alice.user_permissions.add(permission("people.view_user"), permission("auth.view_group"))
    assert recipients(alice) == {alice}
    assert groups(alice) == set()


def test_policy_ignores_send_message_permission_of_other_app(alice: Any, bob: Any) -> None:
    sessions = ContentType.objects.get(app_label="sessions")
    theirs = Permission.objects.create(content_type=sessions, codename="send_message", name="Can send")
    row = UserObjectPermission(user=alice, permission=theirs, content_type=sessions, object_pk=str(bob.pk))
    UserObjectPermission.objects.bulk_create([row])
    alice.user_permissions.add(theirs)
    assert recipients(alice) == {alice}
    assert recorded() == []


def test_grant_on_group_excludes_user_with_same_primary_key(alice: Any, make_user: MakeUser) -> None:
    twin, sales = make_user("twin", pk=700), Group.objects.create(pk=700, name="Sales")
    grant(alice, sales)
    assert recipients(alice) == {alice}
    revoke(alice, sales)
    grant(alice, twin)
    assert groups(alice) == set()


def test_policy_excludes_inactive_senders_and_recipients(alice: Any, bob: Any, carol: Any) -> None:
    grant(alice, EVERYBODY)
    User.objects.filter(pk=bob.pk).update(is_active=False)
    assert recipients(alice) == {alice, carol}
    User.objects.filter(pk=alice.pk).update(is_active=False)
    assert recipients(alice) == recipients(fresh(alice)) == set()
    assert groups(alice) == groups(fresh(alice)) == set()
    assert not Policy().visible_people(alice).exists()


def test_policy_refuses_sender_marked_inactive_but_unsaved(alice: Any, bob: Any) -> None:
    grant(alice, EVERYBODY)
    alice.is_active = False
    assert not Policy().reachable_people(alice).exists()
    assert not Policy().reachable_groups(alice).exists()
    assert not AllowAll().reachable_people(alice).exists()
    with pytest.raises(PermissionDenied):
        require_may_send(alice, User.objects.filter(pk=bob.pk))


def test_policy_refuses_anonymous_sender(in_acme: Tenant, bob: Any) -> None:
    assert recipients(AnonymousUser()) == set()
    assert groups(AnonymousUser()) == set()
    with pytest.raises(PermissionDenied):
        require_may_send(AnonymousUser(), everybody())


@pytest.mark.parametrize(("holder", "target"), [("alice", None), (None, "bob"), ("alice", "everybody")])
def test_grant_refuses_holder_or_target_of_wrong_type(
    alice: Any, bob: Any, holder: str | None, target: str | None
) -> None:
    with pytest.raises(TypeError, match="use a user"):
        grant(alice if holder else 5, bob if target == "bob" else target)


# Other organisations ------------------------------------------------------------------------------------------------


def same_keys(make_user: MakeUser) -> tuple[Any, Any, Group]:
    """Make two people and a group in the current schema, with keys that repeat in every schema."""
    group = Group.objects.create(pk=800, name="Sales")
    return make_user("alice", pk=800), make_user("bob", pk=801), group


def test_grants_on_same_primary_keys_are_separate_in_each_tenant(
    acme: Tenant, globex: Tenant, make_user: MakeUser
) -> None:
    for schema, may in (("acme", True), ("globex", False)):
        with schema_context(schema):
            alice, bob, group = same_keys(make_user)
            if may:
                grant(alice, bob)
                grant(alice, group)
                alice.user_permissions.add(permission("messages_extends.add_announcement"))
    for schema, may in (("acme", True), ("globex", False), ("acme", True)):
        with schema_context(schema):
            alice, bob = User.objects.get(pk=800), User.objects.get(pk=801)
            assert Policy().may_message(alice, bob) is may
            assert bool(groups(alice)) is may
            assert Policy().may_announce(alice, None) is may


CALLS: dict[str, Callable[..., Any]] = {
    "sender": lambda there, here: Policy().may_message(there.alice, here.bob),
    "recipient": lambda there, here: Policy().may_message(here.alice, there.bob),
    "reachable_people": lambda there, here: Policy().reachable_people(there.alice),
    "reachable_groups": lambda there, here: Policy().reachable_groups(there.alice),
    "may_announce": lambda there, here: Policy().may_announce(there.alice, None),
    "may_change": lambda there, here: Policy().may_change(there.alice, here.announcement),
    "may_change's announcement": lambda there, here: Policy().may_change(here.alice, there.announcement),
    "visible_people": lambda there, here: Policy().visible_people(there.alice),
    "may_see_report": lambda there, here: Policy().may_see_report(there.alice, here.announcement),
    "explain": lambda there, here: explain(there.alice, here.bob),
    "explain's recipient": lambda there, here: explain(here.alice, there.bob),
    "AllowAll": lambda there, here: AllowAll().reachable_people(there.alice),
    "require_may_send": lambda there, here: require_may_send(there.alice, everybody()),
    "grant's holder": lambda there, here: grant(there.alice, here.bob),
    "grant's target": lambda there, here: grant(here.alice, there.bob),
    "grant's group": lambda there, here: grant(here.alice, there.group),
    "a group as holder": lambda there, here: grant(there.group, here.bob),
    "who grants": lambda there, here: grant(here.alice, here.bob, by=there.alice),
    "revoke": lambda there, here: revoke(here.alice, there.bob),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=list(CALLS))
def test_access_functions_refuse_objects_of_other_tenant(
    acme: Tenant, globex: Tenant, make_user: MakeUser, call: Callable[..., Any]
) -> None:
    found = []
    for schema in ("globex", "acme"):
        with schema_context(schema):
            alice, bob, group = same_keys(make_user)
            sent = announcement(alice, "everyone")
            found.append(SimpleNamespace(alice=alice, bob=bob, group=group, announcement=sent))
    with schema_context("acme"):
        with pytest.raises(WrongTenant):
            call(*found)
        assert not UserObjectPermission.objects.exists()
        assert not GroupObjectPermission.objects.exists()


def test_policy_with_wrong_content_type_cache_answers_correctly(alice: Any, bob: Any) -> None:
    sales = group_of("Sales", bob)
    grant(alice, bob)
    grant(alice, sales)
    right, wrong = ContentType.objects.get_for_model(User), ContentType.objects.get_for_model(Permission)
    mixed = ContentType(pk=wrong.pk, app_label=right.app_label, model=right.model)
    try:
        ContentType.objects._add_to_cache("default", mixed)
        assert recipients(alice) == {alice, bob}
        assert groups(alice) == {"Sales"}
    finally:
        ContentType.objects.clear_cache()


# Costs --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [1, 100])
def test_policy_query_count_is_independent_of_user_count(alice: Any, make_user: MakeUser, number: int) -> None:
    people = User.objects.bulk_create(User(email=f"{n}@acme.example", name=str(n)) for n in range(number))
    managers, sales = group_of("Managers", alice), group_of("Sales", *people[::2])
    for person in people[1::2]:
        grant(managers, person)
    grant(alice, sales)
    chosen = User.objects.filter(pk__in=[person.pk for person in people])
    ContentType.objects.clear_cache()
    calls: dict[str, tuple[Callable[[], Any], int]] = {
        "may_message": (lambda: Policy().may_message(alice, people[0]), 1),
        "reachable_people": (lambda: list(Policy().reachable_people(alice)), 1),
        "reachable_groups": (lambda: list(Policy().reachable_groups(alice)), 1),
        "may_announce": (lambda: Policy().may_announce(alice, Group.objects.filter(pk=sales.pk)), 1),
        "may_announce to all": (lambda: Policy().may_announce(alice, None), 1),
        "visible_people": (lambda: list(Policy().visible_people(alice)), 2),
        "require_may_send": (lambda: require_may_send(alice, chosen, exactly=number), 1),
        "the application": (lambda: require_may_send(None, chosen), 1),
    }
    for name, (call, wanted) in calls.items():
        with CaptureQueriesContext(connection) as captured:
            call()
        queries = [query["sql"] for query in captured if "search_path" not in query["sql"]]
        assert len(queries) == wanted, (name, queries)
    assert len(Policy().reachable_people(alice)) == number + 1


# Announcements and broadcasts ---------------------------------------------------------------------------------------


def test_may_announce_to_everyone_requires_add_announcement_permission(alice: Any) -> None:
    assert not Policy().may_announce(alice, None)
    with pytest.raises(PermissionDenied):
        require_may_announce(alice, None)
    alice.user_permissions.add(permission("messages_extends.add_announcement"))
    assert Policy().may_announce(alice, None)
    require_may_announce(alice, None)


def test_may_announce_to_groups_requires_grant_on_each_group(alice: Any, bob: Any) -> None:
    sales, support = group_of("Sales"), group_of("Support")
    both = Group.objects.filter(pk__in=[sales.pk, support.pk])
    grant(alice, sales)
    assert not Policy().may_announce(alice, both)
    with pytest.raises(PermissionDenied):
        require_may_announce(alice, both)
    grant(alice, support)
    assert Policy().may_announce(alice, both)
    assert not Policy().may_announce(alice, None)
    bob.user_permissions.add(permission("messages_extends.add_announcement"))
    assert Policy().may_announce(bob, both)


def test_may_announce_to_no_group_returns_false(alice: Any) -> None:
    for _ in range(2):
        assert not Policy().may_announce(alice, Group.objects.none())
        assert not Policy().may_announce(alice, Group.objects.filter(name="no such"))
        alice.user_permissions.add(permission("messages_extends.add_announcement"))


def test_guards_allow_application_to_announce_and_change(in_acme: Tenant) -> None:
    require_may_announce(None, None)
    require_may_change(None, announcement(None, "everyone"))


def test_may_change_requires_permission_or_sender_with_may_announce(alice: Any, bob: Any) -> None:
    sales = group_of("Sales")
    own, of_the_application = announcement(alice, "groups", sales), announcement(None, "groups", sales)
    assert not Policy().may_change(alice, own)
    grant(alice, sales)
    grant(bob, sales)
    assert Policy().may_change(alice, own)
    assert not Policy().may_change(bob, own)
    assert not Policy().may_change(alice, of_the_application)
    with pytest.raises(PermissionDenied):
        require_may_change(bob, own)
    bob.user_permissions.add(permission("messages_extends.change_announcement"))
    assert Policy().may_change(bob, own)
    assert Policy().may_change(bob, of_the_application)


def test_may_change_own_announcement_to_everyone_requires_may_announce(alice: Any) -> None:
    own = announcement(alice, "everyone")
    assert not Policy().may_change(alice, own)
    alice.user_permissions.add(permission("messages_extends.add_announcement"))
    assert Policy().may_change(alice, own)


def test_may_see_report_allows_sender_and_view_permission(alice: Any, bob: Any, carol: Any) -> None:
    own = announcement(alice, "everyone")
    bob.user_permissions.add(permission("messages_extends.view_announcement"))
    assert [Policy().may_see_report(person, own) for person in (alice, bob, carol)] == [True, True, False]
    assert not Policy().may_see_report(carol, announcement(None, "everyone"))
    User.objects.update(is_active=False)
    assert [Policy().may_see_report(person, own) for person in (alice, bob, carol)] == [False, False, False]


@pytest.mark.parametrize("superuser", [False, True])
def test_may_broadcast_allows_only_permitted_platform_users(
    database: None, make_user: MakeUser, superuser: bool
) -> None:
    for schema, may in (("acme", False), ("platform", True)):
        with schema_context(schema):
            alice = make_user("alice", is_superuser=superuser)
            if not superuser:
                assert not Policy().may_broadcast(alice)
                alice.user_permissions.add(permission("broadcasts.add_broadcast"))
            assert Policy().may_broadcast(alice) is may
            assert Policy().may_broadcast(alice, "delete") is (may and superuser)
            if may:
                require_may_broadcast(alice)
            else:
                with pytest.raises(PermissionDenied):
                    require_may_broadcast(alice)


def test_may_broadcast_in_platform_schema_refuses_user_of_other_tenant(database: None, make_user: MakeUser) -> None:
    with schema_context("acme"):
        alice = make_user("alice", pk=900, is_superuser=True)
    with schema_context("platform"):
        make_user("olivia", pk=900, is_superuser=True)
        assert not Policy().may_broadcast(alice)


@pytest.mark.parametrize(("schema", "may"), [("public", True), ("platform", True), ("acme", False)])
def test_require_may_broadcast_allows_application_in_public_and_platform(
    database: None, schema: str, may: bool
) -> None:
    with schema_context(schema):
        if may:
            require_may_broadcast(None)
        else:
            with pytest.raises(PermissionDenied):
                require_may_broadcast(None)


def test_may_broadcast_without_platform_schema_refuses_everybody(
    database: None, settings: Any, make_user: MakeUser
) -> None:
    settings.MESSAGES_EXTENDS = {}
    with schema_context("platform"):
        assert not Policy().may_broadcast(make_user("olivia", is_superuser=True))
        with pytest.raises(PermissionDenied):
            require_may_broadcast(None)


def test_visible_people_with_view_permission_returns_all_active_members(alice: Any, bob: Any, carol: Any) -> None:
    grant(alice, bob)
    assert set(Policy().visible_people(alice)) == {alice, bob}
    alice.user_permissions.add(permission("people.view_user"))
    User.objects.filter(pk=carol.pk).update(is_active=False)
    assert set(Policy().visible_people(alice)) == {alice, bob}
    User.objects.filter(pk=carol.pk).update(is_active=True)
    assert set(Policy().visible_people(alice)) == {alice, bob, carol}


# Refusals -----------------------------------------------------------------------------------------------------------


def test_require_may_send_refuses_when_one_recipient_is_not_allowed(alice: Any, bob: Any, carol: Any) -> None:
    grant(alice, bob)
    assert require_may_send(alice, User.objects.filter(pk__in=[bob.pk, alice.pk]), exactly=2) == [alice.pk, bob.pk]
    with pytest.raises(PermissionDenied) as refused:
        require_may_send(alice, everybody(), exactly=3)
    assert not re.search("bob|carol", str(refused.value), re.IGNORECASE)


def test_require_may_send_refuses_inactive_recipient_only_when_named(alice: Any, bob: Any, carol: Any) -> None:
    User.objects.filter(pk=carol.pk).update(is_active=False)
    grant(alice, bob)
    assert require_may_send(alice, everybody()) == [alice.pk, bob.pk]
    for sender in (alice, None):
        with pytest.raises(RecipientUnavailable):
            require_may_send(sender, everybody(), exactly=3)
    require_may_send(None, everybody(), exactly=2)


def test_require_may_send_refuses_inactive_sender(alice: Any, bob: Any) -> None:
    grant(alice, EVERYBODY)
    stale = fresh(alice)
    User.objects.filter(pk=alice.pk).update(is_active=False)
    for sender in (stale, fresh(alice)):
        with pytest.raises(PermissionDenied):
            require_may_send(sender, User.objects.filter(pk=bob.pk), exactly=1)


class GroupsByName(Policy):
    """Whoever asks may write to the members of Sales, and nothing else is said."""

    def reachable_groups(self, sender: Any) -> QuerySet[Group]:
        return Group.objects.filter(name="Sales")


def test_custom_policy_with_reachable_group_reaches_members(alice: Any, bob: Any, carol: Any, settings: Any) -> None:
    settings.MESSAGES_EXTENDS = {"POLICY": GroupsByName}
    sales, other = group_of("Sales", bob), group_of("Other", carol)
    grant(alice, other)
    assert set(policy().reachable_people(alice)) == {alice, bob}
    assert [policy().may_message(alice, person) for person in (bob, carol)] == [True, False]
    assert policy().may_compose(alice)
    assert policy().may_announce(alice, Group.objects.filter(pk=sales.pk))
    assert not policy().may_announce(alice, Group.objects.filter(pk__in=[sales.pk, other.pk]))
    assert require_may_send(alice, User.objects.filter(pk=bob.pk), exactly=1) == [bob.pk]
    assert accessible_pages(alice) == AccessiblePages(compose=True, announcements=True)
    assert [reason.allows for reason in explain(alice, bob)] == [True]


class Broadcasters(Policy):
    """Lets everybody broadcast who is not called Bob."""

    def allows_broadcast(self, sender: Any, action: str) -> bool:
        return str(sender) != "bob"


@pytest.mark.parametrize("schema", ["acme", "platform"])
def test_custom_policy_narrows_may_broadcast_and_never_widens(
    database: None, make_user: Any, settings: Any, schema: str
) -> None:
    settings.MESSAGES_EXTENDS = {**settings.MESSAGES_EXTENDS, "POLICY": Broadcasters}
    with schema_context(schema):
        alice, bob, carol = (
            make_user("alice", is_superuser=True),
            make_user("bob", is_superuser=True),
            make_user("carol"),
        )
        at_platform = schema == "platform"
        for sender, may in ((alice, at_platform), (bob, False), (carol, False)):
            assert policy().may_broadcast(sender) is may
            assert policy().may_see_broadcasts(sender) is may
            assert accessible_pages(sender).broadcasts is may
            with nullcontext() if may else pytest.raises(PermissionDenied):
                require_may_broadcast(sender)


class DenyAllPolicy(Policy):
    def reachable_people(self, sender: Any) -> Any:
        return members().none()


def test_require_may_send_allows_oneself_under_every_policy(alice: Any, bob: Any, settings: Any) -> None:
    settings.MESSAGES_EXTENDS = {"POLICY": DenyAllPolicy}
    require_may_send(alice, User.objects.filter(pk=alice.pk), exactly=1)
    with pytest.raises(PermissionDenied):
        require_may_send(alice, User.objects.filter(pk__in=[alice.pk, bob.pk]), exactly=2)


# The setting --------------------------------------------------------------------------------------------------------


def test_policy_default_is_policy_class(settings: Any) -> None:
    assert type(policy()) is Policy


@pytest.mark.parametrize("value", [AllowAll, "messages_extends.policy.AllowAll"])
def test_allow_all_reaches_active_members_and_allows_nothing_else(
    alice: Any, bob: Any, carol: Any, settings: Any, value: Any
) -> None:
    settings.MESSAGES_EXTENDS = {"POLICY": value}
    User.objects.filter(pk=carol.pk).update(is_active=False)
    assert set(policy().reachable_people(alice)) == {alice, bob}
    assert not policy().reachable_people(carol).exists()
    assert not policy().reachable_people(fresh(carol)).exists()
    assert policy().may_message(alice, bob)
    assert not policy().may_announce(alice, None)
    assert [reason.allows for reason in explain(alice, bob)] == [True]
    assert [reason.allows for reason in explain(alice, carol)] == [False]


# Reasons ------------------------------------------------------------------------------------------------------------


def reasons(sender: Any, recipient: Any) -> list[tuple[bool, str]]:
    return [(reason.allows, str(reason)) for reason in explain(sender, recipient)]


def test_explain_names_every_grant(alice: Any, bob: Any) -> None:
    managers, sales = group_of("Managers", alice), group_of("Sales", bob)
    for holder in (alice, managers):
        for target in (bob, sales):
            grant(holder, target)
    alice.user_permissions.add(permission("auth.send_group_message"), permission("people.send_message"))
    assert reasons(alice, bob) == [
        (True, "The sender is a superuser, or has permission to write to everybody."),
        (True, "The sender has permission to write to the recipient."),
        (True, "The sender's group “Managers” has permission to write to the recipient."),
        (True, "The sender has permission to write to the recipient's group “Sales”."),
        (True, "The sender's group “Managers” has permission to write to the recipient's group “Sales”."),
        (True, "The sender may write to every group, and the recipient is in one."),
    ]
    assert reasons(bob, bob) == [(True, "Everybody may write to themselves.")]


class AllowAllExceptBob(AllowAll):
    """Lets everybody write but to Bob, and says why."""

    def reachable_people(self, sender: Any) -> Any:
        return super().reachable_people(sender).exclude(Q(name="bob"))

    def own_reasons(self, sender: Any, recipient: Any, allowed: bool) -> list[Any]:
        return [] if allowed else ["Bob wants his peace."]


def test_explain_includes_own_reasons_of_custom_policy(alice: Any, bob: Any, carol: Any, settings: Any) -> None:
    grant(alice, bob)
    settings.MESSAGES_EXTENDS = {"POLICY": AllowAll}
    assert reasons(alice, bob) == [
        (True, "The sender has permission to write to the recipient."),
        (True, "The policy of this site lets everybody write to everybody."),
    ]
    settings.MESSAGES_EXTENDS = {"POLICY": AllowAllExceptBob}
    assert reasons(alice, bob) == [(False, "Bob wants his peace.")]
    assert reasons(alice, carol) == [(True, "This site's own policy allows it.")]


def test_explain_names_every_obstacle(alice: Any, bob: Any) -> None:
    assert reasons(alice, bob) == [(False, "Nothing has been granted.")]
    grant(alice, bob)
    User.objects.update(is_active=False)
    assert reasons(alice, bob) == [
        (False, "The sender is inactive or not a member of this organisation."),
        (False, "The recipient is inactive or not a member of this organisation."),
    ]


# The permissions ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("schema", ["acme", "globex", "platform"])
def test_make_permissions_creates_both_permissions_once_in_every_schema(database: None, schema: str) -> None:
    with schema_context(schema):
        make_permissions(apps.get_app_config("messages_extends"), "default")
        rows = Permission.objects.filter(codename__in=["send_message", "send_group_message"])
        found = {(str(row.content_type.app_label), row.content_type.model, row.codename) for row in rows}
        assert found == {("people", "user", "send_message"), ("auth", "group", "send_group_message")}
        assert rows.count() == 2


def test_make_permissions_without_permission_tables_makes_no_query(database: None) -> None:
    class Empty:
        def get_model(self, *_names: str) -> Any:
            raise LookupError

    connection.set_schema_to_public()
    config = apps.get_app_config("messages_extends")
    with CaptureQueriesContext(connection) as captured:
        make_permissions(config, "default")
        make_permissions(config, "default", Empty())
    assert not [query for query in captured if "search_path" not in query["sql"]]


def test_admin_permissions_setting_names_existing_permissions(in_acme: Tenant, settings: Any) -> None:
    assert {permission(name) for name in settings.TENANTS_ADMIN_PERMISSIONS}


# The end of grants --------------------------------------------------------------------------------------------------


def rows() -> int:
    return UserObjectPermission.objects.count() + GroupObjectPermission.objects.count()


@pytest.mark.parametrize("in_bulk", [False, True])
def test_deleting_target_deletes_grants_and_keeps_other_permissions(alice: Any, bob: Any, in_bulk: bool) -> None:
    managers, sales = group_of("Managers", alice), group_of("Sales")
    twin = Group.objects.create(pk=bob.pk + 5000, name="Twin")
    for holder in (alice, managers):
        for target in (bob, sales, twin):
            grant(holder, target)
    assign_perm("change_group", alice, sales)
    assert rows() == 7
    for target in (bob, sales):
        type(target).objects.filter(pk=target.pk).delete() if in_bulk else target.delete()
    assert rows() == 3


def test_deleting_target_keeps_grants_of_other_tenant(acme: Tenant, globex: Tenant, make_user: MakeUser) -> None:
    for schema in ("acme", "globex"):
        with schema_context(schema):
            alice, bob, _group = same_keys(make_user)
            grant(alice, bob)
    with schema_context("acme"):
        User.objects.get(pk=801).delete()
        assert rows() == 0
    with schema_context("globex"):
        assert rows() == 1


def test_deleting_other_object_keeps_grants(alice: Any, bob: Any) -> None:
    grant(alice, bob)
    Permission.objects.get(codename="delete_session").delete()
    assert rows() == 1


def test_remove_orphaned_grants_deletes_only_orphans(alice: Any, bob: Any, carol: Any) -> None:
    managers, sales = group_of("Managers", alice), group_of("Sales")
    for holder in (alice, managers):
        for target in (bob, carol, sales):
            grant(holder, target)
    assign_perm("change_user", alice, bob)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM people_user WHERE id = %s", [bob.pk])
        cursor.execute("DELETE FROM auth_group WHERE id = %s", [sales.pk])
    assert sum(orphans.count() for orphans in orphaned_grants()) == 4
    assert remove_orphaned_grants() == 4
    assert remove_orphaned_grants() == 0
    assert rows() == 3
    assert recipients(alice) == {alice, carol}


# The record ---------------------------------------------------------------------------------------------------------


def recorded() -> list[tuple[str, str, str, str]]:
    return list(AuditRecord.objects.order_by("pk").values_list("action", "subject", "audience", "actor_id"))


def test_grant_and_revoke_log_audit_events_with_ids_and_actor(alice: Any, bob: Any, carol: Any) -> None:
    sales = group_of("Sales")
    grant(alice, bob, by=carol)
    grant(alice, bob, by=carol)
    UserObjectPermission.objects.get().save()
    grant(sales, sales)
    grant(alice, EVERYBODY, by=carol)
    revoke(alice, EVERYBODY)
    revoke(alice, bob, by=carol)
    revoke(alice, bob, by=carol)
    assert recorded() == [
        ("grant", f"to write to user {bob.pk}", f"user {alice.pk}", str(carol.pk)),
        ("grant", f"to write to group {sales.pk}", f"group {sales.pk}", ""),
        ("grant", "to write to everybody", f"user {alice.pk}", str(carol.pk)),
        ("revoke", "to write to everybody", f"user {alice.pk}", ""),
        ("revoke", f"to write to user {bob.pk}", f"user {alice.pk}", str(carol.pk)),
    ]


def test_guardian_and_django_permission_changes_log_audit_events(alice: Any, bob: Any) -> None:
    sales, right = group_of("Sales"), permission("people.send_message")
    assign_perm("send_message", alice, bob)
    assign_perm("change_user", alice, bob)
    remove_perm("send_message", alice, bob)
    assign_perm("auth.send_group_message", sales)
    sales.permissions.set([right, permission("auth.view_group")])
    right.group_set.clear()
    right.user_set.add(alice)
    assert recorded() == [
        ("grant", f"to write to user {bob.pk}", f"user {alice.pk}", ""),
        ("revoke", f"to write to user {bob.pk}", f"user {alice.pk}", ""),
        ("grant", "to write to every group", f"group {sales.pk}", ""),
        ("revoke", "to write to every group", f"group {sales.pk}", ""),
        ("grant", "to write to everybody", f"group {sales.pk}", ""),
        ("grant", "to write to everybody", f"user {alice.pk}", ""),
    ]


# The page -----------------------------------------------------------------------------------------------------------


def test_permissions_page_example_runs(alice: Any, bob: Any) -> None:
    code = block_of("docs/how-to/permissions.md", "python", "shell")
    exec(compile(code, "documentation", "exec"), {"alice": alice, "bob": bob, "managers": group_of("Managers")})
