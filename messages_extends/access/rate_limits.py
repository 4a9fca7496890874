"""How often one person may speak: counted in the records of what they did, so that every process counts the same."""

import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import connections
from django.db.models import DateTimeField, ExpressionWrapper, F, QuerySet, Value
from django.utils import timezone
from django.utils.translation import ngettext

from messages_extends.conf import PERIODS, settings
from messages_extends.exceptions import RateLimitExceeded
from messages_extends.models.audit import Action, AuditRecord, BaseAuditRecord, actor_id_of
from messages_extends.tenancy.databases import for_write
from messages_extends.tenancy.schemas import current_schema

# Retracting is none of them: what was wrong can always be taken back.
LIMITED_ACTIONS: Final = (Action.SEND, Action.ANNOUNCE, Action.BROADCAST, Action.REVISE)


def check_rate_limit(sender: AbstractBaseUser | None, *, records: type[BaseAuditRecord] = AuditRecord) -> None:
    """Raise TooManyMessages if `sender` has spoken as often as SEND_LIMITS allows; None is the application, which may.

    Call it in the transaction that then records the deed: whatever else this sender does waits until that has ended,
    so that requests at once cannot exceed a limit together. `records` is the model that counts.
    """
    limits = settings.send_limits
    if sender is None or not limits:
        return
    actor, deeds = actor_id_of(sender.pk), for_write(records._default_manager.all())
    _wait_for_others(f"{current_schema()}.{records._meta.label}: {actor}", deeds.db)
    now = timezone.now()
    free_at = _free_at(deeds.filter(actor_id=actor, action__in=LIMITED_ACTIONS), limits, now)
    if free_at is not None:
        seconds = max(1, math.ceil((free_at - now).total_seconds()))
        raise RateLimitExceeded(_wait_message(seconds), retry_after=seconds)


def _wait_for_others(speaker: str, database: str) -> None:
    """Hold, until the transaction ends, what everybody who speaks for this sender has to hold."""
    with connections[database].cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [speaker])


def _free_at(deeds: QuerySet[Any], limits: Mapping[str, int], now: datetime) -> datetime | None:
    """Return when all limits leave room for one more; None if they do now. One query, as long as the limits are."""
    first, *others = [
        deeds.filter(recorded_at__gt=now - _length(period))
        .order_by("-recorded_at")
        .values_list(ExpressionWrapper(F("recorded_at") + Value(_length(period)), DateTimeField()))[limit - 1 : limit]
        for period, limit in limits.items()
    ]
    # Without the model's own order, which a union without its columns cannot have: Django 6 refuses to try.
    rows: QuerySet[Any, Any] = first.union(*others, all=True).order_by() if others else first
    return max((at for (at,) in rows), default=None)


def _length(period: str) -> timedelta:
    return timedelta(seconds=PERIODS[period])


def _wait_message(seconds: int) -> str:
    minutes, hours = math.ceil(seconds / 60), math.ceil(seconds / 3600)
    if seconds < 60:
        text, count = _seconds(seconds), seconds
    elif minutes < 60:
        text, count = _minutes(minutes), minutes
    else:
        text, count = _hours(hours), hours
    return text % {"count": count}


def _seconds(count: int) -> str:
    return ngettext(
        "You are sending messages too quickly. Try again in %(count)s second.",
        "You are sending messages too quickly. Try again in %(count)s seconds.",
        count,
    )


def _minutes(count: int) -> str:
    return ngettext(
        "You are sending messages too quickly. Try again in %(count)s minute.",
        "You are sending messages too quickly. Try again in %(count)s minutes.",
        count,
    )


def _hours(count: int) -> str:
    return ngettext(
        "You are sending messages too quickly. Try again in %(count)s hour.",
        "You are sending messages too quickly. Try again in %(count)s hours.",
        count,
    )
