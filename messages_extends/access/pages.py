"""Which of our pages for writing somebody can use: asked wherever a page leads to them."""

from dataclasses import dataclass
from typing import Any, Final

from django.db.models import QuerySet

from messages_extends.access.policy import Policy, overrides, policy
from messages_extends.access.policy_queries import holds_for_everybody
from messages_extends.queries import compiled
from messages_extends.tenancy.databases import read_database
from messages_extends.tenancy.origin import require_here
from messages_extends.tenancy.schemas import current_schema, has_messages

# What `page_access` is made of.
PAGE_ACCESS_METHODS: Final = ("recipients_for", "groups_for", "page_access")
# What each page asks besides: a host's class that answers it itself is asked here too.
COMPOSE_METHODS: Final = ("may_compose",)
ANNOUNCEMENT_METHODS: Final = (
    "may_see_announcements",
    "may_announce",
    "audiences_for",
    "may_view_report",
    "announcements_for",
)
GRANT_METHODS: Final = ("may_grant",)


@dataclass(frozen=True)
class AccessiblePages:
    compose: bool = False
    announcements: bool = False
    broadcasts: bool = False
    grants: bool = False


def accessible_pages(person: Any) -> AccessiblePages:
    """Return which pages for writing `person` may use: one query, and on the platform one more."""
    require_here(person)
    if not person.is_active:
        return AccessiblePages()
    if not has_messages(current_schema()):
        return AccessiblePages(broadcasts=policy().may_see_broadcasts(person))
    asked = policy()
    kind = type(asked)
    keep = holds_for_everybody(kind, *PAGE_ACCESS_METHODS)
    found = compiled.rows(page_access, {"person": person}, read_database(), keep=keep, kind=kind)
    if not found:
        return AccessiblePages(broadcasts=asked.may_see_broadcasts(person))
    compose, announcements, grants = found[0]
    return AccessiblePages(
        compose=asked.may_compose(person) if overrides(kind, *COMPOSE_METHODS) else compose,
        announcements=asked.may_see_announcements(person) if overrides(kind, *ANNOUNCEMENT_METHODS) else announcements,
        broadcasts=asked.may_see_broadcasts(person),
        grants=asked.may_grant(person) if overrides(kind, *GRANT_METHODS) else grants,
    )


def page_access(person: Any, *, kind: type[Policy]) -> QuerySet[Any]:
    return kind().page_access(person)
