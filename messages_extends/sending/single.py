"""Send to one user with one statement, in cases in which that is equivalent to the steps in `messages`.

The statement writes if all conditions are true, and otherwise nothing. It does not tell the reason: the caller then
takes the single steps, which raise the error.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any, Final

from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import connections, router
from django.db.models.signals import post_init, post_save, pre_init, pre_save
from django.utils import timezone

from messages_extends.access.membership import may_act
from messages_extends.access.policy import pair_condition, policy
from messages_extends.access.policy_queries import member_condition
from messages_extends.access.rate_limits import limit_condition
from messages_extends.exceptions import RecipientUnavailable
from messages_extends.models import AuditRecord, Message
from messages_extends.models.audit import event_values
from messages_extends.queries.sql import Parameter, Shape, names_of_columns, names_of_people, shape_of, stored_values
from messages_extends.sending.constraints import translate_fk_violation
from messages_extends.sending.sql import INSERT_MESSAGE, NOTHING_ARCHIVED, WITH_RECORD
from messages_extends.tenancy.databases import atomic, write_database

NOW: Final = Parameter("now")


def write_to_one(key: object, values: Mapping[str, Any], event: Mapping[str, Any]) -> bool:
    """Write a message to the user with this key if all conditions are true; return whether it was written.

    `values` are the values of the message by field, without the times, and `event` the arguments of `log_event` for a
    message of a user. Outside a transaction it takes one round trip.
    """
    using, now, sender = write_database(), timezone.now(), values["sender"]
    values = {**values, "created": NOW, "modified": NOW}
    conditions, before, record = [member_condition(using)], [], {}
    if sender is not None:
        # Receivers of signals need an instance of the record, and another database needs a statement of its own.
        signals = (pre_init, post_init, pre_save, post_save)
        has_listeners = any(signal.has_listeners(AuditRecord) for signal in signals)
        if not may_act(sender) or has_listeners or router.db_for_write(AuditRecord) != using:
            return False
        limit = limit_condition(sender, now, using)
        conditions += [pair_condition(type(policy()), using), limit.sql]
        before, record = limit.before, event_values(**event) | {"recorded_at": NOW}
    if values["key"]:
        conditions.append(NOTHING_ARCHIVED.format(table=connections[using].ops.quote_name(Message._meta.db_table)))
    known = tuple([each for each in conditions if each is not None])
    if len(known) < len(conditions):
        return False
    shape, record_shape = shape_of(values), shape_of(record)
    parameters = stored_values(Message, {**values, "user": key}, shape, using)
    parameters |= stored_values(AuditRecord, record, record_shape, using)
    parameters["now"] = now
    if sender is not None:
        parameters |= limit.values | {"sender": parameters["message_sender"]}
    statement = _statement(get_user_model(), shape, record_shape, known, using)
    with suppress(RecipientUnavailable), translate_fk_violation():
        return _run([*before, statement], parameters, using)
    return False


@lru_cache(maxsize=512)
def _statement(
    people: type[AbstractBaseUser], message: Shape, record: Shape, conditions: Sequence[str], using: str
) -> str:
    user: Any = Message._meta.get_field("user")
    insert = INSERT_MESSAGE.format(
        **names_of_columns(Message, message, using),
        **names_of_people(using),
        user=connections[using].ops.quote_name(user.column),
        conditions=" AND ".join(conditions),
    )
    return WITH_RECORD.format(insert=insert, **names_of_columns(AuditRecord, record, using)) if record else insert


def _run(statements: Sequence[str], parameters: Mapping[str, Any], using: str) -> bool:
    """Run the statements in one transaction; return whether the last one returned a row.

    The server runs statements that are sent in one message in one transaction, each with its own snapshot.
    """
    # The backend of django-tenants has no type hints.
    connection: Any = connections[using]
    in_one_message = not connection.features.uses_server_side_binding or len(statements) == 1
    messages = [";".join(statements)] if in_one_message else statements
    if in_one_message and connection.get_autocommit():
        return _execute(messages, parameters, connection)
    with atomic():
        return _execute(messages, parameters, connection)


def _execute(messages: Sequence[str], parameters: Mapping[str, Any], connection: Any) -> bool:
    with connection.cursor() as cursor:
        for message in messages:
            cursor.execute(message, parameters)
        while cursor.nextset():
            pass
        return cursor.fetchone() is not None
