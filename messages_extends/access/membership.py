"""Who belongs to the current organisation, and who is in which of its groups."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser, Group
from django.db.models import Q, QuerySet
from django.db.models.manager import BaseManager

from messages_extends.conf import settings
from messages_extends.tenancy.databases import using_primary
from messages_extends.tenancy.origin import check_tenant
from messages_extends.tenancy.schemas import user_model_has

Person = AbstractBaseUser | AnonymousUser

_includes_inactive: ContextVar[bool] = ContextVar("messages_extends.access.membership.with_inactive", default=False)


def members() -> QuerySet[AbstractBaseUser]:
    """Return the active people of the current organisation."""
    people = people_here()
    return people.filter(Q(is_active=True)) if has_activity_flag(people) and not _includes_inactive.get() else people


@contextmanager
def inactive_as_members(*, when: bool) -> Iterator[None]:
    """Make `members` return inactive users as well `when` a queryset is built for how things are once they are active.

    Only build querysets in this block. Queries that are compiled or evaluated in it would treat inactive users as
    members.
    """
    token = _includes_inactive.set(when)
    try:
        yield
    finally:
        _includes_inactive.reset(token)


def inactive_members() -> QuerySet[AbstractBaseUser]:
    """Return the inactive people of the current organisation, who neither send nor receive."""
    people = people_here()
    return people.filter(Q(is_active=False)) if has_activity_flag(people) else people.none()


def people_here() -> QuerySet[AbstractBaseUser]:
    """Return all people of the current organisation, including inactive ones."""
    return settings.members() if settings.members else get_user_model()._default_manager.all()


def has_plain_managers() -> bool:
    """Tell whether the user model's managers return all rows; other managers may depend on the tenant or the time."""
    people: Any = get_user_model()
    managers = {type(people._default_manager), type(people._base_manager)}
    return all(manager.get_queryset is BaseManager.get_queryset for manager in managers)


def has_activity_flag(people: QuerySet[AbstractBaseUser]) -> bool:
    # A user model may not have this field: then everybody is active.
    return "is_active" in {field.name for field in people.model._meta.fields}


def may_act(sender: Person) -> bool:
    """Tell whether this user object can send at all, without a query: it is active and not anonymous."""
    check_tenant(sender)
    return bool(sender.pk is not None and sender.is_active)


def member(sender: Person) -> QuerySet[AbstractBaseUser]:
    """Return the members of the current organisation, if `sender` is one of them; otherwise none."""
    return members().filter(pk=sender.pk)


def is_active_member(sender: Person) -> bool:
    return may_act(sender) and using_primary(member(sender)).exists()


def groups_of(user: Person) -> QuerySet[Group]:
    """Return the groups of `user`; none if the user model has no groups."""
    # AbstractBaseUser has no field `groups`: PermissionsMixin adds it, or the host project.
    found: QuerySet[Group] = user.groups.all() if user_model_has("groups") else Group.objects.none()  # type: ignore[union-attr]
    return found


def keys_of_people_in(groups: QuerySet[Group] | QuerySet[Any, Any] | None) -> QuerySet[AbstractBaseUser, Any]:
    """Return the primary keys of the members of `groups`, or of all groups if it is None."""
    if not user_model_has("groups"):
        return get_user_model()._base_manager.none().values("pk")
    field: Any = get_user_model().groups
    in_them = {} if groups is None else {f"{field.field.m2m_reverse_field_name()}__in": groups}
    memberships: QuerySet[Any] = field.through._base_manager.filter(**in_them)
    return memberships.values(f"{field.field.m2m_field_name()}_id")
