"""Checks that raise an error. They are called before anything is written, in the transaction that writes it."""

from collections.abc import Collection
from contextlib import suppress
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.exceptions import EmptyResultSet, PermissionDenied
from django.db import connections
from django.db.models import Exists, QuerySet
from django.utils.translation import gettext

from messages_extends.access.membership import has_plain_managers, inactive_as_members, may_act, member, members
from messages_extends.access.policy import Policy, holds_for_everybody, policy
from messages_extends.access.sql import LOCK_CHOSEN, NO_PEOPLE, HasKey, IsChosen
from messages_extends.conf import settings
from messages_extends.exceptions import RecipientUnavailable
from messages_extends.queries.compiled import CompiledQuery, compiled_query
from messages_extends.queries.sql import names_of_people
from messages_extends.tenancy.databases import write_database
from messages_extends.tenancy.schemas import current_schema, is_public


def require_may_send(
    sender: Any, recipients: QuerySet[Any] | Collection[Any], *, exactly: int | None = None, inactive: bool = False
) -> list[Any]:
    """Return the keys of the active members among `recipients`, after checking that `sender` may write to all of them.

    `recipients` is a queryset of users, or primary keys. Write to the returned keys only: a queryset that is evaluated
    again may return other users. The users cannot be deleted until the transaction ends. It is one query. `sender` may
    be None, the application, which may write to everybody.

    Raises RecipientUnavailable unless the number of recipients is `exactly`, if given. Raises PermissionDenied, without
    any names, for a sender who is inactive or may not write to all recipients. Everybody may write to themselves. With
    `inactive`, inactive recipients are treated as active.
    """
    if sender is not None and not may_act(sender):
        raise PermissionDenied(gettext("An inactive person cannot send messages."))
    keys, may = _locked(recipients, sender, inactive=inactive)
    if exactly is not None and len(keys) != exactly:
        raise RecipientUnavailable
    if not may:
        raise PermissionDenied(gettext("You may not write to some of the recipients you chose."))
    return keys


def _locked(recipients: QuerySet[Any] | Collection[Any], sender: Any, *, inactive: bool) -> tuple[list[Any], bool]:
    """Lock the members among `recipients`; return their keys, and whether `sender` may write to all of them.

    Selecting, checking and locking are one statement, so that all three refer to the same users.
    """
    using, values = write_database(), {"sender": sender}
    names = names_of_people(using)
    try:
        if isinstance(recipients, QuerySet):
            chosen = CompiledQuery.of(members_among(recipients, inactive=inactive), using, "chosen")
        else:
            key = get_user_model()._meta.pk
            values |= {"keys": [key.get_db_prep_value(each, connections[using]) for each in recipients]}
            keep = has_plain_managers()
            chosen = compiled_query(members_with, {"keys": values["keys"]}, using, keep=keep, inactive=inactive)
    except EmptyResultSet:
        # Django raises it for a query that cannot have rows, such as `filter(pk__in=[])`.
        return [], True
    # An empty set for the application, which is not checked, and for a query that cannot have rows.
    reachable = CompiledQuery(NO_PEOPLE.format(**names), {}, using)
    if sender is not None:
        kind = type(policy())
        keep = holds_for_everybody(kind)
        with suppress(EmptyResultSet):
            reachable = compiled_query(
                reachable_among_chosen, {"sender": sender}, using, keep=keep, kind=kind, inactive=inactive
            )
    found = chosen.run({**values, **reachable.constants}, LOCK_CHOSEN, reachable=reachable.sql, **names)
    return [key for key, *_counts in found], sender is None or all(others == may for _key, others, may in found)


def members_among(people: QuerySet[Any], *, inactive: bool) -> QuerySet[Any, Any]:
    with inactive_as_members(when=inactive):
        return members().filter(pk__in=people.order_by().values("pk")).order_by().values("pk")


def members_with(keys: Any, *, inactive: bool) -> QuerySet[Any, Any]:
    has_key = HasKey("pk", keys, type=names_of_people(write_database())["type"])
    with inactive_as_members(when=inactive):
        return members().filter(has_key).order_by().values("pk")


def reachable_among_chosen(sender: Any, *, kind: type[Policy], inactive: bool) -> QuerySet[Any, Any]:
    with inactive_as_members(when=inactive):
        people = kind().reachable_people(sender)
    if inactive:
        people = people.filter(Exists(member(sender)))
    return people.filter(IsChosen("pk")).order_by().values("pk")


def require_may_announce(sender: Any, groups: QuerySet[Group] | None) -> None:
    """Raise PermissionDenied unless `sender` may announce to these groups, or to everybody if `groups` is None."""
    if sender is not None and not policy().may_announce(sender, groups):
        raise PermissionDenied(gettext("You may not announce to some of the groups you chose."))


def require_may_change(sender: Any, announcement: Any) -> None:
    """Raise PermissionDenied unless `sender` may revise or retract this announcement."""
    if sender is not None and not policy().may_change(sender, announcement):
        raise PermissionDenied(gettext("You may not change this announcement."))


def require_may_broadcast(sender: Any, action: str = "add") -> None:
    """Raise PermissionDenied unless `sender` may perform this action on broadcasts; None is the application.

    Users must be staff of the platform. The application may while the current schema is public or that of the platform,
    not in a tenant.
    """
    if sender is not None:
        allowed = policy().may_broadcast(sender, action)
    else:
        allowed = is_public(current_schema()) or current_schema() == settings.platform_schema
    if not allowed:
        raise PermissionDenied(gettext("Only the platform's staff may write to every organisation."))
