"""How many have read a broadcast: gathered from organisation to organisation, without a worker.

Receipts lie in the organisations' own schemas, so a number of readers everywhere would be a query for each. What is
kept in the public schema are two numbers for each organisation, never anybody's name.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import DatabaseError, connections
from django.db.models import F, Model, OuterRef, Q, QuerySet, Subquery, Sum
from django.utils import timezone
from django_tenants.utils import get_public_schema_name

from messages_extends.access.guards import require_may_broadcast
from messages_extends.access.membership import members
from messages_extends.broadcasts.models import Broadcast, BroadcastCount, BroadcastTenant
from messages_extends.inbox.reports import Numbers, count, with_read_at
from messages_extends.tenancy.databases import atomic, for_write, read_database, write_database
from messages_extends.tenancy.schemas import inside, organisations

logger = logging.getLogger(__name__)

# Whoever changes an organisation's tables holds a lock: counting goes on with the next rather than wait for its end.
LOCK_TIMEOUT: Final = "500ms"


@dataclass(frozen=True)
class Progress:
    """How far a broadcast's readers are counted.

    `total`: the organisations it is for now; `done`: those of them that were looked at since it was last shown again;
    `failed`: the schemas of those among `done` that could not be counted; `readers` and `people`: in all others
    together; `since`: when the oldest of these counts was made.
    """

    total: int
    done: int
    failed: Sequence[str]
    readers: int
    people: int
    since: datetime | None

    @property
    def is_complete(self) -> bool:
        return self.done >= self.total


def count_readers(
    broadcast: Broadcast,
    *,
    viewer: AbstractBaseUser | None = None,
    seconds: float = 1.0,
    clock: Callable[[], float] = time.monotonic,
) -> Progress:
    """Count readers in as many organisations as fit into `seconds`, one at least; return how far that is now.

    It begins with those that were never counted, then takes the oldest counts; each organisation once a call. It may
    be interrupted at any moment. One that cannot be counted, because its tables are missing or locked, is noted as
    such and does not stop the rest. `viewer` is the person who asks; None is the application.

    PermissionDenied for who may not view broadcasts; Broadcast.DoesNotExist for one that has been deleted.
    """
    require_may_broadcast(viewer, "view")
    end = clock() + seconds
    with inside(get_public_schema_name()):
        current = for_write(Broadcast.objects.all()).get(pk=broadcast.pk)
        for schema in _oldest_first(current):
            _store(current, schema, _count_in(schema, current))
            if clock() >= end:
                break
        return _progress(current, write_database())


def progress_of(broadcast: Broadcast, *, viewer: AbstractBaseUser | None = None) -> Progress:
    """Return how far the readers of `broadcast` are counted, without counting any."""
    require_may_broadcast(viewer, "view")
    with inside(get_public_schema_name()):
        return _progress(Broadcast.objects.get(pk=broadcast.pk), read_database())


def _organisations(broadcast: Broadcast) -> QuerySet[Model]:
    """Return the organisations that a broadcast is for now."""
    if broadcast.audience == Broadcast.Audience.ALL:
        return organisations()
    return organisations().filter(pk__in=BroadcastTenant.objects.filter(broadcast=broadcast).values("tenant"))


def _counts(broadcast: Broadcast) -> QuerySet[BroadcastCount]:
    return BroadcastCount.objects.filter(broadcast=broadcast, revision=broadcast.revision)


def _oldest_first(broadcast: Broadcast) -> list[str]:
    counted_at = _counts(broadcast).filter(schema_name=OuterRef("schema_name")).values("counted_at")
    organisations = _organisations(broadcast).annotate(counted_at=Subquery(counted_at))
    in_order = organisations.order_by(F("counted_at").asc(nulls_first=True), "schema_name")
    return list(for_write(in_order).values_list("schema_name", flat=True))


def _count_in(schema: str, broadcast: Broadcast) -> Numbers | None:
    """Count the readers in one organisation; None, with a line in the log, if that is not possible."""
    try:
        with inside(schema), atomic():
            _wait_for_no_lock()
            return count(for_write(with_read_at(members(), broadcast.pk, broadcast.revision)))
    except DatabaseError as error:
        # A lost connection is no organisation's fault.
        if not connections[write_database()].is_usable():
            raise
        logger.warning("The readers in %s could not be counted: %s", schema, error)
        return None


def _wait_for_no_lock() -> None:
    with connections[write_database()].cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")


def _store(broadcast: Broadcast, schema: str, numbers: Numbers | None) -> None:
    counted = BroadcastCount(
        broadcast=broadcast,
        schema_name=schema,
        revision=broadcast.revision,
        readers=None if numbers is None else numbers.readers,
        people=None if numbers is None else numbers.people,
        counted_at=timezone.now(),
    )
    BroadcastCount.objects.bulk_create(
        [counted],
        update_conflicts=True,
        unique_fields=["broadcast", "schema_name"],
        update_fields=["revision", "readers", "people", "counted_at"],
    )


def _progress(broadcast: Broadcast, database: str) -> Progress:
    organisations = _organisations(broadcast).using(database)
    counts = list(_counts(broadcast).using(database).filter(schema_name__in=organisations.values("schema_name")))
    return Progress(
        total=organisations.count(),
        done=len(counts),
        failed=sorted(each.schema_name for each in counts if each.people is None),
        readers=sum(each.readers or 0 for each in counts),
        people=sum(each.people or 0 for each in counts),
        since=min((each.counted_at for each in counts), default=None),
    )


def organisations_of(broadcast: Broadcast, *, viewer: AbstractBaseUser | None = None) -> QuerySet[Any]:
    """Return the organisations that `broadcast` is for, each with its own count, from the current schema.

    `readers`, `people` and `counted_at` are null where that was not made yet; only the first two where it failed.
    """
    require_may_broadcast(viewer, "view")
    count_of = _counts(broadcast).filter(schema_name=OuterRef("schema_name"))
    columns = {name: Subquery(count_of.values(name)) for name in ("readers", "people", "counted_at")}
    organisations: QuerySet[Model] = _organisations(broadcast).annotate(**columns).order_by("schema_name")
    return organisations


def with_numbers(broadcasts: QuerySet[Broadcast]) -> QuerySet[Broadcast]:
    """Add to each of `broadcasts` its `readers` and `people`, as far as they were counted since it was last shown."""
    current = Q(counts__revision=F("revision"))
    sums = {name: Sum(f"counts__{name}", filter=current, default=0) for name in ("readers", "people")}
    summed: QuerySet[Broadcast] = broadcasts.annotate(**sums)
    return summed
