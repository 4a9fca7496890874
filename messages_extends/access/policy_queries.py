"""A short form of the policy's question about two users, which PostgreSQL plans in a third of the time."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType
from django.db import connections

from messages_extends.access.grants import grant_models
from messages_extends.access.membership import has_plain_managers
from messages_extends.access.permissions import send_group_message, send_message
from messages_extends.access.sql import (
    GROUP_OR_PERSON_KEY,
    GROUPS_OF_PERSON,
    HELD,
    HELD_BY_GROUP,
    IN_A_GROUP,
    MAY_WRITE_TO,
    ON_OBJECT,
    PERSON_KEY,
    RIGHT,
    SENDER_IS_ACTIVE,
)
from messages_extends.conf import settings
from messages_extends.queries.sql import names_of_people
from messages_extends.tenancy.schemas import user_model_has, users_are_shared


def member_condition(using: str) -> str | None:
    """Return the SQL condition that `person`, a row of the table of users, is an active member.

    Return None if only the queryset `members` can tell: with MEMBERS, with shared users, or if the user model has
    managers or parent tables of its own.
    """
    if settings.members or users_are_shared() or not has_plain_managers():
        return None
    return _flag(get_user_model(), "is_active", "person", using, missing="true")


@lru_cache
def condition_to_write(people: Any, using: str, *, to_everybody: bool) -> str | None:
    """Return the SQL condition that the user %(sender)s may write to the member `person`; None if it cannot be told.

    It is that of `Policy` or, `to_everybody`, of `AllowAll`, where `member_condition` is not None.
    """
    active = _flag(people, "is_active", "sender", using, missing="true")
    superuser = _flag(people, "is_superuser", "sender", using, missing="false")
    if active is None or superuser is None:
        return None
    names = names_of_people(using)
    if to_everybody:
        return SENDER_IS_ACTIVE.format(is_active=active, **names)
    quote = connections[using].ops.quote_name
    rights, groups = [RIGHT.format(**send_message()._asdict())], ""
    object_key = PERSON_KEY.format(**names)
    if user_model_has("groups"):
        memberships = _memberships(people, using)
        right = send_group_message()
        rights.append(f"{RIGHT.format(**right._asdict())} AND {IN_A_GROUP.format(**memberships)}")
        groups = GROUPS_OF_PERSON.format(codename=right.codename, **names, **memberships)
        object_key = GROUP_OR_PERSON_KEY.format(person_key=object_key, **memberships)
    return MAY_WRITE_TO.format(
        sender_is_active=f" AND {active}",
        sender_is_superuser=f" OR {superuser}",
        rights=" OR ".join(rights),
        groups=groups,
        holdings=" OR ".join(_holdings(people, ON_OBJECT.format(object_key=object_key), using)),
        content_types=quote(ContentType._meta.db_table),
        permissions=quote(Permission._meta.db_table),
        **names,
    )


@lru_cache
def _flag(people: Any, name: str, alias: str, using: str, *, missing: str) -> str | None:
    """Return a field of the user model as SQL, `missing` if it has none, and None if it is in another table."""
    field = next((field for field in people._meta.fields if field.name == name), None)
    if field is None:
        return missing
    if field.model._meta.db_table != people._meta.db_table:
        return None
    return f"{alias}.{connections[using].ops.quote_name(field.column)}"


def _holdings(people: Any, on_object: str, using: str) -> Iterator[str]:
    """Yield the conditions that the sender holds a right on all or on an object, directly or by a group."""
    by_users, by_groups = grant_models()
    if user_model_has("user_permissions"):
        yield HELD.format(**_permissions_of(people, "user_permissions", using), on_object="")
    yield HELD.format(**_grants_of(by_users, "user", using), on_object=on_object)
    if not user_model_has("groups"):
        return
    memberships = _memberships(people, using)
    yield HELD_BY_GROUP.format(**_permissions_of(Group, "permissions", using), **memberships, on_object="")
    grants = _grants_of(by_groups, "group", using)
    yield HELD_BY_GROUP.format(**grants, **memberships, on_object=on_object)


def _memberships(people: Any, using: str) -> dict[str, str]:
    quote, field = connections[using].ops.quote_name, people._meta.get_field("groups")
    return {
        "memberships": quote(field.remote_field.through._meta.db_table),
        "member": quote(field.m2m_column_name()),
        "group": quote(field.m2m_reverse_name()),
    }


def _permissions_of(holder: Any, name: str, using: str) -> dict[str, str]:
    quote, field = connections[using].ops.quote_name, holder._meta.get_field(name)
    return {
        "table": quote(field.remote_field.through._meta.db_table),
        "holder": quote(field.m2m_column_name()),
        "permission": quote(field.m2m_reverse_name()),
    }


def _grants_of(model: Any, holder: str, using: str) -> dict[str, str]:
    quote, options = connections[using].ops.quote_name, model._meta
    return {
        "table": quote(options.db_table),
        "holder": quote(options.get_field(holder).column),
        "permission": quote(options.get_field("permission").column),
    }
