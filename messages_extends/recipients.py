"""From what a caller names as recipients to a queryset of this organisation's people."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import Group
from django.db.models import QuerySet

from messages_extends.exceptions import RecipientUnavailable
from messages_extends.policy import members
from messages_extends.tenancy.stamp import require_here

ALLOWED = "a user, a group, an iterable of users, or a queryset of users"


@dataclass(frozen=True)
class Recipients:
    """Active people of the current organisation, and what the caller called them.

    `exactly` is their number where each was named: then all of them have to be there.
    """

    people: QuerySet[Any]
    exactly: int | None
    named: str

    @classmethod
    def of(cls, recipients: Any) -> "Recipients":
        """Resolve `recipients` in the current schema; TypeError if they are nothing that can be written to."""
        if isinstance(recipients, AbstractBaseUser):
            return cls._named([recipients], f"user {recipients.pk}")
        if isinstance(recipients, Group):
            require_here(recipients)
            people: QuerySet[Any] = members()
            return cls(people.filter(groups=recipients.pk), None, f"group {recipients.pk} ({recipients.name})")
        if isinstance(recipients, QuerySet):
            return cls._matched(recipients)
        if isinstance(recipients, Iterable) and not isinstance(recipients, str | bytes | dict):
            users = list(recipients)
            return cls._named(users, f"{len(users)} people")
        raise TypeError(f"recipients is {recipients!r}: use {ALLOWED}.")

    @classmethod
    def _matched(cls, people: QuerySet[Any]) -> "Recipients":
        if not issubclass(people.model, get_user_model()):
            raise TypeError(f"recipients is a queryset of {people.model._meta.verbose_name_plural}: use {ALLOWED}.")
        return cls(members().filter(pk__in=people.values("pk")), None, "people by a query")

    @classmethod
    def _named(cls, users: list[Any], name: str) -> "Recipients":
        for user in users:
            if not isinstance(user, AbstractBaseUser):
                raise TypeError(f"recipients contains {user!r}: use {ALLOWED}.")
            require_here(user)
        ids = {user.pk for user in users}
        if None in ids:
            raise RecipientUnavailable
        return cls(members().filter(pk__in=ids), len(ids), name)
