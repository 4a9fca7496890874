"""Checks that refuse: called before anything is written, in the transaction that writes it."""

from collections.abc import Sequence
from typing import Any, Final, cast

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.exceptions import EmptyResultSet, PermissionDenied
from django.db import connections
from django.db.models import BooleanField, Exists, Func, QuerySet
from django.utils.translation import gettext

from messages_extends.access.membership import inactive_as_members, may_act, member, members
from messages_extends.access.policy import policy
from messages_extends.conf import settings
from messages_extends.exceptions import RecipientUnavailable
from messages_extends.tenancy.databases import write_database
from messages_extends.tenancy.schemas import current_schema, is_public

# The people are chosen once, as a random or sliced queryset finds others whenever it is evaluated. They are compared as
# arrays, by their index: joins of what has no index take hours where the statistics of the table are old. Ordered, so
# that two who send to the same people wait for each other and never deadlock. Locking is a statement of its own because
# Citus accepts no lock in INSERT ... SELECT.
LOCK_CHOSEN: Final = """
WITH messages_extends_chosen (key) AS MATERIALIZED ({chosen})
SELECT person.{key},
    (SELECT count(DISTINCT key) FROM messages_extends_chosen WHERE key IS DISTINCT FROM %s),
    (SELECT count(DISTINCT key) FROM ({reachable}) AS found (key) WHERE key IS DISTINCT FROM %s)
FROM {people} AS person WHERE person.{key} = ANY(ARRAY(SELECT key FROM messages_extends_chosen))
ORDER BY person.{key} FOR KEY SHARE OF person
"""

NO_ROWS: Final = "SELECT {key} FROM {people} WHERE false"

IS_CHOSEN: Final = "%(expressions)s = ANY(ARRAY(SELECT key FROM messages_extends_chosen))"


def require_may_send(
    sender: Any, recipients: QuerySet[Any], *, exactly: int | None = None, inactive: bool = False
) -> list[Any]:
    """Return the keys of the active members among `recipients`, after checking that `sender` may write to all of them.

    Write to these keys and to nobody else: a queryset that is evaluated again may find other people. They cannot be
    deleted until the transaction ends. One query. `sender` may be None, the application, which may write to everybody.

    Raises RecipientUnavailable unless there are `exactly` so many; PermissionDenied, which names nobody, for a sender
    who is inactive or may not write to all. Everybody may write to themselves. With `inactive`, recipients who are
    count as if they were active.
    """
    if sender is not None and not may_act(sender):
        raise PermissionDenied(gettext("An inactive person cannot send messages."))
    with inactive_as_members(when=inactive):
        chosen = members().filter(pk__in=recipients.order_by().values("pk"))
        reachable = None if sender is None else policy().recipients_for(sender)
    if inactive and reachable is not None:
        reachable = reachable.filter(Exists(member(sender)))
    keys, may = _locked(chosen, sender, reachable)
    if exactly is not None and len(keys) != exactly:
        raise RecipientUnavailable
    if not may:
        raise PermissionDenied(gettext("You may not write to some of the recipients you chose."))
    return keys


def _locked(people: QuerySet[Any], sender: Any, reachable: QuerySet[Any] | None) -> tuple[list[Any], bool]:
    """Lock `people`; return their keys, and whether all others than the sender are among the `reachable`.

    Choosing, asking and locking are one statement, so that all three are about the same people.
    """
    connection = connections[write_database()]
    model: Any = get_user_model()._meta
    names = {
        "key": connection.ops.quote_name(model.pk.column),
        "people": connection.ops.quote_name(model.db_table),
    }
    try:
        chosen, params = people.order_by().values("pk").query.get_compiler(connection=connection).as_sql()
    except EmptyResultSet:
        # Django finds out by itself that these are nobody: `filter(pk__in=[])`.
        return [], True
    found, more_params = _among_chosen(reachable) or (NO_ROWS.format(**names), ())
    oneself = None if sender is None else model.pk.get_db_prep_value(sender.pk, connection)
    with connection.cursor() as cursor:
        statement = LOCK_CHOSEN.format(chosen=chosen, reachable=found, **names)
        cursor.execute(statement, [*params, oneself, *more_params, oneself])
        rows = cursor.fetchall()
    return [key for key, *_counts in rows], sender is None or all(others == allowed for _key, others, allowed in rows)


def _among_chosen(people: QuerySet[Any] | None) -> tuple[str, Sequence[Any]] | None:
    """Return a statement for the keys of those of `people` who are chosen; None if there are none."""
    if people is None:
        return None
    is_chosen = Func("pk", template=IS_CHOSEN, output_field=BooleanField())
    try:
        found: Any = people.filter(is_chosen).order_by().values("pk")
        compiler = found.query.get_compiler(connection=connections[write_database()])
        return cast(tuple[str, Sequence[Any]], compiler.as_sql())
    except EmptyResultSet:
        return None


def require_may_announce(sender: Any, groups: QuerySet[Group] | None) -> None:
    """Raise PermissionDenied unless `sender` may announce to these groups, or, with None, to everybody."""
    if sender is not None and not policy().may_announce(sender, groups):
        raise PermissionDenied(gettext("You may not announce to some of the groups you chose."))


def require_may_change(sender: Any, announcement: Any) -> None:
    """Raise PermissionDenied unless `sender` may revise or retract this announcement."""
    if sender is not None and not policy().may_change(sender, announcement):
        raise PermissionDenied(gettext("You may not change this announcement."))


def require_may_broadcast(sender: Any, action: str = "add") -> None:
    """Raise PermissionDenied unless `sender` may do so: the platform's staff, or None, the application.

    The application may while the current schema is public or the platform's: a tenant's code may not.
    """
    if sender is not None:
        allowed = policy().may_broadcast(sender, action)
    else:
        allowed = is_public(current_schema()) or current_schema() == settings.platform_schema
    if not allowed:
        raise PermissionDenied(gettext("Only the platform's staff may write to every organisation."))
