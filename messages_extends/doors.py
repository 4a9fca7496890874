"""Which of our pages for writing somebody can use: asked wherever a page leads to them."""

from dataclasses import dataclass
from typing import Any, Final

from django.db.models import QuerySet
from django.utils import timezone

from messages_extends import prepared
from messages_extends.policy import Policy, policy
from messages_extends.prepared import Reader
from messages_extends.tenancy.schemas import current_schema, users_are_shared
from messages_extends.tenancy.stamp import require_here

ANSWERS: Final = ("recipients_for", "groups_for", "doors_for")


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
    reader, kind = Reader(person, timezone.now(), current_schema()), type(policy())
    if all(getattr(kind, name) is getattr(Policy, name) for name in ANSWERS):
        found = prepared.rows(_found, reader, kind, users_are_shared())
    else:
        # A host's own policy may answer by whatever it likes about the person.
        found = list(_found(reader, kind, users_are_shared()))
    compose, announcements, grants = found[0] if found else (False, False, False)
    return Doors(compose, announcements, policy().may_see_broadcasts(person), grants)


def _found(reader: Reader, kind: type[Policy], _shared: bool) -> QuerySet[Any]:
    return kind().doors_for(reader.user)
