"""The end of what has outlived its use, in batches.

A batch locks the rows that may go, which asks once more whether each may, and deletes them in the same transaction:
so what is revised, extended or marked as unread meanwhile stays, with all that belongs to it. What somebody else
has locked is left to the next run, so that nobody ever waits for a purge that waits for them.
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
from messages_extends.tenancy.schemas import Tenant, current_schema, has_messages, inside, is_public, organisations

BATCH_SIZE = 1000

Rows = QuerySet[Model]
Progress = Callable[[str, int], None]


def purge(
    days: int | None = None, *, batch_size: int = BATCH_SIZE, progress: Progress = lambda kind, count: None
) -> Counter[str]:
    """Delete from the current schema what ended, or was read, more than `days` (RETENTION_DAYS) ago.

    In a tenant: messages, announcements, receipts of publications that are gone, the numbers of forms that were sent,
    grants on people who are gone; in public: broadcasts, and counts of organisations that are gone. Each batch commits,
    unless the caller is in a transaction. Return how many of each kind went; they are recorded, also those that went
    before an error. `progress` is called with a kind and how many of it are gone so far.
    """
    kept = _days(days)
    gone: Counter[str] = Counter()
    try:
        for kind, rows in expired_rows(_cutoff(kept)).items():
            _delete(kind, rows, batch_size, gone, progress)
        if _has_grants():
            gone["grants"] = remove_orphaned_grants()
    finally:
        _record(gone, kept)
    return +gone


def count_expired(days: int | None = None, *, with_broadcasts: bool = False) -> Counter[str]:
    """Count what `purge` would delete from the current schema; `with_broadcasts`: if public were purged before."""
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
    """Return what may go from the current schema, in the order in which it goes.

    Never what its recipient can still read and has not read.
    """
    if is_public(current_schema()):
        return {"broadcasts": Broadcast.objects.ended(cutoff), "counts": _counts_of_nobody()}
    if not has_messages(current_schema()):
        return {}
    return {
        "messages": Message.objects.filter(Q(read_at__lte=cutoff) | Q(expires__lte=cutoff)),
        "announcements": Announcement.objects.ended(cutoff),
        # After them, because theirs are among these.
        "receipts": _receipts_without(Announcement.objects.all(), Broadcast.objects.all()),
        "submissions": Submission.objects.filter(sent_at__lte=cutoff),
    }


def delete(rows: Rows) -> int:
    """Delete rows with all that hangs on them; return how many of `rows` that were.

    Where nothing refers to them it is one statement, without signals: django-tenants listens to the deletion of every
    model, for which Django loads each row.
    """
    fields = rows.model._meta.get_fields(include_hidden=True)
    if any(field.auto_created and not field.concrete for field in fields):
        _total, by_model = rows.delete()
        return by_model.get(rows.model._meta.label, 0)
    count: int = rows._raw_delete(using=write_database())
    return count


def forget_organisation(instance: Tenant, **_signal: object) -> None:
    """Delete the counts of an organisation that has been deleted: another may come to have its schema's name."""
    with inside(get_public_schema_name()):
        BroadcastCount.objects.filter(schema_name=instance.schema_name).delete()


def _receipts_without(announcements: Rows, broadcasts: Rows) -> Rows:
    """Return the receipts whose publication is in neither.

    One statement sees all three tables at one moment, and whoever read a publication did so after it was there.
    """
    # NOT EXISTS makes each batch a join of whole tables: 30 s for 200,000 receipts in place of 3.
    of_announcements = Q(publication_id__in=announcements.values("pk"))
    return Receipt.objects.exclude(of_announcements | Q(publication_id__in=broadcasts.values("pk")))


def _counts_of_nobody() -> Rows:
    known = organisations().filter(schema_name=OuterRef("schema_name"))
    return BroadcastCount.objects.filter(~Exists(known))


def _kept(publications: PublicationQuerySet, cutoff: datetime) -> Rows:
    return publications.exclude(pk__in=publications.ended(cutoff).values("pk"))


def _days(days: int | None) -> int:
    days = settings.retention_days if days is None else days
    if days < 1:
        raise ValueError(f"days is {days}: keep everything for at least one day.")
    return days


def _cutoff(days: int) -> datetime:
    return timezone.now() - timedelta(days=days)


def _has_grants() -> bool:
    return apps.is_installed("guardian") and has_messages(current_schema())


def _delete(kind: str, rows: Rows, size: int, gone: Counter[str], progress: Progress) -> None:
    last, deleted = _delete_batch(rows, size)
    while last is not None:
        gone[kind] += deleted
        progress(kind, gone[kind])
        # In the order of their keys, so that no batch looks again at what the one before has left.
        last, deleted = _delete_batch(rows, size, after=last)


def _delete_batch(rows: Rows, size: int, after: object = None) -> tuple[object, int]:
    """Delete up to `size` rows and what hangs on them; return the last key looked at, and how many of `rows` went."""
    following = rows if after is None else rows.filter(pk__gt=after)
    with atomic():
        locked = following.order_by("pk").select_for_update(skip_locked=True)
        keys = list(locked.values_list("pk", flat=True)[:size])
        deleted = delete(rows.filter(pk__in=keys))
    return (keys[-1] if keys else None), deleted


def _record(gone: Counter[str], days: int) -> None:
    if not gone.total():
        return
    kinds = ", ".join(f"{count} {kind}" for kind, count in (+gone).items())
    audit.log_event(
        audit.Action.PURGE,
        actor=None,
        subject=f"kept for more than {days} days: {kinds}",
        count=gone.total(),
        into=BroadcastRecord if is_public(current_schema()) else AuditRecord,
    )
