"""Which of our pages for writing somebody can use: asked wherever a page leads to them."""

from dataclasses import dataclass
from typing import Any, Final

from django.db.models import QuerySet
from django.utils import timezone

from messages_extends import prepared
from messages_extends.policy import Policy, overrides, policy
from messages_extends.prepared import Reader
from messages_extends.tenancy.schemas import current_schema, has_messages, users_are_shared
from messages_extends.tenancy.stamp import require_here

# What `doors_for` is made of.
ANSWERS: Final = ("recipients_for", "groups_for", "doors_for")
# What each page asks besides: a host's class that answers it itself is asked here too.
COMPOSE: Final = ("may_compose",)
ANNOUNCEMENTS: Final = (
    "may_see_announcements",
    "may_announce",
    "audiences_for",
    "may_view_report",
    "announcements_for",
)
GRANTS: Final = ("may_grant",)


@dataclass(frozen=True)
class Doors:
    compose: bool = False
    announcements: bool = False
    broadcasts: bool = False
    grants: bool = False


def doors_of(person: Any) -> Doors:
    """Return which pages for writing `person` may use: one query, and on the platform one more."""
    require_here(person)
    if not person.is_active:
        return Doors()
    if not has_messages(current_schema()):
        return Doors(broadcasts=policy().may_see_broadcasts(person))
    reader, asked = Reader(person, timezone.now(), current_schema()), policy()
    kind = type(asked)
    if overrides(kind, *ANSWERS):
        # A host's own policy may answer by whatever it likes about the person.
        found = list(_found(reader, kind, users_are_shared()))
    else:
        found = prepared.rows(_found, reader, kind, users_are_shared())
    if not found:
        return Doors(broadcasts=asked.may_see_broadcasts(person))
    compose, announcements, grants = found[0]
    return Doors(
        compose=asked.may_compose(person) if overrides(kind, *COMPOSE) else compose,
        announcements=asked.may_see_announcements(person) if overrides(kind, *ANNOUNCEMENTS) else announcements,
        broadcasts=asked.may_see_broadcasts(person),
        grants=asked.may_grant(person) if overrides(kind, *GRANTS) else grants,
    )


def _found(reader: Reader, kind: type[Policy], _shared: bool) -> QuerySet[Any]:
    return kind().doors_for(reader.user)
