"""Count the readers of broadcasts, one organisation at a time and without a worker.

Receipts are in the tenants' schemas, so that the number of all readers would need a query for each tenant. The public
schema stores two numbers for each tenant and no names.
"""

import logging
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import DatabaseError, connections
from django.db.models import F, Model, OuterRef, Q, QuerySet, Subquery, Sum
from django.utils import timezone
from django_tenants.utils import get_public_schema_name

from messages_extends.access.guards import require_may_broadcast
from messages_extends.access.membership import members
from messages_extends.broadcasts.models import Broadcast, BroadcastCount, BroadcastTenant
from messages_extends.inbox.reports import Numbers, count, with_read_at
from messages_extends.tenancy.databases import atomic, read_database, using_primary, write_database
from messages_extends.tenancy.schemas import in_schema, tenants_with_messages

logger = logging.getLogger(__name__)

# Do not wait long for locks on the tables of a tenant: counting continues with the next one.
LOCK_TIMEOUT: Final = "500ms"


class Progress(NamedTuple):
    """The progress of counting a broadcast's readers.

    `total` is the number of organisations in the audience, `done` of those counted for the current revision. `failed`
    are the schemas among `done` that could not be counted, `readers` and `people` the sums of all others, and `since`
    is the time of the oldest count.
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
    """Count readers for `seconds`, in at least one organisation; return the progress.

    Organisations that were never counted come first, then the oldest counts; each is counted once per call. Counting
    can be interrupted at any time. An organisation that cannot be counted, because its tables are missing or locked, is
    marked as failed and does not stop the others. `viewer` is the user who asks; None is the application.

    Raises PermissionDenied for users who may not view broadcasts, and Broadcast.DoesNotExist for a deleted one.
    """
    require_may_broadcast(viewer, "view")
    end = clock() + seconds
    with in_schema(get_public_schema_name()):
        current = using_primary(Broadcast.objects.all()).get(pk=broadcast.pk)
        for schema in _oldest_first(current):
            numbers = _count_in(schema, current)
            BroadcastCount.objects.bulk_create(
                [
                    BroadcastCount(
                        broadcast=current,
                        schema_name=schema,
                        revision=current.revision,
                        readers=None if numbers is None else numbers.readers,
                        people=None if numbers is None else numbers.people,
                        counted_at=timezone.now(),
                    )
                ],
                update_conflicts=True,
                unique_fields=["broadcast", "schema_name"],
                update_fields=["revision", "readers", "people", "counted_at"],
            )
            if clock() >= end:
                break
        return _progress(current, write_database())


def progress_of(broadcast: Broadcast, *, viewer: AbstractBaseUser | None = None) -> Progress:
    """Return the progress of counting, without counting."""
    require_may_broadcast(viewer, "view")
    with in_schema(get_public_schema_name()):
        return _progress(Broadcast.objects.get(pk=broadcast.pk), read_database())


def _organisations(broadcast: Broadcast) -> QuerySet[Model]:
    """Return the organisations in the current audience of a broadcast."""
    if broadcast.is_for_everybody:
        return tenants_with_messages()
    return tenants_with_messages().filter(pk__in=BroadcastTenant.objects.filter(broadcast=broadcast).values("tenant"))


def _counts(broadcast: Broadcast) -> QuerySet[BroadcastCount]:
    return BroadcastCount.objects.filter(broadcast=broadcast, revision=broadcast.revision)


def _oldest_first(broadcast: Broadcast) -> list[str]:
    counted_at = _counts(broadcast).filter(schema_name=OuterRef("schema_name")).values("counted_at")
    organisations = _organisations(broadcast).annotate(counted_at=Subquery(counted_at))
    in_order = organisations.order_by(F("counted_at").asc(nulls_first=True), "schema_name")
    return list(using_primary(in_order).values_list("schema_name", flat=True))


def _count_in(schema: str, broadcast: Broadcast) -> Numbers | None:
    """Return the counts of one organisation; log a warning and return None if it cannot be counted."""
    try:
        with in_schema(schema), atomic():
            with connections[write_database()].cursor() as cursor:
                cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
            return count(using_primary(with_read_at(members(), broadcast.pk, broadcast.revision)))
    except DatabaseError as error:
        # A lost connection is not a problem of this organisation.
        if not connections[write_database()].is_usable():
            raise
        logger.warning("The readers in %s could not be counted: %s", schema, error)
        return None


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
    """Return the organisations in the audience of `broadcast`, annotated with their counts.

    `readers`, `people` and `counted_at` are null if there is no count yet, and only the first two if counting failed.
    """
    require_may_broadcast(viewer, "view")
    count_of = _counts(broadcast).filter(schema_name=OuterRef("schema_name"))
    columns = {name: Subquery(count_of.values(name)) for name in ("readers", "people", "counted_at")}
    organisations: QuerySet[Model] = _organisations(broadcast).annotate(**columns).order_by("schema_name")
    return organisations


def with_numbers(broadcasts: QuerySet[Broadcast]) -> QuerySet[Broadcast]:
    """Annotate `readers` and `people`, as far as they were counted for the current revision."""
    current = Q(counts__revision=F("revision"))
    sums = {name: Sum(f"counts__{name}", filter=current, default=0) for name in ("readers", "people")}
    summed: QuerySet[Broadcast] = broadcasts.annotate(**sums)
    return summed
