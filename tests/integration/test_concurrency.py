"""Two at once: each in a thread, with a connection and a transaction of its own, against the real server."""

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from functools import partial
from threading import Barrier, Event
from time import monotonic, sleep
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.db import connection, connections, transaction
from django.test import override_settings
from django.utils import timezone
from django_tenants.utils import schema_context
from psycopg.errors import LockNotAvailable

from messages_extends.access.grants import EVERYBODY, grant
from messages_extends.access.guards import require_may_send
from messages_extends.access.rate_limits import check_rate_limit
from messages_extends.api import ALL_TENANTS, EVERYONE, announce, broadcast, cancel, inbox, retract, revise, send, sent
from messages_extends.broadcasts.models import Broadcast, BroadcastRecord
from messages_extends.exceptions import NoSuchMessage, NotRecallable, RecipientUnavailable
from messages_extends.maintenance.purge import purge
from messages_extends.models import Announcement, AuditRecord, Message, Receipt
from messages_extends.models.publication import State
from tenants.models import Tenant
from tests.factories import BrowserOf, MakeUser
from tests.servers import at_the_database

ROUNDS = 15


def broadcast_slowly() -> None:
    with schema_context("public"):
        broadcast("overdue", to=ALL_TENANTS)


# What is written in a transaction that is still open when a page is made.
WRITES: dict[str, Callable[[], Any]] = {
    "a message": lambda: send(get_user_model()._default_manager.get(name="alice"), "overdue"),
    "an announcement": lambda: announce("overdue", to=EVERYONE),
    "an announcement to a group": lambda: announce("overdue", to=Group.objects.get()),
    "one of an earlier time": lambda: announce("overdue", to=EVERYONE, publish_at=timezone.now() - timedelta(days=1)),
    "a broadcast": broadcast_slowly,
}

AtOnce = Callable[..., list[Any]]


@pytest.fixture
def at_once(committing: None) -> Iterator[AtOnce]:
    """Run functions in acme at the same time; return what they return, and raise what one of them raises."""

    def run(*functions: Callable[[], Any]) -> list[Any]:
        start = Barrier(len(functions), timeout=20)

        def act(function: Callable[[], Any]) -> Any:
            try:
                start.wait()
                with schema_context("acme"):
                    return function()
            finally:
                connections.close_all()

        with ThreadPoolExecutor(len(functions)) as pool:
            return list(pool.map(act, functions))

    yield run
    # They lie in public, which the fixture leaves alone.
    tables = ", ".join(model._meta.db_table for model in (Broadcast, BroadcastRecord))
    with schema_context("public"), connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {tables} CASCADE")


@pytest.fixture
def people(committing: None, make_user: MakeUser) -> list[Any]:
    """Make people whose rows lie in the table in the opposite order of their keys."""
    with schema_context("acme"):
        return [make_user(f"person{number}", pk=number) for number in range(30, 0, -1)]


@contextmanager
def in_acme() -> Iterator[None]:
    with schema_context("acme"):
        yield


@contextmanager
def finding_people(*, in_order: bool) -> Iterator[None]:
    """Have PostgreSQL find people in the order of their keys, or as they lie in the table."""
    way, others = ("indexscan", "seqscan") if in_order else ("seqscan", "indexscan")
    off = [others, "bitmapscan", "indexonlyscan", "hashjoin" if in_order else "nestloop", "mergejoin"]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL enable_{way} = on")
        for each in off:
            cursor.execute(f"SET LOCAL enable_{each} = off")
        yield


def while_open(act: Callable[[], Any], then: Callable[[], Any]) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Return two functions to run at once: `then` begins when `act` is done, which commits when `then` waits for it.

    If it does not wait, `act` commits once `then` is over.
    """
    is_done, is_over = Event(), Event()

    def first() -> Any:
        try:
            with transaction.atomic():
                result = act()
                is_done.set()
                wait_until_blocked(is_over)
            return result
        finally:
            is_done.set()

    def second() -> Any:
        assert is_done.wait(20)
        try:
            return then()
        finally:
            is_over.set()

    return first, second


def wait_until_blocked(is_over: Event, many: int = 1) -> None:
    """Wait until so many wait for a lock in this database, or all is over."""
    end = monotonic() + 20
    with connection.cursor() as cursor:
        while monotonic() < end and not is_over.is_set():
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            if cursor.fetchone()[0] >= many:
                return
            sleep(0.01)


def unread(user: Any) -> list[str]:
    with in_acme():
        return sorted(str(each) for each in inbox(user).page(unread=True, size=1000).entries)


def undo(user: Any, at: datetime) -> int:
    return inbox(user).undo(at)


class TestSending:
    @pytest.mark.parametrize("backwards", [False, True])
    def test_concurrent_send_with_same_key_creates_no_duplicates(
        self, at_once: AtOnce, people: list[Any], backwards: bool
    ) -> None:
        some, others = people[:20], people[10:]
        for _ in range(ROUNDS):
            counts = at_once(
                lambda: send(list(some), "news", key="key"),
                lambda: send(list(reversed(others)) if backwards else others, "news", key="key"),
            )
            with in_acme():
                assert sorted(Message.objects.values_list("user", flat=True)) == list(range(1, 31))
                assert sum(counts) == 30
                Message.objects.all().delete()

    @pytest.mark.parametrize("act", ["archive", "snooze"])
    def test_concurrent_send_replaces_message_put_away_once(self, at_once: AtOnce, people: list[Any], act: str) -> None:
        def send_to_one() -> int:
            return send(people[0], "news", key="key")

        for _ in range(ROUNDS):
            with in_acme():
                send_to_one()
                selection = inbox(people[0]).select(Message.objects.get().pk)
                if act == "archive":
                    selection.archive()
                else:
                    selection.snooze(timezone.now() + timedelta(hours=1))
            assert sum(at_once(send_to_one, send_to_one)) == 1
            with in_acme():
                assert Message.objects.filter(archived_at=None, snoozed_until=None, read_at=None).count() == 1
                assert Message.objects.count() == 1
                Message.objects.all().delete()

    def test_concurrent_send_in_opposite_order_does_not_deadlock(self, at_once: AtOnce, people: list[Any]) -> None:
        """Both stop at somebody in the middle; had they come from both ends, neither could go on."""
        is_over = Event()

        def in_the_middle() -> int:
            with transaction.atomic():
                count = send(people[15], "news", key="key")
                begin.wait()
                wait_until_blocked(is_over, 2)
            return count

        def everybody(in_order: bool) -> int:
            begin.wait()
            with finding_people(in_order=in_order):
                return send(get_user_model()._default_manager.all(), "news", key="key")

        begin = Barrier(3, timeout=20)
        counts = at_once(in_the_middle, partial(everybody, True), partial(everybody, False))
        with in_acme():
            assert sum(counts) == Message.objects.count() == 30

    @pytest.mark.parametrize("other", ["cancel", "send"])
    def test_concurrent_send_replacing_expired_messages_does_not_deadlock(
        self, at_once: AtOnce, people: list[Any], other: str
    ) -> None:
        with in_acme():
            send(people, "old news", key="key")
            Message.objects.update(expires=timezone.now() - timedelta(hours=1))
        is_over = Event()

        def in_the_middle() -> None:
            with transaction.atomic():
                Message.objects.select_for_update().get(user=people[15])
                begin.wait()
                wait_until_blocked(is_over, 2)

        def everybody() -> int:
            begin.wait()
            with finding_people(in_order=True):
                return send(get_user_model()._default_manager.all(), "news", key="key")

        def other_one() -> int:
            begin.wait()
            with finding_people(in_order=False):
                if other == "cancel":
                    return cancel("key")
                return send(get_user_model()._default_manager.all(), "news", key="key")

        begin = Barrier(3, timeout=20)
        at_once(in_the_middle, everybody, other_one)
        with in_acme():
            assert not Message.objects.filter(message="old news").exists()
            assert Message.objects.count() in ((0, 30) if other == "cancel" else (30,))

    def test_send_skips_recipient_deleted_meanwhile(self, at_once: AtOnce, people: list[Any]) -> None:
        with in_acme():
            gone = get_user_model()._default_manager.get(pk=5)
        [_, count] = at_once(*while_open(gone.delete, lambda: send(get_user_model()._default_manager.all(), "news")))
        with in_acme():
            assert count == Message.objects.count() == 29

    def test_recipient_deletion_after_send_deletes_message(self, at_once: AtOnce, people: list[Any]) -> None:
        with in_acme():
            gone = get_user_model()._default_manager.get(pk=5)
        at_once(*while_open(lambda: send(people, "news"), gone.delete))
        with in_acme():
            assert Message.objects.count() == 29

    def test_require_may_send_locks_recipients_until_transaction_ends(self, people: list[Any]) -> None:
        users = get_user_model()._default_manager
        with in_acme(), transaction.atomic(), at_the_database() as other:
            assert require_may_send(None, users.filter(pk=5), exactly=1) == [5]
            with pytest.raises(LockNotAvailable):
                other.execute(f'SELECT FROM acme."{users.model._meta.db_table}" WHERE id = 5 FOR UPDATE NOWAIT')

    @pytest.mark.parametrize("is_person", [False, True])
    def test_send_to_one_person_who_is_deleted_meanwhile_raises_recipient_unavailable(
        self, at_once: AtOnce, people: list[Any], is_person: bool
    ) -> None:
        reader = people[-1]
        sender = people[0] if is_person else None
        with in_acme():
            get_user_model().objects.filter(pk=people[0].pk).update(is_superuser=True)

        def write() -> str:
            try:
                return str(send(reader, "Hello", sender=sender))
            except RecipientUnavailable:
                return "unavailable"

        def delete() -> None:
            get_user_model().objects.filter(pk=reader.pk).delete()

        assert at_once(*while_open(delete, write))[1] == "unavailable"
        with in_acme():
            assert (Message.objects.count(), AuditRecord.objects.count()) == (0, 0)

    def test_send_by_sender_deleted_meanwhile_raises_recipient_unavailable(
        self, at_once: AtOnce, people: list[Any]
    ) -> None:
        with in_acme():
            sender = get_user_model()._default_manager.create_user(pk=99, email="s@example.com", is_superuser=True)
            gone = get_user_model()._default_manager.get(pk=sender.pk)

        def second() -> str:
            try:
                send(people, "news", sender=sender)
            except (RecipientUnavailable, PermissionDenied) as error:
                return type(error).__name__
            return "sent"

        assert at_once(*while_open(gone.delete, second))[1] == "RecipientUnavailable"
        with in_acme():
            assert not Message.objects.exists()

    def test_send_to_group_is_refused_when_member_joins_meanwhile(self, at_once: AtOnce, people: list[Any]) -> None:
        sender, member, other = people[:3]
        with in_acme():
            group = Group.objects.create(name="Sales")
            group.user_set.add(member)
            grant(sender, member)

        def join() -> None:
            with transaction.atomic():
                # As if the sender were writing something else.
                check_rate_limit(sender)
                begin.wait()
                wait_until_blocked(is_over)
                with ThreadPoolExecutor(1) as pool:
                    pool.submit(add).result()

        def add() -> None:
            try:
                with in_acme():
                    group.user_set.add(other)
            finally:
                connections.close_all()

        def write() -> str:
            begin.wait()
            try:
                return str(send(group, "news", sender=sender))
            except PermissionDenied:
                return "refused"
            finally:
                is_over.set()

        is_over, begin = Event(), Barrier(2, timeout=20)
        assert at_once(join, write)[1] == "refused"
        with in_acme():
            assert not Message.objects.exists()

    def test_send_to_changing_group_never_reaches_unpermitted_member(self, at_once: AtOnce, people: list[Any]) -> None:
        sender, member, other = people[:3]
        with in_acme():
            group = Group.objects.create(name="Sales")
            group.user_set.add(member)
            grant(sender, member)
        is_over = Event()

        def join_and_leave() -> int:
            times = 0
            while not is_over.is_set():
                group.user_set.add(other)
                group.user_set.remove(other)
                times += 1
            return times

        def write() -> tuple[int, int]:
            sent = refused = 0
            try:
                for _ in range(100):
                    try:
                        sent += send(group, "news", sender=sender)
                    except PermissionDenied:
                        refused += 1
            finally:
                is_over.set()
            return sent, refused

        with override_settings(MESSAGES_EXTENDS={"SEND_LIMITS": {}}):
            times, (sent, refused) = at_once(join_and_leave, write)
        with in_acme():
            assert set(Message.objects.values_list("user", flat=True)) <= {member.pk}
            assert Message.objects.count() == sent
        assert times
        assert sent + refused == 100


class TestPublishing:
    def test_concurrent_announce_with_same_key_creates_one_announcement(self, at_once: AtOnce, alice: Any) -> None:
        for number in range(ROUNDS):
            made = at_once(*[lambda: announce("news", to=EVERYONE, key=f"key {number}")] * 2)  # noqa: B023
            assert len({each.pk for each in made}) == 1
        assert len(unread(alice)) == ROUNDS

    def test_concurrent_broadcast_with_same_key_creates_one_broadcast(
        self, at_once: AtOnce, acme: Tenant, alice: Any
    ) -> None:
        def act() -> Broadcast:
            with schema_context("public"):
                return broadcast("news", to=[acme], key="key")

        for _ in range(ROUNDS):
            made = at_once(act, act)
            assert len({each.pk for each in made}) == 1
            assert unread(alice) == ["news"]
            Broadcast.objects.all().delete()

    def test_announce_with_key_during_retraction_is_live(self, at_once: AtOnce, alice: Any) -> None:
        with in_acme():
            old = announce("old news", to=EVERYONE, key="key")
        [_, new] = at_once(*while_open(lambda: retract(old), lambda: announce("news", to=EVERYONE, key="key")))
        assert new.state() is State.LIVE
        assert unread(alice) == ["news"]

    def test_announce_with_key_during_purge_is_unread(self, at_once: AtOnce, alice: Any) -> None:
        for _ in range(ROUNDS):
            with in_acme():
                old = announce("old news", to=EVERYONE, key="key")
                over = timezone.now() - timedelta(days=400)
                Announcement.objects.filter(pk=old.pk).update(publish_at=over, expires=over + timedelta(days=1))
            at_once(lambda: announce("news", to=EVERYONE, key="key"), purge)
            assert unread(alice) == ["news"]
            with in_acme():
                Announcement.objects.all().delete()

    def test_purge_keeps_receipts_of_announcements_read_meanwhile(self, at_once: AtOnce, alice: Any) -> None:
        def publish_and_read() -> None:
            for _ in range(10):
                announcement = announce("news", to=EVERYONE)
                assert inbox(alice).mark_read(str(announcement.reference))

        for _ in range(3):
            at_once(publish_and_read, lambda: [purge() for _ in range(10)])
        assert unread(alice) == []
        with in_acme():
            assert Receipt.objects.count() == 30

    def test_concurrent_revise_calls_apply_all_changes(self, at_once: AtOnce, alice: Any) -> None:
        with in_acme():
            announcement = announce("news", to=EVERYONE)
        for number in range(1, ROUNDS + 1):
            changes: list[dict[str, Any]] = [{"message": f"news {number}"}, {"url": f"/{number}/"}]
            at_once(*(partial(revise, announcement, show_again=True, **each) for each in changes))
            with in_acme():
                now = Announcement.objects.get()
            assert (now.revision, now.message, now.url) == (1 + 2 * number, f"news {number}", f"/{number}/")

    def test_announce_to_group_deleted_meanwhile_raises_recipient_unavailable(
        self, at_once: AtOnce, alice: Any
    ) -> None:
        with in_acme():
            group = Group.objects.create(name="Sales")
            gone = Group.objects.get()

        def second() -> str:
            try:
                announce("news", to=group)
            except RecipientUnavailable as error:
                return str(error)
            return "announced"

        assert "deleted" in at_once(*while_open(gone.delete, second))[1]
        with in_acme():
            assert not Announcement.objects.exists()


class TestRecalling:
    @pytest.fixture
    def sender(self, people: list[Any]) -> Any:
        with schema_context("acme"):
            grant(people[0], EVERYBODY)
        return people[0]

    @pytest.mark.parametrize("recall_first", [True, False])
    def test_message_marked_read_during_recall_either_stays_or_is_gone(
        self, at_once: AtOnce, people: list[Any], sender: Any, recall_first: bool
    ) -> None:
        with schema_context("acme"):
            send(people[1:], "Oops", sender=sender)
            pk = sent(sender).page().entries[0].pk
            own = Message.objects.get(user=people[15]).pk

        def recall() -> Any:
            try:
                return sent(sender).recall(pk)
            except NotRecallable:
                return "refused"

        def mark_read() -> Any:
            try:
                return inbox(people[15]).mark_read(own)
            except NoSuchMessage:
                return "gone"

        first, second = while_open(recall, mark_read) if recall_first else while_open(mark_read, recall)
        assert at_once(first, second) == ([29, "gone"] if recall_first else [True, "refused"])
        with schema_context("acme"):
            assert Message.objects.count() == (0 if recall_first else 29)

    def test_concurrent_recall_and_marking_leave_all_copies_or_none(
        self, at_once: AtOnce, people: list[Any], sender: Any
    ) -> None:
        for round_ in range(ROUNDS):
            with schema_context("acme"):
                send(people[1:], f"Oops {round_}", sender=sender)
                pk = sent(sender).page().entries[0].pk

            def recall(pk: int = pk) -> bool:
                with suppress(NotRecallable):
                    return sent(sender).recall(pk) > 0
                return False

            def mark_read(at: int) -> None:
                inbox(people[at]).mark_all_read()

            readers = [partial(mark_read, at) for at in (1, 15, 29)]
            is_recalled, *_marked = at_once(recall, *readers)
            with schema_context("acme"):
                copies = Message.objects.filter(message=f"Oops {round_}")
                assert (copies.count(), copies.exclude(read_at=None).exists()) == (
                    (0, False) if is_recalled else (29, True)
                )

    def test_concurrent_recalls_delete_once_and_log_once(self, at_once: AtOnce, people: list[Any], sender: Any) -> None:
        with schema_context("acme"):
            send(people[1:], "Oops", sender=sender)
            pk = sent(sender).page().entries[0].pk

        def recall() -> int:
            with suppress(NoSuchMessage):
                return sent(sender).recall(pk)
            return 0

        assert sorted(at_once(recall, recall, recall)) == [0, 0, 29]
        with schema_context("acme"):
            assert AuditRecord.objects.filter(action="recall").count() == 1

    def test_recall_waiting_for_send_with_its_key_is_refused(
        self, at_once: AtOnce, people: list[Any], sender: Any
    ) -> None:
        with schema_context("acme"):
            send(people[1:], "old", sender=sender, key="news")
            pk = sent(sender).page().entries[0].pk
            snoozed = Message.objects.get(user=people[15]).pk
            inbox(people[15]).snooze(snoozed, until=timezone.now() + timedelta(hours=1))

        def recall() -> Any:
            try:
                return sent(sender).recall(pk)
            except NotRecallable:
                return "refused"

        first, second = while_open(lambda: send(people[1:], "new", sender=sender, key="news"), recall)
        assert at_once(first, second) == [1, "refused"]


class TestReading:
    @pytest.fixture
    def pages(self, alice: Any) -> list[str]:
        """Fill an inbox with both: what is a message, and what is published."""
        with in_acme():
            for number in range(10):
                send(alice, f"message {number}")
                announce(f"announcement {number}", to=EVERYONE)
        return unread(alice)

    def test_concurrent_mark_all_read_marks_once_and_undoes_separately(
        self, at_once: AtOnce, alice: Any, pages: list[str]
    ) -> None:
        for _ in range(ROUNDS):
            marks = at_once(*[lambda: inbox(alice).mark_all_read()] * 2)
            assert sum(each.count for each in marks) == len(pages)
            assert unread(alice) == []
            undone = at_once(*(partial(undo, alice, each.at) for each in marks))
            assert undone == [each.count for each in marks]
            assert unread(alice) == pages

    @pytest.mark.parametrize("kind", ["message", "announcement"])
    def test_mark_all_read_during_uncommitted_mark_all_read_marks_nothing(
        self, at_once: AtOnce, alice: Any, pages: list[str], kind: Any
    ) -> None:
        def mark_all() -> Any:
            return inbox(alice).mark_all_read(kind=kind)

        first, second = at_once(*while_open(mark_all, mark_all))
        assert (first.count, second.count) == (10, 0)
        with in_acme():
            assert undo(alice, second.at) == 0
            assert undo(alice, first.at) == 10
        assert unread(alice) == pages

    @pytest.mark.parametrize("kind", ["message", "announcement"])
    def test_concurrent_mark_all_read_in_opposite_order_does_not_deadlock(
        self, at_once: AtOnce, alice: Any, kind: Any
    ) -> None:
        """Both stop at one in the middle; had they come from both ends, neither could go on."""
        with in_acme():
            # As they lie in the tables, and by their indexes, in opposite orders.
            later = timezone.now() + timedelta(days=1)
            for number in range(10):
                announce(f"announcement {number}", to=EVERYONE, expires=later - timedelta(minutes=number))
                send(alice, f"message {number}")
            middle = inbox(alice).page(kind=kind).entries[5].pk
        is_over, begin = Event(), Barrier(3, timeout=20)

        def in_the_middle() -> None:
            with transaction.atomic():
                inbox(alice).mark_read(middle)
                begin.wait()
                wait_until_blocked(is_over, 2)

        def mark_all(off: str) -> int:
            begin.wait()
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL enable_{off} = off; SET LOCAL enable_bitmapscan = off")
                return inbox(alice).mark_all_read(kind=kind).count

        counts = at_once(in_the_middle, partial(mark_all, "seqscan"), partial(mark_all, "indexscan"))
        assert counts[1] + counts[2] == 9
        with in_acme():
            assert inbox(alice).unread_count(kind=kind) == 0

    @pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
    def test_mark_all_read_skips_rows_committed_after_page_load(
        self, at_once: AtOnce, alice: Any, pages: list[str], write: Callable[[], Any], browser_of: BrowserOf
    ) -> None:
        """However long its transaction has lasted: it began before the page, and says so in its time."""
        with in_acme():
            browser, sales = browser_of(SimpleNamespace(schema_name="acme"), alice), Group.objects.create(name="Sales")
            alice.groups.add(sales)

        def write_slowly() -> None:
            write()
            Message.objects.filter(message="overdue").update(created=timezone.now() - timedelta(minutes=1))

        page = at_once(*while_open(write_slowly, lambda: browser.get("/messages/")))[1].content.decode()
        assert "overdue" not in page
        [snapshot] = re.findall(r'name="snapshot" value="([^"]+)"', page)
        answer = browser.post("/messages/mark_read/all/", {"snapshot": snapshot, "undoable": "1"})
        assert unread(alice) == ["overdue"]
        undone = parse_qs(urlsplit(answer["Location"]).query)["undo"]
        browser.post("/messages/undo/", {"undo": undone})
        assert unread(alice) == sorted(["overdue", *pages])

    @pytest.mark.parametrize("acknowledge", [False, True])
    def test_announcement_shown_again_during_marking_stays_unread(
        self, at_once: AtOnce, alice: Any, acknowledge: bool
    ) -> None:
        def mark(pk: str) -> None:
            # For less than a millisecond it is published anew, and not to be read yet.
            with suppress(NoSuchMessage):
                (inbox(alice).acknowledge if acknowledge else inbox(alice).mark_read)(pk)

        with in_acme():
            announcement = announce("news", to=EVERYONE)
        for _ in range(ROUNDS):
            with in_acme():
                [shown] = inbox(alice).page().entries
            at_once(partial(mark, shown.pk), partial(revise, announcement, show_again=True))
            assert unread(alice) == ["news"]

    @pytest.mark.parametrize("mark", ["mark_read", "mark_all_read"])
    def test_announcement_shown_again_around_marking_commit_stays_unread(
        self, at_once: AtOnce, alice: Any, mark: str
    ) -> None:
        with in_acme():
            announcement = announce("news", to=EVERYONE)
            [shown] = inbox(alice).page().entries

        def act() -> Any:
            return getattr(inbox(alice), mark)(*([shown.pk] if mark == "mark_read" else []))

        again = partial(revise, announcement, show_again=True)
        at_once(*while_open(again, act))
        assert unread(alice) == ["news"]
        at_once(*while_open(act, again))
        assert unread(alice) == ["news"]

    def test_mark_read_during_retraction_succeeds_or_raises_no_such_message(self, at_once: AtOnce, alice: Any) -> None:
        def mark(pk: str) -> str:
            try:
                return str(inbox(alice).mark_read(pk))
            except NoSuchMessage:
                return "gone"

        for _ in range(ROUNDS):
            with in_acme():
                announcement = announce("news", to=EVERYONE)
                [shown] = inbox(alice).page().entries
            assert at_once(partial(mark, shown.pk), partial(retract, announcement))[0] in ("True", "False", "gone")
            with in_acme():
                assert not inbox(alice).page().entries

    def test_mark_unread_after_concurrent_resend_leaves_one_unread_message(self, at_once: AtOnce, alice: Any) -> None:
        with in_acme():
            send(alice, "news", key="key")
            inbox(alice).mark_all_read()
            [read] = Message.objects.all()
        at_once(*while_open(lambda: send(alice, "news again", key="key"), lambda: inbox(alice).mark_unread(read.pk)))
        assert unread(alice) == ["news again"]

    def test_undo_after_concurrent_resend_changes_nothing(self, at_once: AtOnce, alice: Any) -> None:
        with in_acme():
            send(alice, "news", key="key")
            marked = inbox(alice).mark_all_read()
        [_, undone] = at_once(
            *while_open(lambda: send(alice, "news again", key="key"), lambda: inbox(alice).undo(marked.at))
        )
        assert undone == 0
        assert unread(alice) == ["news again"]

    def test_send_with_key_after_concurrent_mark_unread_sends_nothing(self, at_once: AtOnce, alice: Any) -> None:
        with in_acme():
            send(alice, "news", key="key")
            inbox(alice).mark_all_read()
            [read] = Message.objects.all()
        [_, sent] = at_once(
            *while_open(lambda: inbox(alice).mark_unread(read.pk), lambda: send(alice, "news again", key="key"))
        )
        assert sent == 0
        assert unread(alice) == ["news"]
