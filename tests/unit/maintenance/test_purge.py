"""`purge_messages`: what nobody needs any more goes, in batches; whatever somebody may still want to read stays."""

import io
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from threading import Thread
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.core.management.base import OutputWrapper
from django.db import OperationalError, connection
from django.db.models.signals import pre_delete
from django.utils import timezone
from django_tenants.utils import schema_context
from guardian.models import UserObjectPermission

from messages_extends.access.grants import grant
from messages_extends.api import ALL_TENANTS, EVERYONE, announce, broadcast, inbox, retract
from messages_extends.broadcasts.models import Broadcast, BroadcastCount, BroadcastRecord, BroadcastTenant
from messages_extends.constants import INFO_PERSISTENT
from messages_extends.maintenance.purge import count_expired, purge
from messages_extends.management.commands.purge_messages import Progress
from messages_extends.models import Announcement, AnnouncementGroup, AuditRecord, Message, Receipt
from tenants.models import Tenant
from tests.factories import make_group
from tests.integration.tenants.conftest import environment as environment  # noqa: PLC0414 - a fixture
from tests.processes import eventually

Make = Callable[..., Any]

pytestmark = pytest.mark.usefixtures("in_acme")


def ago(days: float) -> datetime:
    return timezone.now() - timedelta(days=days)


def texts() -> list[str]:
    return sorted(Message.objects.values_list("message", flat=True))


def ended(publication: Any, days: float) -> Any:
    """Make a publication one that ended so many days ago."""
    type(publication).objects.filter(pk=publication.pk).update(publish_at=ago(days + 1), expires=ago(days))
    return publication


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("purge_messages", *arguments, stdout=out, stderr=out)
    return out.getvalue()


@pytest.fixture
def clean_platform(committing: None) -> Iterator[None]:
    """Empty the platform's own tables after a test that commits."""
    yield
    with schema_context("public"), connection.cursor() as cursor:
        cursor.execute("TRUNCATE broadcasts_broadcast, broadcasts_broadcastrecord CASCADE")


# What goes, and what stays


def test_purge_deletes_messages_read_or_expired_long_ago(alice: Any, make_message: Make) -> None:
    make_message(alice, "read long ago", read_at=ago(91))
    make_message(alice, "expired long ago", expires=ago(91))
    make_message(alice, "read long ago, not expired", read_at=ago(91), expires=ago(-1))
    make_message(alice, "read lately", read_at=ago(89))
    make_message(alice, "expired lately", expires=ago(89))
    unread = make_message(alice, "old, but unread")
    Message.objects.filter(pk=unread.pk).update(created=ago(5000))
    assert purge() == {"messages": 3}
    assert texts() == ["expired lately", "old, but unread", "read lately"]


def test_purge_keeps_saved_and_snoozed_messages_and_deletes_archived_ones(alice: Any, make_message: Make) -> None:
    old = {"read_at": ago(91)}
    make_message(alice, "archived", **old, archived_at=ago(91))
    make_message(alice, "archived lately", read_at=ago(1), archived_at=ago(1))
    make_message(alice, "saved", **old, saved_at=ago(91))
    make_message(alice, "archived and saved", **old, archived_at=ago(91), saved_at=ago(91))
    make_message(alice, "saved and expired", **old, saved_at=ago(91), expires=ago(91))
    snoozed = [make_message(alice, "snoozed", snoozed_until=ago(-1)), make_message(alice, "back", snoozed_until=ago(1))]
    Message.objects.filter(pk__in=[each.pk for each in snoozed]).update(created=ago(5000))
    assert count_expired() == purge() == {"messages": 2}
    assert texts() == ["archived and saved", "archived lately", "back", "saved", "snoozed"]


def test_purge_keeps_snoozed_message_that_was_read_until_it_has_come_back(alice: Any, make_message: Make) -> None:
    make_message(alice, "snoozed", read_at=ago(91), snoozed_until=ago(-1))
    make_message(alice, "back lately", read_at=ago(91), snoozed_until=ago(89))
    make_message(alice, "back long ago", read_at=ago(91), snoozed_until=ago(91))
    assert purge() == {"messages": 1}
    assert texts() == ["back lately", "snoozed"]


def test_purge_deletes_old_announcements_with_groups_and_receipts(alice: Any) -> None:
    group = make_group("sales", alice)
    old, lately, live = (announce(text, to=group) for text in ("old", "lately", "live"))
    for entry in inbox(alice).page().entries:
        inbox(alice).mark_read(entry.pk)
    ended(old, 91)
    ended(lately, 89)
    assert purge() == {"announcements": 1, "receipts": 1}
    assert set(Announcement.objects.all()) == {lately, live}
    assert AnnouncementGroup.objects.count() == Receipt.objects.count() == 2


def test_purge_keeps_receipts_with_marks_until_their_publication_is_deleted(alice: Any) -> None:
    old, live = (announce(text, to=EVERYONE) for text in ("old", "live"))
    with schema_context("public"):
        news = broadcast("news", to=ALL_TENANTS)
    pks = [entry.pk for entry in inbox(alice).page().entries]
    inbox(alice).archive(*pks)
    inbox(alice).snooze(*pks, until=ago(-1))
    inbox(alice).save(*pks)
    Receipt.objects.update(read_at=ago(91), saved_at=ago(91), snoozed_until=ago(91))
    assert count_expired() == purge() == {}
    ended(old, 91)
    with schema_context("public"):
        ended(news, 91)
        assert purge() == {"broadcasts": 1}
    assert count_expired() == Counter(announcements=1, receipts=2)
    assert purge() == {"announcements": 1, "receipts": 2}
    assert Receipt.objects.get().publication_id == live.pk


def test_purge_keeps_scheduled_message(alice: Any, make_message: Make) -> None:
    soon = make_message(alice, "soon", publish_at=ago(-1))
    Message.objects.filter(pk=soon.pk).update(created=ago(5000))
    assert count_expired() == purge() == {}


def test_purge_deletes_announcement_retracted_long_ago(alice: Any) -> None:
    old, lately = (retract(announce("x", to=EVERYONE)) for _ in range(2))
    Announcement.objects.filter(pk=old.pk).update(retracted_at=ago(91))
    assert purge() == {"announcements": 1}
    assert Announcement.objects.get() == lately


def test_purge_keeps_scheduled_announcement(alice: Any) -> None:
    announce("soon", to=EVERYONE, publish_at=ago(-400))
    assert purge() == {}


def test_purge_deletes_old_broadcasts_with_tenants_counts_and_receipts(alice: Any, acme: Tenant) -> None:
    with schema_context("public"):
        old, live = (broadcast(text, to=[acme]) for text in ("old", "live"))
        for each in (old, live):
            BroadcastCount.objects.create(
                broadcast=each, schema_name="acme", revision=1, readers=1, people=2, counted_at=timezone.now()
            )
    for entry in inbox(alice).page().entries:
        inbox(alice).mark_read(entry.pk)
    with schema_context("public"):
        ended(old, 91)
        assert purge() == {"broadcasts": 1}
        assert Broadcast.objects.get() == live
        assert BroadcastTenant.objects.get().broadcast == BroadcastCount.objects.get().broadcast == live
    assert purge() == {"receipts": 1}
    assert Receipt.objects.get().publication_id == live.pk


def test_purge_deletes_broadcast_counts_of_missing_tenants(acme: Tenant) -> None:
    with schema_context("public"):
        live = broadcast("live", to=ALL_TENANTS)
        for schema in ("acme", "gone"):
            BroadcastCount.objects.create(
                broadcast=live, schema_name=schema, revision=1, readers=1, people=2, counted_at=timezone.now()
            )
        assert purge() == {"counts": 1}
        assert BroadcastCount.objects.get().schema_name == "acme"


def test_purge_deletes_orphaned_grants(alice: Any, make_user: Make) -> None:
    bob = make_user("bob")
    grant(alice, bob)
    type(bob).objects.filter(pk=bob.pk)._raw_delete(using="default")
    assert count_expired() == {"grants": 1}
    assert purge() == {"grants": 1}
    assert not UserObjectPermission.objects.exists()


def test_purge_keeps_messages_of_other_tenant(alice: Any, make_user: Make, make_message: Make) -> None:
    with schema_context("globex"):
        make_message(make_user("gina"), "there", read_at=ago(91))
    assert purge() == {}
    with schema_context("globex"):
        assert texts() == ["there"]


def test_purge_deletes_messages_without_loading_rows(alice: Any, make_message: Make, our_queries: Any) -> None:
    for _ in range(5):
        make_message(alice, read_at=ago(91))
    with our_queries() as queries:
        purge(batch_size=2)
    of_messages = [query.split()[0] for query in queries if 'FROM "messages_extends_message"' in query]
    assert of_messages == ["SELECT", "DELETE"] * 3 + ["SELECT"]
    assert not [query for query in queries if '"extra_tags"' in query]


# How long


def test_purge_uses_retention_days_setting_or_argument(alice: Any, make_message: Make, settings: Any) -> None:
    for days in (5, 15, 25):
        make_message(alice, f"{days}", read_at=ago(days))
    settings.MESSAGES_EXTENDS = {"RETENTION_DAYS": 20}
    purge()
    assert texts() == ["15", "5"]
    purge(10)
    assert texts() == ["5"]
    with pytest.raises(ValueError, match="at least 1"):
        purge(0)


# The record


def test_purge_logs_one_audit_event_only_when_rows_were_deleted(alice: Any, make_message: Make) -> None:
    for _ in range(5):
        make_message(alice, read_at=ago(91))
    ended(announce("x", to=EVERYONE), 91)
    purge(batch_size=2)
    purge()
    record = AuditRecord.objects.get(action="purge")
    assert (record.subject, record.count) == ("kept for more than 90 days: 5 messages, 1 announcements", 6)
    assert (record.actor_id, record.actor_name, record.text_hash) == ("", "", "")


def test_purge_in_public_schema_writes_broadcast_record(acme: Tenant) -> None:
    with schema_context("public"):
        ended(broadcast("x", to=ALL_TENANTS), 91)
        purge()
        assert BroadcastRecord.objects.get(action="purge").count == 1


def test_purge_keeps_audit_records(alice: Any) -> None:
    ended(announce("x", to=EVERYONE), 5000)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE messages_extends_auditrecord DISABLE TRIGGER append_only")
        AuditRecord.objects.update(recorded_at=ago(5000))
        cursor.execute("ALTER TABLE messages_extends_auditrecord ENABLE TRIGGER append_only")
    purge()
    assert AuditRecord.objects.filter(action="announce").count() == 1


# A dry run


def test_purge_messages_dry_run_prints_counts_of_following_run(
    clean_platform: None, alice: Any, acme: Tenant, make_message: Make
) -> None:
    make_message(alice, read_at=ago(91))
    with schema_context("public"):
        old = broadcast("old", to=[acme])
    announcement = announce("x", to=EVERYONE)
    inbox(alice).mark_all_read()
    ended(announcement, 91)
    with schema_context("public"):
        ended(old, 91)
    foretold = run("--dry-run")
    assert "public: would delete 1 broadcasts" in foretold
    assert "acme: would delete 1 messages, 1 announcements, 2 receipts" in foretold
    assert "acme: would delete 1 messages, 1 announcements, 1 receipts" in run("--dry-run", "--schema", "acme")
    assert run() == foretold.replace("would delete", "deleted")
    assert "acme: would delete nothing" in run("--dry-run")


# Beside others


@pytest.fixture
def second(committing: None) -> Iterator[Any]:
    """Another connection to the test database, in acme; ours waits for no lock for long."""
    values = connection.get_connection_params()
    chosen = {name: values[name] for name in ("dbname", "user", "password", "host", "port") if values.get(name)}
    with connection.cursor() as cursor, psycopg.connect(**chosen, autocommit=True) as other:
        cursor.execute("SET lock_timeout = '5s'")
        other.execute("SET search_path = acme, public; SET lock_timeout = '200ms'")
        yield other
        cursor.execute("RESET lock_timeout")


EXTEND = "UPDATE messages_extends_announcement SET expires = now() + interval '1 day'"


@pytest.fixture
def read_by_sales(alice: Any) -> Any:
    """An announcement to a group, read, that ended long ago."""
    announcement = announce("x", to=make_group("sales", alice))
    inbox(alice).mark_all_read()
    return ended(announcement, 91)


def test_purge_skips_announcement_extended_concurrently(second: Any, read_by_sales: Any) -> None:
    with second.transaction():
        second.execute(EXTEND)
        assert purge() == {}
    assert purge() == {}
    assert Announcement.objects.count() == AnnouncementGroup.objects.count() == Receipt.objects.count() == 1


def test_purge_locks_announcement_against_concurrent_extension(second: Any, read_by_sales: Any) -> None:
    refused: list[Exception] = []

    def extend(**_signal: Any) -> None:
        try:
            second.execute(EXTEND)
        except psycopg.errors.LockNotAvailable as error:
            refused.append(error)

    pre_delete.connect(extend, sender=Announcement)
    try:
        purge()
    finally:
        pre_delete.disconnect(extend, sender=Announcement)
    assert len(refused) == 1
    assert not Announcement.objects.exists()


def test_purge_skips_locked_message_until_next_run(second: Any, alice: Any, make_message: Make) -> None:
    for text in ("free", "locked"):
        make_message(alice, text, read_at=ago(91))
    with second.transaction():
        second.execute("SELECT 1 FROM messages_extends_message WHERE message = 'locked' FOR UPDATE")
        assert purge(batch_size=1) == {"messages": 1}
    assert texts() == ["locked"]
    assert purge() == {"messages": 1}


# Interrupted


def numbered(user: Any, number: int, text: str, read_at: datetime | None) -> list[Message]:
    return [Message(user=user, message=text, level=INFO_PERSISTENT, read_at=read_at) for _ in range(number)]


def waits_for_a_lock(second: Any) -> bool:
    found = second.execute("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND pid = %s", [backend()])
    return found.fetchone() is not None


def backend() -> int:
    """Return the server's process for our connection, which another thread may ask for."""
    return int(raw_connection[0].info.backend_pid)


raw_connection: list[Any] = []


def test_purge_after_cancelled_statement_keeps_and_logs_done_batches(
    second: Any, alice: Any, make_message: Make
) -> None:
    for _ in range(6):
        make_message(alice, "old", read_at=ago(91))
    raw_connection[:] = [connection.connection]

    def cancel_the_next(kind: str, count: int) -> None:
        if count == 4:
            second.execute("BEGIN; LOCK TABLE messages_extends_message IN EXCLUSIVE MODE")
            Thread(target=cancel).start()

    def cancel() -> None:
        eventually(lambda: waits_for_a_lock(second))
        second.execute("SELECT pg_cancel_backend(%s)", [backend()])
        second.execute("COMMIT")

    with pytest.raises(OperationalError, match="canceling statement"):
        purge(batch_size=2, progress=cancel_the_next)
    assert texts() == ["old", "old"]
    assert AuditRecord.objects.get(action="purge").count == 4
    assert purge() == {"messages": 2}


def test_purge_messages_after_kill_is_completed_by_next_run(
    committing: None, environment: dict[str, str], alice: Any
) -> None:
    group = make_group("sales", alice)
    keep = [announce("stays", to=group) for _ in range(3)]
    inbox(alice).mark_all_read()
    Message.objects.bulk_create(numbered(alice, 2000, "stays", None) + numbered(alice, 4000, "old", ago(91)))
    process = subprocess.Popen(
        [sys.executable, "manage.py", "purge_messages", "--batch-size", "2"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert eventually(lambda: len(texts()) < 5900)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    left = texts()
    assert 2000 < len(left) < 6000, "it had ended before it was killed"
    assert left.count("stays") == 2000
    run("--schema", "acme")
    assert texts() == ["stays"] * 2000
    assert set(Announcement.objects.all()) == set(keep)
    assert AnnouncementGroup.objects.count() == Receipt.objects.count() == 3


# One organisation's trouble


@pytest.fixture
def half_migrated(committing: None) -> Iterator[None]:
    """Take a table away from acme, which comes before globex."""
    with schema_context("acme"), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE acme.messages_extends_announcement RENAME TO elsewhere")
    yield
    with schema_context("acme"), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE acme.elsewhere RENAME TO messages_extends_announcement")


def test_purge_messages_names_failing_tenant_and_purges_others(
    half_migrated: None, make_user: Make, make_message: Make
) -> None:
    for schema in ("acme", "globex"):
        with schema_context(schema):
            make_message(make_user("alice"), read_at=ago(91))
    out = io.StringIO()
    with pytest.raises(CommandError, match=r"^1 of 4 could not be purged completely: acme\.$"):
        call_command("purge_messages", stdout=out, stderr=out)
    assert 'acme: relation "messages_extends_announcement" does not exist' in out.getvalue()
    assert "globex: deleted 1 messages" in out.getvalue()
    with schema_context("acme"):
        assert AuditRecord.objects.get(action="purge").subject.endswith("1 messages")


def test_purge_messages_after_lost_connection_purges_other_tenants(
    committing: None, make_user: Make, make_message: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    for schema in ("acme", "globex"):
        with schema_context(schema):
            make_message(make_user("alice"), read_at=ago(91))

    def lose(days: int | None, **options: Any) -> Any:
        if connection.schema_name == "acme":
            connection.connection.close()
        return purge(days, **options)

    monkeypatch.setattr("messages_extends.management.commands.purge_messages.purge", lose)
    with pytest.raises(CommandError, match="completely: acme"):
        run()
    with schema_context("globex"):
        assert texts() == []


# The command


def test_purge_messages_with_schema_purges_only_named_tenants(
    committing: None, make_user: Make, make_message: Make
) -> None:
    for schema in ("acme", "globex", "platform"):
        with schema_context(schema):
            make_message(make_user("alice"), read_at=ago(20))
    assert run("--schema", "acme", "--schema", "globex", "--days", "10").count("deleted 1 messages") == 2
    with schema_context("platform"):
        assert texts() == ["Hello"]


def test_purge_messages_refuses_unknown_schema() -> None:
    with pytest.raises(CommandError, match="There is no organisation 'initech'"):
        run("--schema", "initech")


@pytest.mark.parametrize("option", ["--days", "--batch-size"])
@pytest.mark.parametrize("value", ["0", "-1", "x", "٣"])
def test_purge_messages_refuses_numbers_below_1(option: str, value: str) -> None:
    with pytest.raises(CommandError, match="is not a positive number"):
        run(f"{option}={value}")


def test_purge_progress_prints_at_most_once_per_second() -> None:
    seconds = iter([0, 0.5, 1, 1, 1.5])
    out = io.StringIO()
    said = Progress("acme", OutputWrapper(out), clock=lambda: next(seconds))
    for count in (1000, 2000, 3000):
        said("messages", count)
    assert out.getvalue() == "acme: 2,000 messages so far\n"


def test_deleting_tenant_deletes_broadcast_counts(acme: Tenant) -> None:
    with schema_context("public"):
        acme.auto_drop_schema = False
        live = broadcast("live", to=ALL_TENANTS)
        for schema in ("acme", "globex"):
            BroadcastCount.objects.create(
                broadcast=live, schema_name=schema, revision=1, readers=1, people=2, counted_at=timezone.now()
            )
        acme.delete()
        assert BroadcastCount.objects.get().schema_name == "globex"
