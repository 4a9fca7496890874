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
    def test_it_holds_messages_announcements_and_broadcasts_newest_first(self, alice: Any) -> None:
        send(alice, "a message")
        announce("an announcement", to=EVERYONE)
        to_all("a broadcast")
        assert texts(inbox(alice).page().entries) == ["a broadcast", "an announcement", "a message"]

    def test_it_shows_what_is_read_too(self, alice: Any) -> None:
        send(alice, "a message")
        announce("an announcement", to=EVERYONE)
        inbox(alice).mark_all_read()
        assert [entry.read for entry in inbox(alice).page().entries] == [True, True]

    def test_it_shows_nothing_that_has_ended(self, alice: Any) -> None:
        send(alice, "over", expires=timezone.now() + timedelta(hours=1))
        Message.objects.update(expires=timezone.now())
        retract(announce("retracted", to=EVERYONE))
        announce("to come", to=EVERYONE, publish_at=timezone.now() + timedelta(hours=1))
        assert texts(inbox(alice).page().entries) == []

    def test_it_names_the_sender(self, alice: Any, bob: Any) -> None:
        Message.objects.create(user=alice, sender=bob, message="from Bob", level=INFO_PERSISTENT)
        send(alice, "from the application")
        to_all("from the platform", author="The platform")
        page = inbox(alice).page()
        assert [(entry.sender, entry.author) for entry in page.entries] == [
            ("The platform", "The platform"),
            (None, ""),
            (bob, ""),
        ]

    def test_who_is_gone_is_told_from_the_application(self, alice: Any, bob: Any) -> None:
        Message.objects.create(user=alice, sender=bob, message="from Bob", level=INFO_PERSISTENT)
        announcement = announce("to all", to=EVERYONE)
        Announcement.objects.filter(pk=announcement.pk).update(sender=bob, from_person=True)
        send(alice, "from the application")
        bob.delete()
        shown = {str(entry): sender_name(entry) for entry in inbox(alice).page().entries}
        assert shown == {"from the application": "", "to all": "Former member", "from Bob": "Former member"}
        assert {str(each): sender_name(each) for each in inbox(alice).banners()} == shown

    def test_who_is_erased_is_told_from_the_application(self, alice: Any, bob: Any) -> None:
        Message.objects.create(user=alice, sender=bob, message="from Bob", level=INFO_PERSISTENT)
        erase(bob)
        assert [sender_name(entry) for entry in inbox(alice).page().entries] == ["Former member"]

    def test_a_banner_names_the_sender_too(self, alice: Any, bob: Any, make_user: MakeUser) -> None:
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
    def test_it_is_narrowed_down(self, alice: Any, options: Any, expected: list[str]) -> None:
        send(alice, "a")
        inbox(alice).mark_all_read()
        send(alice, "b", level=WARNING_PERSISTENT)
        announce("c", to=EVERYONE)
        assert texts(inbox(alice).page(**options).entries) == expected

    @pytest.mark.parametrize(
        "wrong",
        [{"kind": "letter"}, {"level": 21}, {"after": "x"}, {"after": "1-message-x"}, {"after": "0-broadcast-1"}],
    )
    def test_what_does_not_exist_is_refused_with_what_does(self, alice: Any, wrong: Any) -> None:
        with pytest.raises(ValueError, match=r"is not one of|is not a cursor"):
            inbox(alice).page(**wrong)

    def test_pages_follow_each_other_without_gap_or_overlap(self, alice: Any) -> None:
        fill(alice, 7)
        announce("newest", to=EVERYONE)
        first = inbox(alice).page(size=4)
        second = inbox(alice).page(first.next, size=4)
        assert texts([*first.entries, *second.entries]) == ["newest", *(f"text {i}" for i in range(1, 8))]
        assert second.next == ""

    def test_a_message_of_a_template_is_a_message(self, alice: Any) -> None:
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
    def test_banners_take_one(self, alice: Any, count: int) -> None:
        fill(alice, count)
        announce("an announcement", to=EVERYONE)
        with count_our_queries() as queries:
            inbox(alice).banners()
        assert len(queries) == 1

    @pytest.mark.parametrize("number", [1, 1000])
    def test_a_page_takes_two_with_its_senders(
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

    def test_the_unread_count_takes_one(self, alice: Any) -> None:
        fill(alice, 300)
        with count_our_queries() as queries:
            assert inbox(alice).unread_count() == 100
        assert len(queries) == 1

    def test_marking_takes_one_for_messages_and_two_for_publications(self, alice: Any) -> None:
        send(alice, "a message")
        announce("an announcement", to=EVERYONE)
        for text, count in (("a message", 1), ("an announcement", 2)):
            pk = entry_of(alice, text).pk
            with count_our_queries() as queries:
                inbox(alice).mark_read(pk)
            assert len(queries) == count

    def test_marking_all_and_undoing_it_take_two_each(self, alice: Any) -> None:
        fill(alice, 300)
        announce("an announcement", to=EVERYONE)
        with count_our_queries() as queries:
            at = inbox(alice).mark_all_read().at
        assert len(queries) == 2
        with count_our_queries() as queries:
            assert inbox(alice).undo(at) == 301
        assert len(queries) == 2

    def test_so_they_do_with_a_snapshot_which_takes_one(self, alice: Any) -> None:
        fill(alice, 300)
        announce("an announcement", to=EVERYONE)
        with count_our_queries() as queries:
            snapshot = inbox(alice).snapshot()
        assert (len(snapshot), len(queries)) == (301, 1)
        with count_our_queries() as queries:
            assert inbox(alice).mark_all_read(snapshot).count == 301
        assert len(queries) == 2


class TestBanners:
    def test_what_must_be_acknowledged_comes_first_then_the_level_decides_and_then_the_time(self, alice: Any) -> None:
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

    def test_a_level_of_the_same_family_is_the_same_urgency(self, alice: Any, make_message: MakeMessage) -> None:
        """Rows that were imported may hold an ordinary level."""
        make_message(alice, "older", level=ERROR)
        make_message(alice, "newer", level=ERROR_PERSISTENT)
        assert texts(inbox(alice).banners()) == ["newer", "older"]

    def test_the_newest_of_each_kind_are_taken_and_the_most_urgent_of_these_shown(
        self, alice: Any, settings: Any
    ) -> None:
        settings.MESSAGES_EXTENDS = {"PLATFORM_SCHEMA": "platform", "MAX_BANNERS": 2}
        announce("acknowledge", to=EVERYONE, must_acknowledge=True)
        send(alice, "too old", level=ERROR_PERSISTENT)
        send(alice, "warning", level=WARNING_PERSISTENT)
        send(alice, "info")
        announce("newest info", to=EVERYONE)
        with count_our_queries() as queries:
            assert texts(inbox(alice).banners()) == ["acknowledge", "warning", "and 3 more"]
        assert len(queries) == 1

    def test_beyond_the_limit_the_last_says_how_many_more(self, alice: Any, settings: Any) -> None:
        settings.MESSAGES_EXTENDS = {"PLATFORM_SCHEMA": "platform", "MAX_BANNERS": 3}
        fill(alice, 4)
        announce("first", to=EVERYONE)
        assert texts(inbox(alice).banners()) == ["first", "text 1", "text 2", "and 2 more"]
        fill(alice, 300)
        assert texts(inbox(alice).banners())[-1] == "and 98+ more"

    def test_what_is_read_is_gone(self, alice: Any) -> None:
        send(alice, "a message")
        announce("an announcement", to=EVERYONE)
        for entry in inbox(alice).page().entries:
            inbox(alice).mark_read(entry.pk)
        assert inbox(alice).banners() == []


class TestUnreadCount:
    def test_it_counts_all_three_kinds(self, alice: Any) -> None:
        send(alice, "a message")
        announce("an announcement", to=EVERYONE)
        to_all("a broadcast")
        assert inbox(alice).unread_count() == 3

    def test_it_is_exact_if_asked_to(self, alice: Any) -> None:
        fill(alice, 150)
        announce("an announcement", to=EVERYONE)
        assert inbox(alice).unread_count() == 100
        assert inbox(alice).unread_count(exact=True) == 151


class TestMarking:
    @pytest.mark.parametrize("publish", [lambda: announce("text", to=EVERYONE), lambda: to_all("text")])
    def test_a_publication_is_read_by_one_reader_only(self, alice: Any, bob: Any, publish: Callable[[], Any]) -> None:
        publish()
        assert inbox(alice).mark_read(entry_of(alice, "text").pk)
        assert not inbox(alice).mark_read(entry_of(alice, "text").pk)
        assert (inbox(alice).unread_count(), inbox(bob).unread_count()) == (0, 1)

    def test_what_was_shown_is_marked_not_what_is_there_now(self, alice: Any) -> None:
        announcement = announce("first", to=EVERYONE)
        shown = entry_of(alice, "first").pk
        revise(announcement, message="second", show_again=True)
        inbox(alice).mark_read(shown)
        assert texts(inbox(alice).banners()) == ["second"]

    def test_marking_as_unread_takes_it_back(self, alice: Any) -> None:
        send(alice, "a message")
        announce("an announcement", to=EVERYONE)
        at = inbox(alice).mark_all_read().at
        assert at
        for entry in inbox(alice).page().entries:
            assert inbox(alice).mark_unread(entry.pk)
            assert not inbox(alice).mark_unread(entry.pk)
        assert inbox(alice).unread_count() == 2

    def test_what_must_be_acknowledged_can_only_be(self, alice: Any) -> None:
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
    def test_what_does_not_exist_is_not_there(self, alice: Any, pk: str) -> None:
        for mark in (inbox(alice).mark_read, inbox(alice).acknowledge, inbox(alice).mark_unread):
            with pytest.raises(NoSuchMessage):
                mark(pk)

    def test_a_revision_to_come_is_not_there(self, alice: Any) -> None:
        announcement = announce("first", to=EVERYONE)
        with pytest.raises(NoSuchMessage):
            inbox(alice).mark_read(f"{announcement.pk.hex}-2")
        assert not Receipt.objects.exists()


class TestMarkingAll:
    def test_it_writes_one_time_to_all(self, alice: Any) -> None:
        send(alice, "a message")
        announce("an announcement", to=EVERYONE)
        at = inbox(alice).mark_all_read().at
        assert (Message.objects.get().read_at, Receipt.objects.get().read_at) == (at, at)

    def test_what_has_come_since_the_page_was_shown_stays(self, alice: Any) -> None:
        send(alice, "seen")
        announce("seen too", to=EVERYONE)
        snapshot = inbox(alice).snapshot()
        send(alice, "unseen")
        announce("unseen too", to=EVERYONE)
        inbox(alice).mark_all_read(snapshot)
        assert sorted(texts(inbox(alice).banners())) == ["unseen", "unseen too"]

    @pytest.mark.parametrize("publish", ["written with an earlier time", "for a group that one joins", "scheduled"])
    def test_so_does_a_publication_however_old_it_is(self, alice: Any, publish: str) -> None:
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

    def test_so_does_a_revision_that_was_not_shown(self, alice: Any) -> None:
        announcement = announce("first", to=EVERYONE)
        snapshot = inbox(alice).snapshot()
        revise(announcement, message="second", show_again=True)
        inbox(alice).mark_all_read(snapshot)
        assert texts(inbox(alice).banners()) == ["second"]

    def test_a_snapshot_may_be_of_a_part(self, alice: Any) -> None:
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
    def test_of_very_many_the_latest_are_in_doubt(self, alice: Any, minutes: int, left: list[str]) -> None:
        fill(alice, 502)
        if not minutes:
            Message.objects.update(created=timezone.now() - timedelta(minutes=1))
            for index, each in enumerate(Message.objects.order_by("id")):
                Message.objects.filter(pk=each.pk).update(created=each.created - timedelta(milliseconds=index))
        snapshot = inbox(alice).snapshot()
        inbox(alice).mark_all_read(snapshot)
        assert texts(inbox(alice).page(unread=True).entries) == left
        assert len(snapshot.messages) == 500

    def test_a_restored_database_may_give_primary_keys_again(self, alice: Any) -> None:
        send(alice, "seen")
        snapshot = inbox(alice).snapshot()
        Message.objects.all().delete()
        Message.objects.create(pk=snapshot.messages[0], user=alice, message="unseen", level=INFO_PERSISTENT)
        inbox(alice).mark_all_read(snapshot)
        assert texts(inbox(alice).banners()) == ["unseen"]

    def test_undo_restores_exactly_what_it_changed(self, alice: Any) -> None:
        send(alice, "read before")
        inbox(alice).mark_all_read()
        send(alice, "a message")
        announce("an announcement", to=EVERYONE)
        at = inbox(alice).mark_all_read().at
        send(alice, "later")
        assert inbox(alice).undo(at) == 2
        assert sorted(texts(inbox(alice).banners())) == ["a message", "an announcement", "later"]
        assert inbox(alice).undo(at) == 0

    def test_undo_brings_back_an_earlier_receipt(self, alice: Any) -> None:
        announcement = announce("first", to=EVERYONE)
        earlier = inbox(alice).mark_all_read().at
        revise(announcement, show_again=True)
        inbox(alice).undo(inbox(alice).mark_all_read().at)
        receipt = Receipt.objects.get()
        assert (receipt.revision, receipt.read_at, receipt.earlier_revision) == (1, earlier, None)
        assert inbox(alice).unread_count() == 1

    def test_undo_leaves_alone_what_has_been_sent_again(self, alice: Any) -> None:
        send(alice, "disk full", key="disk")
        at = inbox(alice).mark_all_read().at
        send(alice, "disk full again", key="disk")
        assert inbox(alice).undo(at) == 0
        assert texts(inbox(alice).banners()) == ["disk full again"]

    def test_it_is_one_users_own(self, alice: Any, bob: Any) -> None:
        send([alice, bob], "for both")
        announce("for everyone", to=EVERYONE)
        at = inbox(alice).mark_all_read().at
        assert inbox(bob).unread_count() == 2
        assert inbox(bob).undo(at) == 0


class TestElsewhere:
    """An inbox that somebody kept is not read in another organisation, where the same key is somebody else's."""

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
    def test_whatever_it_is_asked_it_refuses(self, alice: Any, globex: Tenant, make_user: MakeUser, read: str) -> None:
        box = inbox(alice)
        # The statement is compiled already.
        self.READS["banners"](box)
        with in_schema("globex"):
            namesake = get_user_model()(pk=alice.pk, email="namesake@globex.example")
            namesake.save()
            send(namesake, "of globex")
            with pytest.raises(WrongTenant):
                self.READS[read](box)
