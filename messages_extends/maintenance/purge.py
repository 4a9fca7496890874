"""Delete expired rows in batches.

A batch locks the expired rows, which checks each row again, and deletes them in the same transaction. Rows that are
revised, extended or marked as unread meanwhile are therefore kept. Rows that are locked by others are left for the next
run, so that the purge waits for nobody.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from django.apps import apps
from django.db.models import Exists, Model, OuterRef, Q, QuerySet
from django.utils import timezone
from django_tenants.utils import get_public_schema_name

from messages_extends.access.grants import orphaned_grants, remove_orphaned_grants
from messages_extends.broadcasts.models import Broadcast, BroadcastCount, BroadcastRecord
from messages_extends.conf import settings
from messages_extends.models import Announcement, AuditRecord, Message, Receipt, Submission, audit
from messages_extends.models.publication import PublicationQuerySet
from messages_extends.tenancy.databases import atomic, write_database
from messages_extends.tenancy.schemas import (
    Tenant,
    current_schema,
    has_messages,
    in_schema,
    is_public,
    tenants_with_messages,
)

BATCH_SIZE = 1000

Rows = QuerySet[Model]
Progress = Callable[[str, int], None]


def purge(
    days: int | None = None, *, batch_size: int = BATCH_SIZE, progress: Progress = lambda kind, count: None
) -> Counter[str]:
    """Delete rows of the current schema that ended or were read more than `days` (RETENTION_DAYS) ago.

    In a tenant these are messages, announcements, receipts without a publication, submissions of forms, and grants
    without a user. In the public schema they are broadcasts, and counts of deleted tenants. Each batch is committed,
    unless the caller is in a transaction. Return the numbers of deleted rows by kind; they are recorded, also after an
    error. `progress` is called with a kind and the number so far.
    """
    kept = _days(days)
    deleted: Counter[str] = Counter()
    try:
        for kind, rows in expired_rows(_cutoff(kept)).items():
            last, count = _delete_batch(rows, batch_size)
            while last is not None:
                deleted[kind] += count
                progress(kind, deleted[kind])
                # In the order of keys, so that no batch sees rows that the previous one skipped.
                last, count = _delete_batch(rows, batch_size, after=last)
        if _has_grants():
            deleted["grants"] = remove_orphaned_grants()
    finally:
        if deleted.total():
            kinds = ", ".join(f"{count} {kind}" for kind, count in (+deleted).items())
            audit.log_event(
                audit.Action.PURGE,
                actor=None,
                subject=f"kept for more than {kept} days: {kinds}",
                count=deleted.total(),
                into=BroadcastRecord if is_public(current_schema()) else AuditRecord,
            )
    return +deleted


def count_expired(days: int | None = None, *, with_broadcasts: bool = False) -> Counter[str]:
    """Return the counts of rows that `purge` would delete; `with_broadcasts` assumes that public is purged first."""
    cutoff = _cutoff(_days(days))
    rows = dict(expired_rows(cutoff))
    if "receipts" in rows:
        broadcasts = _kept(Broadcast.objects.all(), cutoff) if with_broadcasts else Broadcast.objects.all()
        rows["receipts"] = _receipts_without(_kept(Announcement.objects.all(), cutoff), broadcasts)
    found = Counter({kind: each.count() for kind, each in rows.items()})
    if _has_grants():
        found["grants"] = sum(each.count() for each in orphaned_grants())
    return +found


def expired_rows(cutoff: datetime) -> Mapping[str, Rows]:
    """Return the expired rows of the current schema by kind, in the order of deletion.

    Unread and saved messages that have not expired are never included. Archived messages are read, and snoozed ones are
    kept for the whole time after they have appeared again.
    """
    if is_public(current_schema()):
        known = tenants_with_messages().filter(schema_name=OuterRef("schema_name"))
        return {"broadcasts": Broadcast.objects.ended(cutoff), "counts": BroadcastCount.objects.filter(~Exists(known))}
    if not has_messages(current_schema()):
        return {}
    came_back = Q(snoozed_until=None) | Q(snoozed_until__lte=cutoff)
    return {
        "messages": Message.objects.filter(
            Q(came_back, read_at__lte=cutoff, saved_at=None) | Q(expires__lte=cutoff),
        ),
        "announcements": Announcement.objects.ended(cutoff),
        # After the announcements, whose receipts are included.
        "receipts": _receipts_without(Announcement.objects.all(), Broadcast.objects.all()),
        "submissions": Submission.objects.filter(sent_at__lte=cutoff),
    }


def delete(rows: Rows) -> int:
    """Delete rows and the rows that depend on them; return the number of the former.

    If no model refers to them it is one statement without signals. django-tenants has a receiver for the deletion of
    every model, for which Django would load each row.
    """
    fields = rows.model._meta.get_fields(include_hidden=True)
    if any(field.auto_created and not field.concrete for field in fields):
        _total, by_model = rows.delete()
        return by_model.get(rows.model._meta.label, 0)
    count: int = rows._raw_delete(using=write_database())
    return count


def delete_counts_of_tenant(instance: Tenant, **_signal: object) -> None:
    """Delete the counts of a deleted tenant, because another one may get its schema name."""
    with in_schema(get_public_schema_name()):
        BroadcastCount.objects.filter(schema_name=instance.schema_name).delete()


def _receipts_without(announcements: Rows, broadcasts: Rows) -> Rows:
    """Return the receipts whose publication is in neither queryset.

    One statement sees a consistent snapshot of all three tables.
    """
    # With NOT EXISTS each batch joins the whole tables, which takes ten times as long for 200,000 receipts.
    of_announcements = Q(publication_id__in=announcements.values("pk"))
    return Receipt.objects.exclude(of_announcements | Q(publication_id__in=broadcasts.values("pk")))


def _kept(publications: PublicationQuerySet, cutoff: datetime) -> Rows:
    return publications.exclude(pk__in=publications.ended(cutoff).values("pk"))


def _days(days: int | None) -> int:
    days = settings.retention_days if days is None else days
    if days < 1:
        raise ValueError(f"days is {days}: it must be at least 1.")
    return days


def _cutoff(days: int) -> datetime:
    return timezone.now() - timedelta(days=days)


def _has_grants() -> bool:
    return apps.is_installed("guardian") and has_messages(current_schema())


def _delete_batch(rows: Rows, size: int, after: object = None) -> tuple[object, int]:
    """Delete up to `size` rows and their dependents; return the last key and the number of deleted rows."""
    following = rows if after is None else rows.filter(pk__gt=after)
    with atomic():
        locked = following.order_by("pk").select_for_update(skip_locked=True)
        keys = list(locked.values_list("pk", flat=True)[:size])
        deleted = delete(rows.filter(pk__in=keys))
    return (keys[-1] if keys else None), deleted
