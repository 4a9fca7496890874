"""How often one person may send, counted in the audit records, so that all processes share one count."""

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import connections, router
from django.db.models import DateTimeField, ExpressionWrapper, F, QuerySet, Value
from django.utils import timezone
from django.utils.translation import ngettext

from messages_extends.access.sql import LOCK_SENDER
from messages_extends.conf import PERIODS, settings
from messages_extends.exceptions import RateLimitExceeded
from messages_extends.models.audit import Action, AuditRecord, BaseAuditRecord, actor_id_of
from messages_extends.queries import compiled
from messages_extends.tenancy.schemas import current_schema

# Retracting is none of them: what was wrong can always be taken back.
LIMITED_ACTIONS: Final = (Action.SEND, Action.ANNOUNCE, Action.BROADCAST, Action.REVISE)


def check_rate_limit(sender: AbstractBaseUser | None, *, records: type[BaseAuditRecord] = AuditRecord) -> None:
    """Raise RateLimitExceeded if `sender` has sent as often as SEND_LIMITS allows; None, the application, has no limit.

    Call it in the transaction that then logs the action: whatever else this sender does waits until that has ended,
    so that requests at once cannot exceed a limit together. `records` is the model that counts.
    """
    limits = settings.send_limits
    if sender is None or not limits:
        return
    actor, using = actor_id_of(sender.pk), router.db_for_write(records)
    _wait_for_others(f"{current_schema()}.{records._meta.label}: {actor}", using)
    now = timezone.now()
    since = {f"since_{period}": now - _length(period) for period in limits}
    found = compiled.rows(free_times, {"actor": actor, **since}, using, records=records, limits=tuple(limits.items()))
    free_at = max((at for (at,) in found), default=None)
    if free_at is not None:
        seconds = max(1, math.ceil((free_at - now).total_seconds()))
        raise RateLimitExceeded(_wait_message(seconds), retry_after=seconds)


def _wait_for_others(sender_key: str, database: str) -> None:
    with connections[database].cursor() as cursor:
        cursor.execute(LOCK_SENDER, {"sender_key": sender_key})


def free_times(
    actor: str, *, records: type[BaseAuditRecord], limits: Sequence[tuple[str, int]], **since: datetime
) -> QuerySet[Any, Any]:
    """Return, for each period whose limit is reached, when it leaves room for one more; `since`: when each began."""
    done = records._default_manager.filter(actor_id=actor, action__in=LIMITED_ACTIONS)
    first, *others = [
        done.filter(recorded_at__gt=since[f"since_{period}"])
        .order_by("-recorded_at")
        .values_list(ExpressionWrapper(F("recorded_at") + Value(_length(period)), DateTimeField()))[limit - 1 : limit]
        for period, limit in limits
    ]
    # Without the model's own order, which a union without its columns cannot have: Django 6 refuses to try.
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
