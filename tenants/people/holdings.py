"""Compare the permissions of a user with those that they would grant, which must not be more."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from django.contrib.auth.models import Group, Permission
from django.db.models import Q, QuerySet
from guardian.utils import get_group_obj_perms_model, get_user_obj_perms_model

from tenants.people.models import User


@dataclass(frozen=True)
class Holdings:
    """The permissions of a user or of groups, on all objects and on single ones.

    They are read from the tables of the current organisation. Whether the user is active is ignored, because they could
    be activated later.
    """

    is_superuser: bool
    permissions: frozenset[int]
    on_objects: frozenset[tuple[int, str]]

    @classmethod
    def of_person(cls, person: User) -> Self:
        """Return the permissions of `person`, including those of their groups."""
        groups = Group.objects.filter(user=person.pk)
        held = Permission.objects.filter(Q(user=person.pk) | Q(group__in=groups))
        own = get_user_obj_perms_model()._default_manager.filter(user=person.pk)
        return cls(
            is_superuser=person.is_superuser,
            permissions=frozenset(held.values_list("pk", flat=True)),
            on_objects=frozenset(own.values_list("permission", "object_pk")) | _on_objects(groups),
        )

    @classmethod
    def of_group(cls, group: Group) -> Self:
        """Return the permissions of the members of `group` by the group."""
        return cls(
            is_superuser=False,
            permissions=frozenset(group.permissions.values_list("pk", flat=True)),
            on_objects=_on_objects([group]),
        )

    def include(self, other: "Holdings") -> bool:
        """Tell whether these permissions include all of `other`."""
        if self.is_superuser:
            return True
        on_others = {each for each in other.on_objects if each[0] not in self.permissions}
        return not other.is_superuser and other.permissions <= self.permissions and on_others <= self.on_objects

    def included_groups(self) -> QuerySet[Group]:
        """Return the groups whose permissions are included in these."""
        if self.is_superuser:
            return Group.objects.all()
        beyond = Permission.objects.exclude(pk__in=self.permissions)
        on_objects = get_group_obj_perms_model()._default_manager.filter(permission__in=beyond)
        rows = on_objects.values_list("group", "permission", "object_pk")
        too_much = {group for group, *on_object in rows if tuple(on_object) not in self.on_objects}
        return Group.objects.exclude(permissions__in=beyond).exclude(pk__in=too_much)


def _on_objects(groups: Iterable[Group]) -> frozenset[tuple[int, str]]:
    rows = get_group_obj_perms_model()._default_manager.filter(group__in=groups)
    return frozenset(rows.values_list("permission", "object_pk"))
