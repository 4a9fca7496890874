"""Granting from a terminal: by the names that people know."""

from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.management import CommandError, call_command
from django_tenants.utils import schema_context

from messages_extends.access.membership import people_here
from messages_extends.policy import AllowAll, Policy
from tenants.models import Tenant
from tests.documentation import all_blocks
from tests.factories import MakeUser

pytestmark = pytest.mark.django_db

ALICE, BOB = "alice@acme.example", "bob@acme.example"


def run(command: str, *names: str, schema: str = "acme") -> str:
    out = StringIO()
    call_command(f"{command}_messaging", *names, schema=schema, stdout=out)
    return out.getvalue()


@pytest.fixture(autouse=True)
def people(acme: Tenant, make_user: MakeUser) -> Any:
    with schema_context("acme"):
        found = make_user("alice"), make_user("bob")
        sales = Group.objects.create(name="Sales: North")
        sales.user_set.add(found[1])
        Group.objects.create(name="Managers").user_set.add(found[0])
    return found


def may(people: Any) -> bool:
    with schema_context("acme"):
        return Policy().may_message(*people)


@pytest.mark.parametrize("holder", [ALICE, "group:Managers"])
@pytest.mark.parametrize("target", [BOB, "group:Sales: North", "everybody"])
def test_grant_and_revoke_commands_accept_same_names(people: Any, holder: str, target: str) -> None:
    assert run("grant", holder, target) == f"{holder} may now write to {target}.\n"
    assert may(people)
    assert run("revoke", holder, target) == f"{holder} no longer has this permission to write to {target}.\n"
    assert not may(people)


def test_explain_messaging_prints_answer_and_reasons() -> None:
    assert run("explain", ALICE, BOB) == "no\n- Nothing has been granted.\n"
    run("grant", ALICE, "group:Sales: North")
    assert run("explain", ALICE, BOB) == (
        "yes\n- The sender has permission to write to the recipient's group “Sales: North”.\n"
    )


@pytest.mark.parametrize(
    ("names", "schema", "message"),
    [
        ((ALICE, BOB), "nowhere", "no organisation with the schema 'nowhere'. The schemas are: acme, globex, platform"),
        ((ALICE, BOB), "public", "no organisation with the schema 'public'"),
        (("nobody@acme.example", BOB), "acme", "no user whose email is 'nobody@acme.example'"),
        ((ALICE, BOB), "globex", "no user whose email is 'alice@acme.example'"),
        ((ALICE, "group:Buyers"), "acme", "no group 'Buyers'. The groups are: Managers, Sales: North"),
        ((ALICE, "group:Buyers"), "globex", "no user"),
        (("group:Buyers", BOB), "globex", "no group 'Buyers'. The groups are: none"),
        (("everybody", BOB), "acme", "no user whose email is 'everybody'"),
    ],
)
def test_grant_messaging_refuses_unknown_name_or_schema(names: tuple[str, str], schema: str, message: str) -> None:
    with pytest.raises(CommandError) as refused:
        run("grant", *names, schema=schema)
    assert message in str(refused.value)


def documented_policy() -> Any:
    """Return the class that docs/how-to/own-policy.md shows."""
    [code] = [block.code for block in all_blocks() if block.is_titled("policies.py")]
    names: dict[str, Any] = {}
    exec(compile(code, "documentation", "exec"), names)
    return names["Colleagues"]


class DenyAll(Policy):
    """Lets nobody write to anybody, whatever has been granted."""

    def reachable_people(self, sender: Any) -> Any:
        return super().reachable_people(sender).none()


class IncludesInactive(Policy):
    """Forgets to leave out who is not active."""

    def reachable_people(self, sender: Any) -> Any:
        return people_here()


def explained(settings: Any, policy: Any) -> str:
    settings.MESSAGES_EXTENDS = {**settings.MESSAGES_EXTENDS, "POLICY": policy}
    return run("explain", ALICE, BOB)


def test_explain_messaging_names_custom_policy_that_allows(people: Any, settings: Any) -> None:
    assert explained(settings, documented_policy()) == "no\n- Nothing has been granted.\n"
    with schema_context("acme"):
        Group.objects.create(name="Both").user_set.set(people)
    assert explained(settings, documented_policy()) == "yes\n- This site's own policy allows it.\n"
    run("grant", ALICE, BOB)
    assert explained(settings, documented_policy()) == "yes\n- The sender has permission to write to the recipient.\n"


def test_explain_messaging_names_custom_policy_that_refuses(settings: Any) -> None:
    run("grant", ALICE, BOB)
    assert explained(settings, DenyAll) == "no\n- This site's own policy does not allow it.\n"


@pytest.mark.parametrize("policy", [Policy, AllowAll, IncludesInactive])
def test_explain_messaging_refuses_inactive_recipient_for_every_policy(people: Any, settings: Any, policy: Any) -> None:
    with schema_context("acme"):
        type(people[1]).objects.filter(pk=people[1].pk).update(is_active=False)
    expected = "no\n- The recipient is inactive or not a member of this organisation.\n"
    assert explained(settings, policy) == expected
