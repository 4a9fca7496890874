"""Which of our pages for writing somebody can use: asked wherever a page leads to them."""

from typing import Any, NamedTuple

from django.contrib.auth.base_user import AbstractBaseUser
from django.db.models import QuerySet

from messages_extends.access.membership import may_act
from messages_extends.access.policy import Policy, policy, rights_known
from messages_extends.access.policy_queries import holds_for_everybody
from messages_extends.queries import compiled
from messages_extends.tenancy.databases import read_database
from messages_extends.tenancy.schemas import current_schema, has_messages


class AccessiblePages(NamedTuple):
    """The pages that a user may open; `sent` tells whether the user has sent or announced anything."""

    compose: bool = False
    sent: bool = False
    announcements: bool = False
    broadcasts: bool = False
    grants: bool = False


def accessible_pages(person: AbstractBaseUser) -> AccessiblePages:
    """Return which pages for writing `person` may use: one query, and on the platform one more."""
    if not may_act(person):
        return AccessiblePages()
    asked = policy()
    broadcasts = asked.may_see_broadcasts(person)
    if not has_messages(current_schema()):
        return AccessiblePages(broadcasts=broadcasts)
    kind = type(asked)
    found = compiled.rows(page_access, {"person": person}, read_database(), keep=holds_for_everybody(kind), kind=kind)
    if not found:
        return AccessiblePages(broadcasts=broadcasts)
    compose, announcements, sent, *held = found[0]
    with rights_known(person, held):
        return AccessiblePages(
            compose=compose,
            sent=sent,
            announcements=announcements or asked.may_announce_to_everyone(person),
            broadcasts=broadcasts,
            grants=asked.may_grant(person),
        )


def page_access(person: AbstractBaseUser, *, kind: type[Policy]) -> QuerySet[Any, tuple[bool, ...]]:
    return kind().page_access(person)
