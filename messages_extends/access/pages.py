"""Which of our pages for writing somebody can use: asked wherever a page leads to them."""

from dataclasses import dataclass
from typing import Any, Final

from django.db.models import QuerySet
from django.utils import timezone

from messages_extends.access.policy import Policy, overrides, policy
from messages_extends.queries import compiled
from messages_extends.queries.compiled import Reader
from messages_extends.tenancy.origin import require_here
from messages_extends.tenancy.schemas import current_schema, has_messages, users_are_shared

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
    reader, asked = Reader(person, timezone.now(), current_schema()), policy()
    kind = type(asked)
    if overrides(kind, *PAGE_ACCESS_METHODS):
        # A host's own policy may answer by whatever it likes about the person.
        found = list(_found(reader, kind, users_are_shared()))
    else:
        found = compiled.rows(_found, reader, kind, users_are_shared())
    if not found:
        return AccessiblePages(broadcasts=asked.may_see_broadcasts(person))
    compose, announcements, grants = found[0]
    return AccessiblePages(
        compose=asked.may_compose(person) if overrides(kind, *COMPOSE_METHODS) else compose,
        announcements=asked.may_see_announcements(person) if overrides(kind, *ANNOUNCEMENT_METHODS) else announcements,
        broadcasts=asked.may_see_broadcasts(person),
        grants=asked.may_grant(person) if overrides(kind, *GRANT_METHODS) else grants,
    )


def _found(reader: Reader, kind: type[Policy], _shared: bool) -> QuerySet[Any]:
    return kind().page_access(reader.user)
