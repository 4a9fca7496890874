"""One user's reading side."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import connection
from django.utils import timezone
from django_tenants.utils import schema_context

from messages_extends.api import ALL_TENANTS, EVERYONE, announce, broadcast, inbox, retract, revise, send
from messages_extends.constants import (
    DEBUG_PERSISTENT,
    ERROR,
    ERROR_PERSISTENT,
    INFO_PERSISTENT,
    SUCCESS_PERSISTENT,
    WARNING_PERSISTENT,
)
from messages_extends.exceptions import MustAcknowledge, NoSuchMessage, WrongTenant
from messages_extends.maintenance.personal_data import erase
from messages_extends.models import Announcement, Message, Receipt
from messages_extends.templatetags.messages_extends import sender_name
from messages_extends.tenancy.schemas import in_schema
from tenants.models import Tenant
from tests.conftest import count_our_queries
from tests.factories import MakeMessage, MakeUser

pytestmark = pytest.mark.usefixtures("in_acme")


def to_all(text: str, **options: Any) -> Any:
    """Broadcast from public, wherever the test is."""
    with in_schema("public"):
        return broadcast(text, to=options.pop("to", ALL_TENANTS), **options)


def fill(user: Any, count: int) -> None:
    """Write messages by SQL, each a minute older than the one before."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO messages_extends_message (user_id, level, message, extra_tags, url, is_safe, key, created, "
            "modified) SELECT %s, 19, 'text ' || i, '', '', false, '', now() - i * interval '1 minute', now() "
            "FROM generate_series(1, %s) i",
            [user.pk, count],
        )


def texts(entries: Any) -> list[str]:
    return [str(entry) for entry in entries]


def entry_of(user: Any, text: str) -> Any:
    return next(entry for entry in inbox(user).page(size=100).entries if str(entry) == text)


class TestPage:
    def test_page_returns_all_kinds_newest_first(self, alice: Any) -> None:
        send(alice, "a message")
        announce("an announcement", to=EVERYONE)
        to_all("a broadcast")
        assert texts(inbox(alice).page().entries) == ["a broadcast", "an announcement", "a message"]

    def test_page_includes_read_items(self, alice: Any) -> None:
        send(alice, "a message")
        announce("an announcement", to=EVERYONE)
        inbox(alice).mark_all_read()
        assert [entry.read for entry in inbox(alice).page().entries] == [True, True]

    def test_page_hides_expired_retracted_and_scheduled_items(self, alice: Any) -> None:
        send(alice, "over", expires=timezone.now() + timedelta(hours=1))
        Message.objects.update(expires=timezone.now())
        retract(announce("retracted", to=EVERYONE))
        announce("to come", to=EVERYONE, publish_at=timezone.now() + timedelta(hours=1))
        assert texts(inbox(alice).page().entries) == []

    def test_page_returns_sender_and_author_of_items(self, alice: Any, bob: Any) -> None:
        Message.objects.create(user=alice, sender=bob, message="from Bob", level=INFO_PERSISTENT)
        send(alice, "from the application")
        to_all("from the platform", author="The platform")
        page = inbox(alice).page()
        assert [(entry.sender, entry.author) for entry in page.entries] == [
            ("The platform", "The platform"),
            (None, ""),
            (bob, ""),
        ]

    def test_sender_name_of_deleted_sender_is_former_member(self, alice: Any, bob: Any) -> None:
        Message.objects.create(user=alice, sender=bob, message="from Bob", level=INFO_PERSISTENT)
        announcement = announce("to all", to=EVERYONE)
        Announcement.objects.filter(pk=announcement.pk).update(sender=bob, from_person=True)
        send(alice, "from the application")
        bob.delete()
        shown = {str(entry): sender_name(entry) for entry in inbox(alice).page().entries}
        assert shown == {"from the application": "", "to all": "Former member", "from Bob": "Former member"}
        assert {str(each): sender_name(each) for each in inbox(alice).banners()} == shown

    def test_sender_name_of_erased_sender_is_former_member(self, alice: Any, bob: Any) -> None:
        Message.objects.create(user=alice, sender=bob, message="from Bob", level=INFO_PERSISTENT)
        erase(bob)
        assert [sender_name(entry) for entry in inbox(alice).page().entries] == ["Former member"]

    def test_banners_return_sender_of_publications(self, alice: Any, bob: Any, make_user: MakeUser) -> None:
        announcement = announce("to all", to=EVERYONE)
        Announcement.objects.filter(pk=announcement.pk).update(sender=bob)
        to_all("from the platform")
        to_all("from support", author="Support")
        banners: Any = inbox(alice).banners()
        shown = {str(each): each.sender for each in banners}
        assert shown == {"to all": bob, "from the platform": "The platform", "from support": "Support"}
        entry: Any = next(each for each in inbox(alice).banners() if str(each) == "to all")
        with schema_context("globex"):
            make_user("somebody else", pk=bob.pk)
            assert entry.sender.name == "bob"

    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            ({"kind": "message"}, ["b", "a"]),
            ({"kind": "announcement"}, ["c"]),
            ({"level": 30}, ["b"]),
            ({"level": WARNING_PERSISTENT}, ["b"]),
            ({"unread": True}, ["c", "b"]),
            ({"unread": True, "level": 20}, ["c"]),
        ],
    )
    def test_page_filters_by_kind_level_and_unread(self, alice: Any, options: Any, expected: list[str]) -> None:
        send(alice, "a")
        inbox(alice).mark_all_read()
        send(alice, "b", level=WARNING_PERSISTENT)
        announce("c", to=EVERYONE)
        assert texts(inbox(alice).page(**options).entries) == expected

    @pytest.mark.parametrize(
        "wrong",
        [{"kind": "letter"}, {"level": 21}, {"after": "x"}, {"after": "1-message-x"}, {"after": "0-broadcast-1"}],
    )
    def test_page_refuses_invalid_filter_or_cursor(self, alice: Any, wrong: Any) -> None:
        with pytest.raises(ValueError, match=r"is not one of|is not a cursor"):
            inbox(alice).page(**wrong)

    def test_page_cursor_continues_without_gap_or_overlap(self, alice: Any) -> None:
        fill(alice, 7)
        announce("newest", to=EVERYONE)
        first = inbox(alice).page(size=4)
        second = inbox(alice).page(first.next, size=4)
        assert texts([*first.entries, *second.entries]) == ["newest", *(f"text {i}" for i in range(1, 8))]
        assert second.next == ""

    def test_page_returns_message_instances(self, alice: Any) -> None:
        send(alice, "Hello %(name)s", params={"name": "you"}, url="/x/", extra_tags="extra", key="k")
        (entry,) = inbox(alice).page().entries
        assert isinstance(entry, Message)
        assert (str(entry), entry.url, entry.key, entry.tags) == (
            "Hello you",
            "/x/",
            "k",
            "extra info persistent unread",
        )


class TestQueries:
    """However much there is, the number of queries stays."""

    @pytest.mark.parametrize("count", [0, 5, 300])
    def test_banners_take_one_query(self, alice: Any, count: int) -> None:
        fill(alice, count)
        announce("an announcement", to=EVERYONE)
        with count_our_queries() as queries:
            inbox(alice).banners()
        assert len(queries) == 1

    @pytest.mark.parametrize("number", [1, 1000])
    def test_page_with_senders_takes_two_queries(
        self, alice: Any, bob: Any, django_assert_num_queries: Any, number: int
    ) -> None:
        fill(alice, 20_100)
        Message.objects.update(sender=bob)
        after = ""
        if number > 1:
            last = Message.objects.for_user(alice).newest_first()[(number - 1) * 20 - 1]
            after = f"{int(last.created.timestamp() * 1_000_000)}-message-{last.pk}"
        inbox(alice).page(after)
        with django_assert_num_queries(2):
            page = inbox(alice).page(after)
        assert len(page.entries) == 20
        assert page.entries[0].sender == bob

    def test_unread_count_takes_one_query(self, alice: Any) -> None:
        fill(alice, 300)
        with count_our_queries() as queries:
            assert inbox(alice).unread_count() == 100
        assert len(queries) == 1

    def test_mark_read_takes_one_query_for_message_and_two_for_publication(self, alice: Any) -> None:
        send(alice, "a message")
        announce("an announcement", to=EVERYONE)
        for text, count in (("a message", 1), ("an announcement", 2)):
            pk = entry_of(alice, text).pk
            with count_our_queries() as queries:
                inbox(alice).mark_read(pk)
            assert len(queries) == count

    def test_marking_all_and_undoing_it_take_two_queries_each(self, alice: Any) -> None:
        fill(alice, 300)
        announce("an announcement", to=EVERYONE)
        with count_our_queries() as queries:
            at = inbox(alice).mark_all_read().at
        assert len(queries) == 2
        with count_our_queries() as queries:
            assert inbox(alice).undo(at) == 301
        assert len(queries) == 2

    def test_mark_all_read_with_snapshot_takes_two_queries(self, alice: Any) -> None:
        fill(alice, 300)
        announce("an announcement", to=EVERYONE)
        with count_our_queries() as queries:
            snapshot = inbox(alice).snapshot()
        assert (len(snapshot), len(queries)) == (301, 1)
        with count_our_queries() as queries:
            assert inbox(alice).mark_all_read(snapshot).count == 301
        assert len(queries) == 2


class TestBanners:
    def test_banners_are_ordered_by_acknowledgement_level_and_time(self, alice: Any) -> None:
        to_all("acknowledge", must_acknowledge=True)
        announce("older info", to=EVERYONE)
        announce("older error", to=EVERYONE, level=ERROR_PERSISTENT)
        send(alice, "debug", level=DEBUG_PERSISTENT)
        send(alice, "warning", level=WARNING_PERSISTENT)
        to_all("success", level=SUCCESS_PERSISTENT)
        send(alice, "newer error", level=ERROR_PERSISTENT)
        send(alice, "newer info")
        assert texts(inbox(alice).banners()) == [
            "acknowledge",
            "newer error",
            "older error",
            "warning",
            "success",
            "newer info",
            "older info",
            "debug",
        ]

    def test_banners_order_ordinary_level_like_persistent_level(self, alice: Any, make_message: MakeMessage) -> None:
        """Rows that were imported may hold an ordinary level."""
        make_message(alice, "older", level=ERROR)
        make_message(alice, "newer", level=ERROR_PERSISTENT)
        assert texts(inbox(alice).banners()) == ["newer", "older"]

    def test_banners_show_most_urgent_of_newest_items_of_each_kind(self, alice: Any, settings: Any) -> None:
        settings.MESSAGES_EXTENDS = {"PLATFORM_SCHEMA": "platform", "MAX_BANNERS": 2}
        announce("acknowledge", to=EVERYONE, must_acknowledge=True)
        send(alice, "too old", level=ERROR_PERSISTENT)
        send(alice, "warning", level=WARNING_PERSISTENT)
        send(alice, "info")
        announce("newest info", to=EVERYONE)
        with count_our_queries() as queries:
            assert texts(inbox(alice).banners()) == ["acknowledge", "warning", "and 3 more"]
        assert len(queries) == 1

    def test_banners_beyond_limit_end_with_count_of_remaining_items(self, alice: Any, settings: Any) -> None:
        settings.MESSAGES_EXTENDS = {"PLATFORM_SCHEMA": "platform", "MAX_BANNERS": 3}
        fill(alice, 4)
        announce("first", to=EVERYONE)
        assert texts(inbox(alice).banners()) == ["first", "text 1", "text 2", "and 2 more"]
        fill(alice, 300)
        assert texts(inbox(alice).banners())[-1] == "and 98+ more"

    def test_banners_hide_read_items(self, alice: Any) -> None:
        send(alice, "a message")
        announce("an announcement", to=EVERYONE)
        for entry in inbox(alice).page().entries:
            inbox(alice).mark_read(entry.pk)
        assert inbox(alice).banners() == []


class TestUnreadCount:
    def test_unread_count_includes_all_kinds(self, alice: Any) -> None:
        send(alice, "a message")
        announce("an announcement", to=EVERYONE)
        to_all("a broadcast")
        assert inbox(alice).unread_count() == 3

    def test_unread_count_is_capped_unless_exact(self, alice: Any) -> None:
        fill(alice, 150)
        announce("an announcement", to=EVERYONE)
        assert inbox(alice).unread_count() == 100
        assert inbox(alice).unread_count(exact=True) == 151


class TestMarking:
    @pytest.mark.parametrize("publish", [lambda: announce("text", to=EVERYONE), lambda: to_all("text")])
    def test_mark_read_of_publication_affects_one_reader(
        self, alice: Any, bob: Any, publish: Callable[[], Any]
    ) -> None:
        publish()
        assert inbox(alice).mark_read(entry_of(alice, "text").pk)
        assert not inbox(alice).mark_read(entry_of(alice, "text").pk)
        assert (inbox(alice).unread_count(), inbox(bob).unread_count()) == (0, 1)

    def test_mark_read_of_earlier_revision_leaves_new_revision_unread(self, alice: Any) -> None:
        announcement = announce("first", to=EVERYONE)
        shown = entry_of(alice, "first").pk
        revise(announcement, message="second", show_again=True)
        inbox(alice).mark_read(shown)
        assert texts(inbox(alice).banners()) == ["second"]

    def test_mark_unread_reverts_mark_all_read(self, alice: Any) -> None:
        send(alice, "a message")
        announce("an announcement", to=EVERYONE)
        at = inbox(alice).mark_all_read().at
        assert at
        for entry in inbox(alice).page().entries:
            assert inbox(alice).mark_unread(entry.pk)
            assert not inbox(alice).mark_unread(entry.pk)
        assert inbox(alice).unread_count() == 2

    def test_publication_to_acknowledge_can_only_be_acknowledged(self, alice: Any) -> None:
        announce("the rules", to=EVERYONE, must_acknowledge=True)
        pk = entry_of(alice, "the rules").pk
        with pytest.raises(MustAcknowledge):
            inbox(alice).mark_read(pk)
        inbox(alice).mark_all_read()
        assert inbox(alice).unread_count() == 1
        assert inbox(alice).acknowledge(pk)
        assert inbox(alice).unread_count() == 0
        with pytest.raises(MustAcknowledge):
            inbox(alice).mark_unread(pk)

    @pytest.mark.parametrize("pk", ["0", "x", "", "9" * 18, "9" * 40, "-1", "1.5", "0" * 32 + "-1", "0" * 32 + "-0"])
    def test_marking_with_invalid_reference_raises_no_such_message(self, alice: Any, pk: str) -> None:
        for mark in (inbox(alice).mark_read, inbox(alice).acknowledge, inbox(alice).mark_unread):
            with pytest.raises(NoSuchMessage):
                mark(pk)

    def test_mark_read_of_future_revision_raises_no_such_message(self, alice: Any) -> None:
        announcement = announce("first", to=EVERYONE)
        with pytest.raises(NoSuchMessage):
            inbox(alice).mark_read(f"{announcement.pk.hex}-2")
        assert not Receipt.objects.exists()


class TestMarkingAll:
    def test_mark_all_read_writes_same_time_to_all_rows(self, alice: Any) -> None:
        send(alice, "a message")
        announce("an announcement", to=EVERYONE)
        at = inbox(alice).mark_all_read().at
        assert (Message.objects.get().read_at, Receipt.objects.get().read_at) == (at, at)

    def test_mark_all_read_with_snapshot_leaves_newer_items_unread(self, alice: Any) -> None:
        send(alice, "seen")
        announce("seen too", to=EVERYONE)
        snapshot = inbox(alice).snapshot()
        send(alice, "unseen")
        announce("unseen too", to=EVERYONE)
        inbox(alice).mark_all_read(snapshot)
        assert sorted(texts(inbox(alice).banners())) == ["unseen", "unseen too"]

    @pytest.mark.parametrize("publish", ["written with an earlier time", "for a group that one joins", "scheduled"])
    def test_mark_all_read_with_snapshot_leaves_later_visible_publication(self, alice: Any, publish: str) -> None:
        week, sales = timedelta(days=7), Group.objects.create(name="Sales")
        if publish == "for a group that one joins":
            announce("news", to=sales, publish_at=timezone.now() - week)
        if publish == "scheduled":
            announce("news", to=EVERYONE, publish_at=timezone.now() + week)
        snapshot = inbox(alice).snapshot()
        if publish == "written with an earlier time":
            announce("news", to=EVERYONE, publish_at=timezone.now() - week)
        alice.groups.add(sales)
        Announcement.objects.update(publish_at=timezone.now() - week)
        inbox(alice).mark_all_read(snapshot)
        assert texts(inbox(alice).banners()) == ["news"]

    def test_mark_all_read_with_snapshot_leaves_newer_revision_unread(self, alice: Any) -> None:
        announcement = announce("first", to=EVERYONE)
        snapshot = inbox(alice).snapshot()
        revise(announcement, message="second", show_again=True)
        inbox(alice).mark_all_read(snapshot)
        assert texts(inbox(alice).banners()) == ["second"]

    def test_mark_all_read_with_filtered_snapshot_marks_only_that_part(self, alice: Any) -> None:
        send(alice, "a message")
        send(alice, "a warning", level=WARNING_PERSISTENT)
        announce("an announcement", to=EVERYONE)
        to_all("a broadcast")
        assert len(inbox(alice).snapshot(level=WARNING_PERSISTENT)) == 1
        inbox(alice).mark_all_read(inbox(alice).snapshot(kind="broadcast"))
        assert sorted(texts(inbox(alice).banners())) == ["a message", "a warning", "an announcement"]
        inbox(alice).mark_all_read(inbox(alice).snapshot(), kind="message")
        assert texts(inbox(alice).banners()) == ["an announcement"]

    @pytest.mark.parametrize(("minutes", "left"), [(1, []), (0, ["text 501", "text 502"])])
    def test_mark_all_read_beyond_snapshot_limit_leaves_recent_messages_unread(
        self, alice: Any, minutes: int, left: list[str]
    ) -> None:
        fill(alice, 502)
        if not minutes:
            Message.objects.update(created=timezone.now() - timedelta(minutes=1))
            for index, each in enumerate(Message.objects.order_by("id")):
                Message.objects.filter(pk=each.pk).update(created=each.created - timedelta(milliseconds=index))
        snapshot = inbox(alice).snapshot()
        inbox(alice).mark_all_read(snapshot)
        assert texts(inbox(alice).page(unread=True).entries) == left
        assert len(snapshot.messages) == 500

    def test_mark_all_read_with_snapshot_ignores_reused_primary_key(self, alice: Any) -> None:
        send(alice, "seen")
        snapshot = inbox(alice).snapshot()
        Message.objects.all().delete()
        Message.objects.create(pk=snapshot.messages[0], user=alice, message="unseen", level=INFO_PERSISTENT)
        inbox(alice).mark_all_read(snapshot)
        assert texts(inbox(alice).banners()) == ["unseen"]

    def test_undo_restores_only_items_of_that_mark_all_read(self, alice: Any) -> None:
        send(alice, "read before")
        inbox(alice).mark_all_read()
        send(alice, "a message")
        announce("an announcement", to=EVERYONE)
        at = inbox(alice).mark_all_read().at
        send(alice, "later")
        assert inbox(alice).undo(at) == 2
        assert sorted(texts(inbox(alice).banners())) == ["a message", "an announcement", "later"]
        assert inbox(alice).undo(at) == 0

    def test_undo_restores_earlier_receipt(self, alice: Any) -> None:
        announcement = announce("first", to=EVERYONE)
        earlier = inbox(alice).mark_all_read().at
        revise(announcement, show_again=True)
        inbox(alice).undo(inbox(alice).mark_all_read().at)
        receipt = Receipt.objects.get()
        assert (receipt.revision, receipt.read_at, receipt.earlier_revision) == (1, earlier, None)
        assert inbox(alice).unread_count() == 1

    def test_undo_ignores_message_sent_again_with_same_key(self, alice: Any) -> None:
        send(alice, "disk full", key="disk")
        at = inbox(alice).mark_all_read().at
        send(alice, "disk full again", key="disk")
        assert inbox(alice).undo(at) == 0
        assert texts(inbox(alice).banners()) == ["disk full again"]

    def test_mark_all_read_and_undo_affect_one_user(self, alice: Any, bob: Any) -> None:
        send([alice, bob], "for both")
        announce("for everyone", to=EVERYONE)
        at = inbox(alice).mark_all_read().at
        assert inbox(bob).unread_count() == 2
        assert inbox(bob).undo(at) == 0


class TestOtherTenant:
    """An inbox cannot be read in another tenant, where the same primary key identifies another user."""

    READS: ClassVar[dict[str, Callable[[Any], Any]]] = {
        "banners": lambda box: box.banners(),
        "page": lambda box: box.page(),
        "unread_count": lambda box: box.unread_count(),
        "snapshot": lambda box: box.snapshot(),
        "mark_all_read": lambda box: box.mark_all_read(),
        "mark_read": lambda box: box.mark_read(1),
        "mark_unread": lambda box: box.mark_unread(1),
        "acknowledge": lambda box: box.acknowledge("0" * 32 + "-1"),
        "undo": lambda box: box.undo(timezone.now()),
    }

    @pytest.mark.parametrize("read", READS)
    def test_inbox_in_other_tenant_raises_wrong_tenant(
        self, alice: Any, globex: Tenant, make_user: MakeUser, read: str
    ) -> None:
        box = inbox(alice)
        # The statement is compiled already.
        self.READS["banners"](box)
        with in_schema("globex"):
            namesake = get_user_model()(pk=alice.pk, email="namesake@globex.example")
            namesake.save()
            send(namesake, "of globex")
            with pytest.raises(WrongTenant):
                self.READS[read](box)
