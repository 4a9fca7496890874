"""Resolve the recipients of a call to a queryset of the tenant's members."""

from collections.abc import Collection, Iterable
from typing import NamedTuple

from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import Group
from django.db.models import Model, Q, QuerySet

from messages_extends.access.membership import inactive_members, keys_of_people_in, members
from messages_extends.exceptions import RecipientUnavailable
from messages_extends.tenancy.databases import using_primary
from messages_extends.tenancy.origin import check_tenant
from messages_extends.tenancy.schemas import require_groups

Addressees = AbstractBaseUser | Group | QuerySet[Model] | Iterable[AbstractBaseUser]
ALLOWED = "a user, a group, an iterable of users, or a queryset of users"


class Recipients(NamedTuple):
    """Active members of the current tenant, with a description for the audit log.

    They are the users of a queryset, or the users with `keys`, all of whom must exist.
    """

    description: str
    queryset: QuerySet[AbstractBaseUser] | None = None
    keys: Collection[object] = ()

    @property
    def users(self) -> QuerySet[AbstractBaseUser]:
        return members().filter(pk__in=self.keys) if self.queryset is None else self.queryset

    @classmethod
    def of(cls, recipients: "Addressees | Recipients") -> "Recipients":
        """Resolve `recipients` in the current schema. Raises TypeError for invalid recipients."""
        if isinstance(recipients, Recipients):
            return recipients
        if isinstance(recipients, AbstractBaseUser):
            return cls._from_users([recipients], f"user {recipients.pk}")
        if isinstance(recipients, Group):
            check_tenant(recipients)
            require_groups()
            return cls(_name(recipients), members().filter(Q(groups=recipients.pk)))
        if isinstance(recipients, QuerySet):
            return cls._from_queryset(recipients)
        if isinstance(recipients, Iterable) and not isinstance(recipients, str | bytes | dict):
            users = list(recipients)
            return cls._from_users(users, f"{len(users)} people")
        raise TypeError(f"recipients is {recipients!r}: use {ALLOWED}.")

    @classmethod
    def chosen(cls, groups: Collection[Group], people: Collection[AbstractBaseUser]) -> "Recipients":
        """Return the active members of `groups` and the active `people`, without duplicates."""
        for one in (*groups, *people):
            check_tenant(one)
        if groups:
            require_groups()
        found = Q(pk__in=_keys_of_people_in(groups)) | Q(pk__in=[person.pk for person in people])
        names = [_name(group) for group in groups] + ([f"{len(people)} people"] if people else [])
        return cls(", ".join(names), members().filter(found))

    @classmethod
    def _from_queryset(cls, people: QuerySet[Model]) -> "Recipients":
        if not issubclass(people.model, get_user_model()):
            raise TypeError(f"recipients is a queryset of {people.model._meta.verbose_name_plural}: use {ALLOWED}.")
        # A union cannot be filtered, and an ordered one not reduced to its keys: it is evaluated here.
        rows = using_primary(people)
        keys = [person.pk for person in rows] if people.query.combinator else rows.values("pk")
        return cls("people by a query", members().filter(pk__in=keys))

    @classmethod
    def _from_users(cls, users: Collection[AbstractBaseUser], name: str) -> "Recipients":
        for user in users:
            if not isinstance(user, AbstractBaseUser):
                raise TypeError(f"recipients contains {user!r}: use {ALLOWED}.")
            check_tenant(user)
        ids = {user.pk for user in users}
        if None in ids:
            raise RecipientUnavailable
        return cls(name, keys=ids)


def inactive_in(groups: Collection[Group]) -> QuerySet[AbstractBaseUser]:
    """Return the inactive members of `groups`, who receive nothing."""
    return inactive_members().filter(pk__in=_keys_of_people_in(groups))


def _keys_of_people_in(groups: Collection[Group]) -> QuerySet[Model, object]:
    return keys_of_people_in(Group.objects.filter(pk__in=[group.pk for group in groups]))


def _name(group: Group) -> str:
    return f"group {group.pk} ({group.name})"
