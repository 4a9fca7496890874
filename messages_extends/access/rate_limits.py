"""Rate limits per sender. The audit records are counted, so that all processes share one count."""

import math
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final, NamedTuple

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import connections, router
from django.db.models import DateTimeField, ExpressionWrapper, F, QuerySet, Value
from django.utils import timezone
from django.utils.translation import ngettext

from messages_extends.access.sql import FEWER_RECORDS, LOCK_SENDER
from messages_extends.conf import PERIODS, settings
from messages_extends.exceptions import RateLimitExceeded
from messages_extends.models.audit import Action, AuditRecord, BaseAuditRecord, actor_id_of
from messages_extends.queries import compiled
from messages_extends.tenancy.schemas import current_schema

# Retracting does not count, so that a mistake can always be corrected.
LIMITED_ACTIONS: Final = (Action.SEND, Action.ANNOUNCE, Action.BROADCAST, Action.REVISE)
# The number of records that a condition reads: enough for the usual limits, and for a higher one while fewer have been
# sent. `check_rate_limit` reads as many as the limit says.
MAX_COUNTED: Final = 10_000


def check_rate_limit(sender: AbstractBaseUser | None, *, records: type[BaseAuditRecord] = AuditRecord) -> None:
    """Raise RateLimitExceeded if `sender` has reached a limit of SEND_LIMITS; None, the application, has no limit.

    Call it in the transaction that then logs the action. Other actions of the sender wait until this transaction ends,
    so that concurrent requests cannot exceed a limit together. `records` is the model whose rows are counted.
    """
    limits = settings.send_limits
    if sender is None or not limits:
        return
    actor, using = actor_id_of(sender.pk), router.db_for_write(records)
    with connections[using].cursor() as cursor:
        cursor.execute(LOCK_SENDER, {"sender_key": _sender_key(actor, records)})
    now = timezone.now()
    values = {"actor": actor, **_beginnings(limits, now)}
    found = compiled.rows(free_times, values, using, records=records, limits=tuple(limits.items()))
    free_at = max((at for (at,) in found), default=None)
    if free_at is not None:
        seconds = max(1, math.ceil((free_at - now).total_seconds()))
        raise RateLimitExceeded(_wait_message(seconds), retry_after=seconds)


class LimitCondition(NamedTuple):
    """The check of `check_rate_limit` as a part of a statement that writes.

    `before` must be sent first; it waits for other transactions of the same sender. It is a separate statement, because
    a statement sees only what was committed when it began.
    """

    before: list[str]
    sql: str
    values: dict[str, Any]


def limit_condition(sender: AbstractBaseUser, now: datetime, using: str) -> LimitCondition:
    """Return the condition that `sender` may write once more.

    It reads at most MAX_COUNTED records, and is false if a greater limit would need more.
    """
    limits = settings.send_limits
    if not limits:
        return LimitCondition([], "true", {})
    actor = actor_id_of(sender.pk)
    values = {"actor": actor, "sender_key": _sender_key(actor, AuditRecord), **_beginnings(limits, now)}
    return LimitCondition([LOCK_SENDER], _fewer_than(tuple(limits.items()), using), values)


@lru_cache
def _fewer_than(limits: Sequence[tuple[str, int]], using: str) -> str:
    names = {
        "records": connections[using].ops.quote_name(AuditRecord._meta.db_table),
        "actions": ", ".join(f"'{action}'" for action in LIMITED_ACTIONS),
    }
    return " AND ".join(
        FEWER_RECORDS.format(period=period, others=min(limit, MAX_COUNTED) - 1, **names) for period, limit in limits
    )


def _sender_key(actor: str, records: type[BaseAuditRecord]) -> str:
    return f"{current_schema()}.{records._meta.label}: {actor}"


def _beginnings(limits: Iterable[str], now: datetime) -> dict[str, datetime]:
    return {f"since_{period}": now - _length(period) for period in limits}


def free_times(
    actor: str, *, records: type[BaseAuditRecord], limits: Sequence[tuple[str, int]], **since: datetime
) -> QuerySet[Any, Any]:
    """Return when each period whose limit is reached has room for one more; `since` is when each period began."""
    done = records._default_manager.filter(actor_id=actor, action__in=LIMITED_ACTIONS)
    first, *others = [
        done.filter(recorded_at__gt=since[f"since_{period}"])
        .order_by("-recorded_at")
        .values_list(ExpressionWrapper(F("recorded_at") + Value(_length(period)), DateTimeField()))[limit - 1 : limit]
        for period, limit in limits
    ]
    # Without the model's default ordering, which a union without those columns cannot have: Django 6 raises an error.
    rows: QuerySet[Any, Any] = first.union(*others, all=True).order_by() if others else first
    return rows


def _length(period: str) -> timedelta:
    return timedelta(seconds=PERIODS[period])


def _wait_message(seconds: int) -> str:
    minutes, hours = math.ceil(seconds / 60), math.ceil(seconds / 3600)
    if seconds < 60:
        count = seconds
        text = ngettext(
            "You are sending messages too quickly. Try again in %(count)s second.",
            "You are sending messages too quickly. Try again in %(count)s seconds.",
            count,
        )
    elif minutes < 60:
        count = minutes
        text = ngettext(
            "You are sending messages too quickly. Try again in %(count)s minute.",
            "You are sending messages too quickly. Try again in %(count)s minutes.",
            count,
        )
    else:
        count = hours
        text = ngettext(
            "You are sending messages too quickly. Try again in %(count)s hour.",
            "You are sending messages too quickly. Try again in %(count)s hours.",
            count,
        )
    return text % {"count": count}
