"""Grants: who holds `send_message` and `send_group_message` on whom. Only this module queries guardian.

Grants are rows of guardian in the tables of the current schema, so that guardian's own functions read and write them as
well. Permissions on all users or groups are rows of Django.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import Enum
from typing import Any, Final, NamedTuple

from django.apps import apps
from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType
from django.db.models import (
    BigIntegerField,
    Case,
    CharField,
    Exists,
    IntegerField,
    ManyToManyField,
    Model,
    Q,
    QuerySet,
    TextField,
    Value,
    When,
)
from django.db.models.functions import Cast
from django.db.models.lookups import In
from django.db.models.signals import m2m_changed, post_delete, post_save
from django_tenants.utils import get_tenant_model
from guardian.shortcuts import assign_perm, remove_perm
from guardian.utils import get_group_obj_perms_model, get_user_obj_perms_model

from messages_extends.access.membership import Person
from messages_extends.access.permissions import (
    SEND_GROUP_MESSAGE,
    SEND_MESSAGE,
    Right,
    send_group_message,
    send_message,
)
from messages_extends.models.announcement import keys_of_groups_of
from messages_extends.models.audit import Action, log_event
from messages_extends.tenancy.databases import using_primary, write_database
from messages_extends.tenancy.origin import check_tenant
from messages_extends.tenancy.schemas import (
    current_schema,
    has_messages,
    in_schema,
    is_per_tenant,
    require_groups,
    user_model_has,
)
from messages_extends.tenancy.table_location import schemas_with


class All(Enum):
    EVERYBODY = "everybody"
    EVERY_GROUP = "every group"


EVERYBODY: Final = All.EVERYBODY
"""The target of the model-wide grant: everybody in the organisation, those to come included."""
EVERY_GROUP: Final = All.EVERY_GROUP
"""The target of the model-wide grant on groups: the members of each, and of those to come."""

Target = Model | All
# A key that guardian has written for an integer; a longer number would not fit into any integer column.
NUMBER: Final = r"^(0|[1-9][0-9]{0,17})$"
# The smallest bigint of PostgreSQL, which no sequence generates.
NOBODYS: Final = -(2**63)

# The user who grants or revokes, for the audit log; guardian's own functions do not set it.
_actor: ContextVar[AbstractBaseUser | None] = ContextVar("messages_extends.access.grants.actor", default=None)


# Reading ------------------------------------------------------------------------------------------------------------


def model_wide(user: Person, *rights: Right) -> Q:
    """Return the condition that `user` is a superuser, or holds one of `rights` on all, possibly by a group.

    It does not refer to the rows of the query, so that the database evaluates it once.
    """
    holds = granted_on_all(user, *rights)
    if knows_superusers():
        holds |= Q(Exists(get_user_model()._base_manager.filter(Q(pk=user.pk, is_superuser=True))))
    return holds


def knows_superusers() -> bool:
    """Tell whether the user model has the fields of Django's PermissionsMixin, rather than permissions elsewhere."""
    return user_model_has("is_superuser")


def granted_on_all(user: Person, *rights: Right) -> Q:
    """Return the condition of `holds_on_all` for a user who is not a superuser."""
    wanted = Q()
    for right in rights:
        wanted |= right.rows
    holds = Q(Exists(Permission.objects.filter(wanted, group__in=keys_of_groups_of(user))))
    if user_model_has("user_permissions"):
        # PermissionsMixin has this field, AbstractBaseUser does not.
        holds |= Q(Exists(user.user_permissions.filter(wanted)))  # type: ignore[union-attr]
    return holds


def by_user(user: Person, right: Right) -> QuerySet[Any]:
    """Return guardian's rows by which `user` holds `right` on an object directly."""
    return _rows(get_user_obj_perms_model(), right).filter(user=user.pk)


def by_groups(user: Person, right: Right) -> QuerySet[Any]:
    """Return guardian's rows by which a group of `user` holds `right` on an object."""
    return _rows(get_group_obj_perms_model(), right).filter(group__in=keys_of_groups_of(user))


def grant_models() -> tuple[type[Model], type[Model]]:
    """Return guardian's models of object permissions: of users and of groups."""
    return get_user_obj_perms_model(), get_group_obj_perms_model()


def _rows(model: Any, right: Right) -> QuerySet[Model]:
    # guardian has no type hints.
    # The permission is compared by its codename and in SQL, because its primary key differs between schemas and content
    # types are cached per process.
    named = {"permission__codename": right.codename, "permission__content_type__app_label": right.app_label}
    rows: QuerySet[Model] = model.objects.filter(**named)
    return rows


class Held(NamedTuple):
    """A grant. Kinds are "user" and "group", and those of `All` for targets; keys are strings, empty for `All`."""

    holder_kind: str
    holder_key: str
    target_kind: str
    target_key: str


def held(
    *, people: QuerySet[AbstractBaseUser] | None = None, groups: QuerySet[Group] | None = None
) -> QuerySet[Model, tuple[str, ...]]:
    """Return all grants of this organisation, sorted by their holders' names, as rows of a name and the values of Held.

    With `people` and `groups`, return only grants whose holder or target is among them. One query.
    """
    login = get_user_model().USERNAME_FIELD
    first, *others = [
        *_held_on_objects(get_user_obj_perms_model(), "user", f"user__{login}", people, groups),
        *_held_on_objects(get_group_obj_perms_model(), "group", "group__name", people, groups),
        *_held_on_all(get_user_model(), "user", login, people),
        *_held_on_all(Group, "group", "name", groups),
    ]
    return first.union(*others, all=True).order_by("held_name", *(f"held_{field}" for field in Held._fields))


def _held_on_objects(
    model: type[Model], kind: str, name: str, people: QuerySet[AbstractBaseUser] | None, groups: QuerySet[Group] | None
) -> Iterator[QuerySet[Model, tuple[str, ...]]]:
    holders = people if kind == "user" else groups
    for right, target_kind, targets in ((send_message(), "user", people), (send_group_message(), "group", groups)):
        rows = _rows(model, right)
        if holders is not None and targets is not None:
            keys = targets.order_by().values_list(Cast("pk", CharField()), flat=True)
            rows = rows.filter(Q(**{f"{kind}__in": holders.order_by().values("pk")}) | Q(object_pk__in=keys))
        yield _as_held(rows, name, Value(kind), kind, Value(target_kind), "object_pk")


def _held_on_all(
    model: type[Model], kind: str, name: str, among: QuerySet[Model] | None
) -> Iterator[QuerySet[Model, tuple[str, ...]]]:
    everyone = model._base_manager.all()
    holders = everyone if among is None else everyone.filter(pk__in=among.order_by().values("pk"))
    for field in _permission_fields(model):
        for right, target in ((send_message(), EVERYBODY), (send_group_message(), EVERY_GROUP)):
            rows = holders.filter(**{f"{field.name}__in": Permission.objects.filter(right.rows)})
            yield _as_held(rows, name, Value(kind), "pk", Value(target.value), Value(""))


def _as_held(rows: QuerySet[Model], name: str, *columns: str | Value) -> QuerySet[Model, tuple[str, ...]]:
    # The branches of a union need the same types.
    named = dict(zip(("held_name", *(f"held_{field}" for field in Held._fields)), (name, *columns), strict=True))
    as_text = {alias: Cast(column, TextField()) for alias, column in named.items()}
    found: QuerySet[Model, tuple[str, ...]] = rows.order_by().annotate(**as_text).values_list(*as_text)
    return found


def is_held(holder: Model, target: Target) -> bool:
    """Tell whether this grant exists itself, rather than being implied by another one."""
    right = _right(target)
    if isinstance(target, All):
        rights = [getattr(holder, field.name) for field in _permission_fields(type(holder))]
        return any(using_primary(each.filter(right.rows)).exists() for each in rights)
    model, kind = (
        (get_group_obj_perms_model(), "group") if isinstance(holder, Group) else (get_user_obj_perms_model(), "user")
    )
    return using_primary(_rows(model, right).filter(**{kind: holder.pk}, object_pk=str(target.pk))).exists()


def on_object(user: Person, right: Right) -> Q:
    """Return the condition for the objects on which `user`, or one of their groups, holds `right`."""
    if isinstance(_model_of(right)._meta.pk, IntegerField):
        return Q(pk__in=keys_on_object(user, right))
    # guardian stores primary keys as text. Casting them would be an error for text that is not a valid key.
    key = Cast("pk", CharField())
    return Q(In(key, by_user(user, right).values("object_pk"))) | Q(In(key, by_groups(user, right).values("object_pk")))


def keys_on_object(user: Person, right: Right) -> QuerySet[Any]:
    """Return the primary keys of the objects on which `user`, or one of their groups, holds `right`.

    It is one list for both, because each further list would be searched for every object. Some of the objects may have
    been deleted.
    """
    model = _model_of(right)
    if isinstance(model._meta.pk, IntegerField):
        return _numbers(by_user(user, right)).union(_numbers(by_groups(user, right)), all=True)
    return model._base_manager.filter(on_object(user, right)).values("pk")


def _model_of(right: Right) -> type[Model]:
    return Group if right == send_group_message() else get_user_model()


def _numbers(rows: QuerySet[Model]) -> QuerySet[Model, object]:
    """Return guardian's object keys as numbers, so that the primary key of each object need not be cast to text."""
    # PostgreSQL may cast a value before it applies a condition that excludes it; CASE prevents that. NULL is replaced,
    # because NOT IN with a NULL in the list is never true.
    number = Case(When(object_pk__regex=NUMBER, then=Cast("object_pk", BigIntegerField())), default=Value(NOBODYS))
    numbers: QuerySet[Model, object] = rows.annotate(number=number).values("number")
    return numbers


# Writing ------------------------------------------------------------------------------------------------------------


def grant(holder: Model, target: Target, *, by: AbstractBaseUser | None = None) -> None:
    """Let `holder`, a user or a group, write to `target`: a user, a group's members, EVERYBODY or EVERY_GROUP.

    Granting again changes nothing. `by` is the user who grants, for the audit log. Raises WrongTenant if an object was
    loaded in another tenant, NoGroups if the user model has no groups, and TypeError for other objects.
    """
    _require_usable(holder, target, by)
    if target is EVERY_GROUP or Group in {type(holder), type(target)}:
        require_groups()
    with _recorded_as(by):
        assign_perm(str(_right(target)), holder, *_object(target))


def revoke(holder: Model, target: Target, *, by: AbstractBaseUser | None = None) -> None:
    """Revoke the grant with the same holder and target. A grant that does not exist is not an error."""
    _require_usable(holder, target, by)
    with _recorded_as(by):
        remove_perm(str(_right(target)), holder, *_object(target))


def _require_usable(holder: Model, target: Target, by: AbstractBaseUser | None) -> None:
    if not isinstance(holder, get_user_model() | Group):
        raise TypeError(f"{holder!r} cannot hold a grant: use a user or a group.")
    if not isinstance(target, get_user_model() | Group | All):
        raise TypeError(f"{target!r} cannot be written to: use a user, a group, EVERYBODY or EVERY_GROUP.")
    for one in (holder, target, by):
        check_tenant(one)


def _right(target: Target) -> Right:
    return send_group_message() if isinstance(target, Group) or target is EVERY_GROUP else send_message()


def _object(target: Target) -> tuple[Model, ...]:
    return () if isinstance(target, All) else (target,)


@contextmanager
def _recorded_as(actor: AbstractBaseUser | None) -> Iterator[None]:
    token = _actor.set(actor)
    try:
        yield
    finally:
        _actor.reset(token)


# The record ---------------------------------------------------------------------------------------------------------


def connect() -> None:
    """Log all grants and revocations, by whatever function they are made; delete grants with their target."""
    if not apps.is_installed("guardian"):
        return
    for rows in (get_user_obj_perms_model(), get_group_obj_perms_model()):
        post_save.connect(_record_row, sender=rows, dispatch_uid="messages_extends.access.grants")
        post_delete.connect(_record_row, sender=rows, dispatch_uid="messages_extends.access.grants")
    holders = (get_user_model(), Group)
    for through in [field.remote_field.through for model in holders for field in _permission_fields(model)]:
        m2m_changed.connect(_record_model_wide, sender=through, dispatch_uid="messages_extends.access.grants")
    for model in apps.get_models():
        if issubclass(model, holders):
            post_delete.connect(_remove_grants_on, sender=model, dispatch_uid="messages_extends.access.grants")


def _permission_fields(model: type[Model]) -> "list[ManyToManyField[Model, Model]]":
    return [field for field in model._meta.many_to_many if field.related_model is Permission]


def _is_ours(permission: Permission) -> bool:
    app_label = ContentType.objects.db_manager(write_database()).get_for_id(permission.content_type_id).app_label
    return Right(app_label, permission.codename) in (send_message(), send_group_message())


def _record_row(instance: Any, created: bool | None = None, **_signal: object) -> None:
    """Log a row of guardian that was inserted (`created`) or deleted (None)."""
    if created is False or not _is_ours(instance.permission):
        return
    kind = "group" if instance.permission.codename == SEND_GROUP_MESSAGE else "user"
    holder = f"group {instance.group_id}" if hasattr(instance, "group_id") else f"user {instance.user_id}"
    _record(Action.GRANT if created else Action.REVOKE, f"{kind} {instance.object_pk}", holder)


def _record_model_wide(instance: Any, action: str, reverse: bool, pk_set: set[Any] | None, **_signal: object) -> None:
    """Log a permission on all that was granted or revoked, from the holder's side or, in reverse, the permission's."""
    logged = {"post_add": Action.GRANT, "post_remove": Action.REVOKE}.get(action)
    if logged is None or not pk_set or (reverse and not _is_ours(instance)):
        return
    permissions = [instance] if reverse else filter(_is_ours, using_primary(Permission.objects.filter(pk__in=pk_set)))
    holders = pk_set if reverse else {instance.pk}
    kind = "group" if _signal["sender"] is Group.permissions.through else "user"
    for permission in permissions:
        for holder in holders:
            _record(logged, "everybody" if permission.codename == SEND_MESSAGE else "every group", f"{kind} {holder}")


def _record(action: str, target: str, holder: str) -> None:
    # The log contains primary keys instead of names, except the actor's: other names could not be erased. The public
    # schema has no log.
    if has_messages(current_schema()):
        log_event(action, actor=_actor.get(), subject=f"to write to {target}", audience=holder)


# Their end ----------------------------------------------------------------------------------------------------------


def _remove_grants_on(instance: Model, **_signal: object) -> None:
    """Delete the grants on a user or group that was deleted, in every tenant that has such grants."""
    right, here = _right(instance), current_schema()
    if is_per_tenant(instance._meta.app_label):
        schemas = [here] if has_messages(here) else []
    else:
        found = schemas_with(get_user_obj_perms_model()._meta.db_table)
        tenants = using_primary(get_tenant_model()._default_manager.filter(schema_name__in=found))
        schemas = list(tenants.values_list("schema_name", flat=True))
    for schema in schemas:
        with in_schema(schema):
            for rows in (get_user_obj_perms_model(), get_group_obj_perms_model()):
                _rows(rows, right).filter(object_pk=str(instance.pk)).delete()


def orphaned_grants() -> list[QuerySet[Model]]:
    """Return guardian's rows in this schema whose target no longer exists, as querysets that can be deleted.

    They are usually deleted with their target, and remain if it was deleted without Django.
    """
    return [
        _rows(holders(), right).exclude(
            object_pk__in=model._base_manager.values_list(Cast("pk", CharField()), flat=True)
        )
        for holders in (get_user_obj_perms_model, get_group_obj_perms_model)
        for right, model in ((send_message(), get_user_model()), (send_group_message(), Group))
    ]


def remove_orphaned_grants() -> int:
    """Delete the grants in this schema whose target no longer exists; return their number."""
    return sum(orphans.delete()[0] for orphans in orphaned_grants())
