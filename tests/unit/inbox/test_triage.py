"""Archiving, snoozing and saving, for one item, for several and for all that a filter shows; and their undo."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from django_tenants.utils import schema_context

from messages_extends.api import EVERYONE, announce, broadcast, inbox, revise, send
from messages_extends.constants import ALL_TENANTS
from messages_extends.exceptions import MustAcknowledge, NoSuchMessage, WrongTenant
from messages_extends.inbox.inbox import Inbox
from messages_extends.inbox.selection import Marked
from messages_extends.inbox.snapshot import UnreadSnapshot
from messages_extends.models import Announcement, Message, Receipt
from messages_extends.models.content import VIEWS, View
from tests.conftest import count_our_queries
from tests.factories import MakeUser

pytestmark = pytest.mark.usefixtures("in_acme")

HOUR = timedelta(hours=1)
KINDS = ("message", "announcement", "broadcast")


def write(user: Any, kind: str, text: str = "Hello", **options: Any) -> None:
    if kind == "message":
        send(user, text, **options)
    elif kind == "announcement":
        announce(text, to=EVERYONE, **options)
    else:
        with schema_context("public"):
            broadcast(text, to=ALL_TENANTS, **options)


def pk_of(user: Any) -> str:
    [entry] = inbox(user).page(view="all").entries
    return str(entry.pk)


def texts(user: Any, view: View = "inbox", **chosen: Any) -> list[str]:
    return [str(entry) for entry in inbox(user).page(view=view, **chosen).entries]


def views_of(user: Any) -> set[str]:
    """Return the views in which something is, but for "all"."""
    return {view for view in VIEWS if view != "all" and texts(user, view)}


def wake(hours: float = 2) -> None:
    """Let everything that is snoozed come back."""
    past = timezone.now() - timedelta(seconds=1)
    Message.objects.exclude(snoozed_until=None).update(snoozed_until=past, created=past - hours * HOUR)
    Receipt.objects.exclude(snoozed_until=None).update(snoozed_until=past)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class TestSingleItems:
    def test_archive_removes_item_from_inbox_and_marks_it_read(self, alice: Any, kind: str) -> None:
        write(alice, kind)
        assert inbox(alice).archive(pk_of(alice)).count == 1
        assert views_of(alice) == {"archived"}
        assert inbox(alice).unread_count() == 0
        assert inbox(alice).banners() == []
        [entry] = inbox(alice).page(view="archived").entries
        assert (entry.archived, entry.read) == (True, True)

    def test_archive_changes_nothing_the_second_time(self, alice: Any, kind: str) -> None:
        write(alice, kind)
        inbox(alice).archive(pk_of(alice))
        assert inbox(alice).archive(pk_of(alice)).count == 0

    def test_unarchive_leaves_item_read(self, alice: Any, kind: str) -> None:
        write(alice, kind)
        inbox(alice).archive(pk_of(alice))
        assert inbox(alice).unarchive(pk_of(alice)).count == 1
        assert views_of(alice) == {"inbox"}
        assert inbox(alice).unread_count() == 0

    def test_mark_unread_moves_archived_item_to_inbox(self, alice: Any, kind: str) -> None:
        write(alice, kind)
        inbox(alice).archive(pk_of(alice))
        assert inbox(alice).mark_unread(pk_of(alice))
        assert views_of(alice) == {"inbox"}
        assert inbox(alice).unread_count() == 1

    def test_snooze_hides_item_until_it_comes_back_first_and_unread(self, alice: Any, kind: str) -> None:
        write(alice, kind, "first")
        pk = pk_of(alice)
        assert inbox(alice).snooze(pk, until=timezone.now() + HOUR).count == 1
        send(alice, "second")
        assert texts(alice) == ["second"]
        assert texts(alice, "snoozed") == ["first"]
        assert inbox(alice).unread_count() == 1
        assert [str(each) for each in inbox(alice).banners()] == ["second"]
        Message.objects.filter(message="second").update(created=timezone.now() - HOUR)
        wake()
        assert texts(alice) == ["first", "second"]
        assert inbox(alice).unread_count() == 2
        assert texts(alice, "snoozed") == []

    def test_snooze_takes_archived_item_out_of_archive(self, alice: Any, kind: str) -> None:
        write(alice, kind)
        pk = pk_of(alice)
        inbox(alice).archive(pk)
        inbox(alice).snooze(pk, until=timezone.now() + HOUR)
        assert views_of(alice) == {"snoozed"}

    def test_unsnooze_shows_item_at_its_own_time(self, alice: Any, kind: str) -> None:
        write(alice, kind)
        [before] = inbox(alice).page().entries
        inbox(alice).snooze(before.pk, until=timezone.now() + HOUR)
        assert inbox(alice).unsnooze(before.pk).count == 1
        [after] = inbox(alice).page().entries
        assert after.shows_at == before.shows_at

    def test_snooze_refuses_time_in_the_past(self, alice: Any, kind: str) -> None:
        write(alice, kind)
        with pytest.raises(ValueError, match="until is in the past"):
            inbox(alice).snooze(pk_of(alice), until=timezone.now() - HOUR)

    def test_saved_item_stays_saved_wherever_it_is(self, alice: Any, kind: str) -> None:
        write(alice, kind)
        pk = pk_of(alice)
        assert inbox(alice).save(pk).count == 1
        assert views_of(alice) == {"inbox", "saved"}
        assert inbox(alice).unread_count() == 1
        inbox(alice).archive(pk)
        assert views_of(alice) == {"archived", "saved"}
        assert inbox(alice).unsave(pk).count == 1
        assert views_of(alice) == {"archived"}

    def test_marks_are_of_one_reader(self, alice: Any, bob: Any) -> None:
        announce("Hello", to=EVERYONE)
        for act in (Inbox.archive, Inbox.save):
            act(inbox(alice), pk_of(alice))
        assert views_of(bob) == {"inbox"}
        assert inbox(bob).unread_count() == 1

    @pytest.mark.parametrize("act", ["archive", "unarchive", "unsnooze", "save", "unsave", "select"])
    @pytest.mark.parametrize("pk", ["0", "x", "-1", "00000000000000000000000000000000-1"])
    def test_unknown_item_is_refused(self, alice: Any, act: str, pk: str) -> None:
        with pytest.raises(NoSuchMessage):
            getattr(inbox(alice), act)(pk)

    def test_message_of_another_user_is_refused_and_nothing_is_changed(self, alice: Any, bob: Any) -> None:
        send(alice, "for alice")
        send(bob, "for bob")
        with pytest.raises(NoSuchMessage):
            inbox(alice).archive(pk_of(alice), pk_of(bob))
        assert views_of(alice) == views_of(bob) == {"inbox"}

    def test_scheduled_message_is_unknown(self, alice: Any) -> None:
        send(alice, "later", publish_at=timezone.now() + HOUR)
        pk = Message.objects.get().pk
        for act in (Inbox.save, Inbox.mark_read, Inbox.mark_unread):
            with pytest.raises(NoSuchMessage):
                act(inbox(alice), pk)

    def test_user_of_another_tenant_is_refused(self, alice: Any) -> None:
        mailbox = inbox(alice)
        with schema_context("globex"):
            for act in (mailbox.archive, mailbox.save, mailbox.select, mailbox.select_all):
                with pytest.raises(WrongTenant):
                    act(*([] if act == mailbox.select_all else ["1"]))


class TestAcknowledging:
    def test_item_to_be_acknowledged_is_neither_archived_nor_snoozed(self, alice: Any) -> None:
        announce("Hello", to=EVERYONE, must_acknowledge=True)
        pk = pk_of(alice)
        with pytest.raises(MustAcknowledge):
            inbox(alice).archive(pk)
        with pytest.raises(MustAcknowledge):
            inbox(alice).snooze(pk, until=timezone.now() + HOUR)
        assert inbox(alice).select_all().archive().count == 0
        assert inbox(alice).save(pk).count == 1
        assert views_of(alice) == {"inbox", "saved"}

    def test_acknowledged_item_is_archived(self, alice: Any) -> None:
        announce("Hello", to=EVERYONE, must_acknowledge=True)
        pk = pk_of(alice)
        inbox(alice).acknowledge(pk)
        assert inbox(alice).archive(pk).count == 1

    def test_snoozed_item_that_must_now_be_acknowledged_is_shown(self, alice: Any) -> None:
        announcement = announce("Hello", to=EVERYONE)
        inbox(alice).snooze(pk_of(alice), until=timezone.now() + HOUR)
        revise(announcement, must_acknowledge=True)
        assert views_of(alice) == {"inbox"}

    def test_archived_item_that_is_shown_again_is_in_inbox(self, alice: Any) -> None:
        announcement = announce("Hello", to=EVERYONE)
        inbox(alice).archive(pk_of(alice))
        revise(announcement, show_again=True)
        assert views_of(alice) == {"inbox"}
        assert inbox(alice).unread_count() == 1


class TestUndo:
    ACTS: dict[str, Callable[[Inbox, str], Marked]] = {
        "archive": lambda mailbox, pk: mailbox.archive(pk),
        "unarchive": lambda mailbox, pk: mailbox.unarchive(pk),
        "snooze": lambda mailbox, pk: mailbox.snooze(pk, until=timezone.now() + HOUR),
        "unsnooze": lambda mailbox, pk: mailbox.unsnooze(pk),
        "save": lambda mailbox, pk: mailbox.save(pk),
        "unsave": lambda mailbox, pk: mailbox.unsave(pk),
    }

    @pytest.mark.parametrize("act", ACTS)
    @pytest.mark.parametrize("before", [(), ("read",), ("archive",), ("snooze",), ("save",), ("archive", "save")])
    def test_undo_restores_exactly_what_was_changed(
        self, alice: Any, kind: str, act: str, before: tuple[str, ...]
    ) -> None:
        write(alice, kind)
        pk, mailbox = pk_of(alice), inbox(alice)
        for each in before:
            if each == "read":
                mailbox.mark_read(pk)
            else:
                self.ACTS[each](mailbox, pk)
        states = state(alice)
        marked = self.ACTS[act](mailbox, pk)
        assert (state(alice) != states) == (marked.count == 1)
        assert mailbox.undo(marked.at) == marked.count
        assert state(alice) == states
        assert mailbox.undo(marked.at) == 0

    def test_undo_of_first_mark_leaves_no_receipt(self, alice: Any) -> None:
        announce("Hello", to=EVERYONE)
        for act in ("archive", "snooze", "save"):
            inbox(alice).undo(self.ACTS[act](inbox(alice), pk_of(alice)).at)
            assert not Receipt.objects.exists()

    def test_undo_leaves_item_that_was_changed_again(self, alice: Any, kind: str) -> None:
        write(alice, kind)
        pk, mailbox = pk_of(alice), inbox(alice)
        archived = mailbox.archive(pk)
        mailbox.save(pk)
        assert mailbox.undo(archived.at) == 0
        assert views_of(alice) == {"archived", "saved"}

    def test_undo_of_reading_leaves_item_that_was_archived_since(self, alice: Any, kind: str) -> None:
        write(alice, kind)
        read = inbox(alice).mark_all_read()
        inbox(alice).archive(pk_of(alice))
        assert inbox(alice).undo(read.at) == 0
        assert views_of(alice) == {"archived"}

    def test_undo_of_archiving_leaves_message_read_if_another_with_its_key_is_unread(self, alice: Any) -> None:
        send(alice, "disk full", key="disk")
        first = pk_of(alice)
        inbox(alice).mark_read(first)
        send(alice, "disk full again", key="disk")
        marked = inbox(alice).archive(first)
        assert inbox(alice).undo(marked.at) == 1
        assert texts(alice) == ["disk full again", "disk full"]
        assert inbox(alice).unread_count() == 1

    def test_undo_of_archiving_changes_nothing_if_key_was_sent_again(self, alice: Any) -> None:
        send(alice, "disk full", key="disk")
        marked = inbox(alice).archive(pk_of(alice))
        send(alice, "disk full again", key="disk")
        assert inbox(alice).undo(marked.at) == 0
        assert texts(alice, "all") == ["disk full again"]

    def test_undo_marks_one_message_of_each_key_unread(self, alice: Any) -> None:
        for number in range(3):
            send(alice, f"disk {number}", key="disk")
            inbox(alice).mark_all_read()
        marked = timezone.now()
        Message.objects.update(read_at=marked)
        assert inbox(alice).undo(marked) == 1
        assert texts(alice, unread=True) == ["disk 2"]

    @pytest.mark.parametrize("act", ["archive", "mark_all_read"])
    def test_undo_uses_one_statement_for_each_table(self, alice: Any, act: str) -> None:
        send(alice, "Hello", key="greeting")
        announce("Hello", to=EVERYONE)
        mailbox = inbox(alice)
        marked = mailbox.mark_all_read() if act == "mark_all_read" else mailbox.select_all().archive()
        with count_our_queries() as queries:
            assert mailbox.undo(marked.at) == 2
        assert len(queries) == 2
        assert mailbox.unread_count() == 2

    def test_undo_is_of_one_user(self, alice: Any, bob: Any) -> None:
        send([alice, bob], "Hello")
        marked = inbox(alice).archive(pk_of(alice))
        assert inbox(bob).undo(marked.at) == 0
        assert views_of(alice) == {"archived"}


def state(user: Any) -> list[tuple[Any, ...]]:
    names = ("read_at", "archived_at", "snoozed_until", "saved_at", "shows_at")
    return [tuple(getattr(each, name) for name in names) for each in inbox(user).page(view="all").entries]


class TestKeys:
    """A new message with the key of one that its reader has put away."""

    def test_send_replaces_archived_message(self, alice: Any, bob: Any) -> None:
        send([alice, bob], "disk full", key="disk")
        send(alice, "other", key="other")
        inbox(alice).select_all().archive()
        assert send([alice, bob], "disk full again", key="disk") == 1
        assert texts(alice) == ["disk full again"]
        assert texts(alice, "archived") == ["other"]
        assert inbox(alice).unread_count() == 1
        assert texts(bob) == ["disk full"]

    def test_send_replaces_snoozed_message(self, alice: Any) -> None:
        send(alice, "disk full", key="disk")
        inbox(alice).snooze(pk_of(alice), until=timezone.now() + HOUR)
        send(alice, "other")
        assert send(alice, "disk full again", key="disk") == 1
        assert texts(alice, "all") == ["disk full again", "other"]
        assert views_of(alice) == {"inbox"}

    @pytest.mark.parametrize("act", ["archive", "snooze"])
    def test_send_keeps_what_was_saved_saved(self, alice: Any, act: str) -> None:
        send(alice, "disk full", key="disk")
        inbox(alice).save(pk_of(alice))
        TestUndo.ACTS[act](inbox(alice), pk_of(alice))
        assert send(alice, "disk full again", key="disk") == 1
        assert texts(alice, "all") == texts(alice, "saved") == texts(alice) == ["disk full again"]

    def test_send_replaces_nothing_beside_unread_message(self, alice: Any) -> None:
        send(alice, "first", key="disk")
        first = pk_of(alice)
        inbox(alice).mark_read(first)
        send(alice, "second", key="disk")
        inbox(alice).archive(first)
        assert send(alice, "third", key="disk") == 0
        assert (texts(alice), texts(alice, "archived")) == (["second"], ["first"])

    def test_send_leaves_read_and_snoozed_messages_that_were_read(self, alice: Any) -> None:
        send(alice, "first", key="disk")
        inbox(alice).mark_all_read()
        assert send(alice, "second", key="disk") == 1
        inbox(alice).mark_all_read()
        inbox(alice).select_all().snooze(timezone.now() + HOUR)
        assert send(alice, "third", key="disk") == 1
        assert texts(alice) == ["third"]
        assert texts(alice, "snoozed") == ["second", "first"]

    def test_scheduled_message_replaces_unread_and_no_archived_message(self, alice: Any) -> None:
        at = timezone.now() + HOUR
        send(alice, "first", key="disk")
        inbox(alice).select_all().archive()
        assert send(alice, "second", key="disk", publish_at=at) == 1
        assert texts(alice, "archived") == ["first"]
        assert send(alice, "third", key="disk") == 0
        Message.objects.filter(message="second").update(publish_at=timezone.now(), snoozed_until=at)
        assert send(alice, "fourth", key="disk", publish_at=at) == 1
        assert set(Message.objects.values_list("message", flat=True)) == {"first", "fourth"}
        send(alice, "now", key="printer")
        inbox(alice).select_all().archive()
        send(alice, "again", key="printer", publish_at=timezone.now() - HOUR)
        assert (texts(alice, "archived"), texts(alice)) == (["first"], ["again"])

    def test_send_without_key_replaces_nothing(self, alice: Any) -> None:
        send(alice, "first")
        inbox(alice).archive(pk_of(alice))
        assert send(alice, "second") == 1
        assert texts(alice, "archived") == ["first"]


class TestSelections:
    def test_archive_of_selection_is_undone_together(self, alice: Any) -> None:
        for kind in KINDS:
            write(alice, kind, kind)
        inbox(alice).mark_read(next(each.pk for each in inbox(alice).page().entries if each.kind == "message"))
        marked = inbox(alice).archive(*[entry.pk for entry in inbox(alice).page().entries])
        assert marked.count == 3
        assert texts(alice) == []
        assert inbox(alice).undo(marked.at) == 3
        assert inbox(alice).unread_count() == 2

    def test_select_all_changes_only_what_the_filter_shows(self, alice: Any) -> None:
        for kind in KINDS:
            write(alice, kind, kind)
        assert inbox(alice).select_all(kind="announcement").archive().count == 1
        assert sorted(texts(alice)) == ["broadcast", "message"]
        assert inbox(alice).select_all(view="archived").unarchive().count == 1
        assert inbox(alice).select_all().snooze(timezone.now() + HOUR).count == 3
        assert inbox(alice).select_all(view="snoozed").unsnooze().count == 3
        assert inbox(alice).select_all().save().count == 3
        assert inbox(alice).select_all(view="saved", kind="message").unsave().count == 1
        assert sorted(texts(alice, "saved")) == ["announcement", "broadcast"]

    def test_select_all_in_all_views_covers_more_than_the_snapshot_lists(
        self, alice: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(UnreadSnapshot, "LISTED", 2)
        for hours in range(4):
            send(alice, f"{hours} hours old")
            Message.objects.filter(message=f"{hours} hours old").update(created=timezone.now() - hours * HOUR)
        (oldest,) = inbox(alice).search("3").entries
        inbox(alice).archive(oldest.pk)
        snapshot = inbox(alice).snapshot(unread=False, view="all")
        assert inbox(alice).select_all(snapshot, view="all").save().count == 4

    def test_select_all_changes_only_what_the_snapshot_saw(self, alice: Any) -> None:
        send(alice, "seen and read")
        inbox(alice).mark_all_read()
        send(alice, "seen")
        announce("announced", to=EVERYONE)
        snapshot = inbox(alice).snapshot(unread=False)
        send(alice, "new")
        announce("announced later", to=EVERYONE)
        assert inbox(alice).select_all(snapshot).archive().count == 3
        assert sorted(texts(alice)) == ["announced later", "new"]

    @pytest.mark.parametrize("number", [1, 30])
    def test_queries_do_not_depend_on_the_number_of_items(self, alice: Any, number: int) -> None:
        for each in range(number):
            send(alice, f"message {each}")
            announce(f"announcement {each}", to=EVERYONE)
        pks = [entry.pk for entry in inbox(alice).page(size=100).entries]
        with count_our_queries() as queries:
            marked = inbox(alice).archive(*pks)
        # Two to check, one for messages and two for receipts.
        assert (marked.count, len(queries)) == (2 * number, 5)
        with count_our_queries() as queries:
            inbox(alice).undo(marked.at)
        assert len(queries) <= 4


class TestViews:
    def test_page_refuses_unknown_view(self, alice: Any) -> None:
        with pytest.raises(ValueError, match="view 'trash' is not one of inbox, saved, snoozed, archived, all"):
            inbox(alice).page(view="trash")

    @pytest.mark.parametrize("view", VIEWS)
    def test_page_of_each_view_uses_one_query(self, alice: Any, view: View) -> None:
        send(alice, "Hello")
        with count_our_queries() as queries:
            inbox(alice).page(view=view)
        assert len(queries) == 1

    def test_filter_by_sender_keeps_what_that_person_sent(self, alice: Any, bob: Any, make_user: MakeUser) -> None:
        admin = make_user("admin", is_superuser=True)
        send(alice, "by the application")
        send(alice, "by admin", sender=admin)
        announce("announced by admin", to=EVERYONE, sender=admin)
        with schema_context("public"):
            broadcast("by the platform", to=ALL_TENANTS)
        assert texts(alice, sender=admin) == ["announced by admin", "by admin"]
        assert texts(alice, sender=bob) == []

    def test_filter_by_sender_refuses_user_of_another_tenant(self, alice: Any, make_user: MakeUser) -> None:
        with schema_context("globex"):
            stranger = make_user("stranger")
        with pytest.raises(WrongTenant):
            inbox(alice).page(sender=stranger)

    def test_announcement_of_deleted_revision_is_not_archived(self, alice: Any) -> None:
        announcement = announce("Hello", to=EVERYONE)
        pk = pk_of(alice)
        revise(announcement, show_again=True)
        assert inbox(alice).archive(pk).count == 1
        # The reader has seen the first revision only.
        assert Receipt.objects.get().revision == 1
        assert views_of(alice) == {"inbox"}
        assert Announcement.objects.get().revision == 2


class TestSchedule:
    def test_scheduled_message_appears_by_itself(self, alice: Any) -> None:
        send(alice, "later", publish_at=timezone.now() + HOUR)
        assert inbox(alice).unread_count() == 0
        assert inbox(alice).banners() == []
        assert {view for view in VIEWS if texts(alice, view)} == set()
        Message.objects.update(publish_at=timezone.now())
        assert inbox(alice).unread_count() == 1
        assert texts(alice) == ["later"]

    def test_scheduled_message_is_ordered_by_the_time_it_appears(self, alice: Any) -> None:
        send(alice, "scheduled", publish_at=timezone.now() + HOUR)
        send(alice, "sent")
        Message.objects.filter(message="scheduled").update(publish_at=timezone.now())
        assert texts(alice) == ["scheduled", "sent"]

    def test_send_refuses_message_that_expires_before_it_appears(self, alice: Any) -> None:
        at = timezone.now() + HOUR
        with pytest.raises(ValueError, match="it must be later than the time of publication"):
            send(alice, "never", publish_at=at, expires=at)


class TestDisplay:
    def test_item_for_the_inbox_only_is_counted_and_is_no_banner(self, alice: Any, kind: str) -> None:
        write(alice, kind, "quiet", display="inbox")
        assert inbox(alice).banners() == []
        assert inbox(alice).unread().count == inbox(alice).unread_count() == 1
        assert texts(alice) == ["quiet"]

    def test_banners_count_only_banners_among_those_hidden(self, alice: Any, settings: Any) -> None:
        settings.MESSAGES_EXTENDS = {**settings.MESSAGES_EXTENDS, "MAX_BANNERS": 2}
        for kind in KINDS:
            write(alice, kind, f"quiet {kind}", display="inbox")
            write(alice, kind, f"loud {kind}")
        shown = [str(each) for each in inbox(alice).banners()]
        assert len(shown) == 3
        assert {text.split()[0] for text in shown[:2]} == {"loud"}
        assert shown[2] == "and 1 more"
        assert inbox(alice).unread().count == 6

    def test_unread_uses_one_query(self, alice: Any, kind: str) -> None:
        write(alice, kind, "quiet", display="inbox")
        with count_our_queries() as queries:
            inbox(alice).unread()
        assert len(queries) == 1
