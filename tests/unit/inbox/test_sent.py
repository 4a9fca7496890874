"""What a person has sent: one entry for each send, the numbers of its readers, and its recall."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.db.models import QuerySet
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_tenants.utils import schema_context

from messages_extends.access.grants import EVERYBODY, grant, revoke
from messages_extends.api import cancel, inbox, send, sent
from messages_extends.constants import WARNING_PERSISTENT
from messages_extends.exceptions import NoSuchMessage, NotRecallable, WrongTenant
from messages_extends.maintenance.personal_data import erase
from messages_extends.maintenance.purge import purge
from messages_extends.models import AuditRecord, Message
from messages_extends.models.publication import State
from messages_extends.policy import Policy
from tenants.models import Tenant
from tenants.people.models import User
from tests.conftest import queries_of
from tests.factories import MakeMessage, make_user

People = dict[str, User]


@pytest.fixture
def writer(people: People) -> User:
    """Alice, who may write to everybody."""
    grant(people["alice"], EVERYBODY)
    return people["alice"]


def only(user: AbstractBaseUser) -> Any:
    (entry,) = sent(user).page().entries
    return entry


def read(user: User, sender: User) -> None:
    inbox(user).mark_read(Message.objects.get(user=user, sender=sender).pk)


class TestPage:
    def test_page_shows_one_entry_for_message_to_several_people(self, people: People, writer: User) -> None:
        send([people["bob"], people["carol"]], "Lunch?", sender=writer, title="Today", level=WARNING_PERSISTENT)
        read(people["bob"], writer)
        entry = only(writer)
        assert (entry.recipients, entry.readers, entry.missing, entry.recipient) == (2, 1, 0, None)
        assert (entry.message.heading, entry.message.body, entry.message.level) == (
            "Today",
            "Lunch?",
            WARNING_PERSISTENT,
        )

    def test_page_names_single_recipient(self, people: People, writer: User) -> None:
        send(people["bob"], "Lunch?", sender=writer)
        assert (only(writer).recipients, only(writer).recipient) == (1, people["bob"])

    def test_page_hides_name_of_recipient_who_is_not_visible(self, people: People, writer: User, settings: Any) -> None:
        send(people["bob"], "Lunch?", sender=writer)
        settings.MESSAGES_EXTENDS = {
            **getattr(settings, "MESSAGES_EXTENDS", {}),
            "POLICY": f"{__name__}.NoVisiblePeople",
        }
        assert (only(writer).recipients, only(writer).recipient) == (1, None)

    def test_page_separates_sends_with_the_same_text(self, people: People, writer: User) -> None:
        for name in ("bob", "carol"):
            send(people[name], "Lunch?", sender=writer)
        assert [str(entry.recipient) for entry in sent(writer).page().entries] == ["carol", "bob"]

    def test_page_separates_sends_of_one_moment_by_text(
        self, people: People, writer: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now = timezone.now()
        monkeypatch.setattr(timezone, "now", lambda: now)
        for text in ("one", "three"):
            send(people["bob"], text, sender=writer)
        assert [entry.message.body for entry in sent(writer).page().entries] == ["three", "one"]
        assert sent(writer).page(sent(writer).page(size=1).next).entries[0].message.body == "one"

    def test_recall_keeps_other_text_of_one_moment(
        self, people: People, writer: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now = timezone.now()
        monkeypatch.setattr(timezone, "now", lambda: now)
        for text in ("one", "two"):
            send(people["bob"], text, sender=writer)
        sent(writer).recall(Message.objects.get(message="two").pk)
        assert only(writer).message.body == "one"

    def test_page_shows_only_own_messages(self, people: People, writer: User) -> None:
        send(people["bob"], "of the application")
        grant(people["carol"], people["bob"])
        send(people["bob"], "of carol", sender=people["carol"])
        send(writer, "to myself", sender=writer)
        assert sent(writer).page() == ([], "")

    def test_page_leaves_out_copy_of_sender(self, people: People, writer: User, sales: Group) -> None:
        sales.user_set.add(writer)
        send(sales, "Hello", sender=writer)
        read(writer, writer)
        assert (only(writer).recipients, only(writer).readers, only(writer).missing) == (2, 0, 0)

    def test_page_leaves_out_group_of_sender_alone(self, writer: User) -> None:
        group = Group.objects.create(name="Alone")
        group.user_set.add(writer)
        assert send(group, "Hello", sender=writer) == 1
        assert sent(writer).page().entries == []

    def test_pages_show_each_entry_once(self, people: People, writer: User) -> None:
        for number in range(5):
            send([people["bob"], people["carol"]], str(number), sender=writer)
        after, shown = "", []
        while True:
            page = sent(writer).page(after, size=2)
            shown += [entry.message.body for entry in page.entries]
            after = page.next
            if not after:
                break
        assert shown == ["4", "3", "2", "1", "0"]

    @pytest.mark.parametrize("after", ["x", "1-announcement-" + "0" * 32, "1-message-", "'"])
    def test_page_refuses_invalid_cursor(self, writer: User, after: str) -> None:
        with pytest.raises(ValueError, match="is not a cursor"):
            sent(writer).page(after)

    def test_page_takes_three_queries_whatever_the_number_of_recipients(self, writer: User) -> None:
        def queries() -> int:
            with CaptureQueriesContext(connection) as captured:
                sent(writer).page()
            return len([each for each in captured if "search_path" not in each["sql"]])

        everybody = User.objects.exclude(pk=writer.pk)
        send(everybody, "to two", sender=writer)
        few = queries()
        User.objects.bulk_create(User(email=f"{n}@acme.example", name=str(n)) for n in range(100))
        for number in range(30):
            send(everybody, str(number), sender=writer)
        assert (few, queries()) == (3, 3)

    def test_page_after_reading_is_unread_when_reader_marks_it_unread(self, people: People, writer: User) -> None:
        send(people["bob"], "Hello", sender=writer)
        read(people["bob"], writer)
        inbox(people["bob"]).mark_unread(Message.objects.get().pk)
        assert only(writer).readers == 0

    def test_page_of_user_who_is_no_active_member_is_empty(self, people: People, writer: User) -> None:
        send(people["bob"], "Hello", sender=writer)
        User.objects.filter(pk=writer.pk).update(is_active=False)
        assert sent(writer).page().entries == []
        assert sent(User.objects.get(pk=writer.pk)).page().entries == []

    def test_page_after_permission_is_revoked_shows_what_was_sent(self, people: People) -> None:
        grant(people["alice"], people["bob"])
        send(people["bob"], "Hello", sender=people["alice"])
        revoke(people["alice"], people["bob"])
        assert (only(people["alice"]).recipients, only(people["alice"]).recipient) == (1, None)

    @pytest.mark.parametrize(
        ("times", "state"),
        [
            ({}, State.LIVE),
            ({"publish_at": timedelta(hours=1)}, State.SCHEDULED),
            ({"expires": timedelta(hours=1)}, State.LIVE),
            ({"expires": -timedelta(hours=1)}, State.EXPIRED),
        ],
    )
    def test_state_follows_times(
        self, writer: User, people: People, make_message: MakeMessage, times: dict[str, timedelta], state: State
    ) -> None:
        make_message(people["bob"], sender=writer, **{name: timezone.now() + length for name, length in times.items()})
        assert only(writer).state() is state

    def test_sent_refuses_user_of_other_tenant(self, writer: User, globex: Tenant) -> None:
        mailbox = sent(writer)
        with schema_context("globex"):
            with pytest.raises(WrongTenant):
                sent(writer)
            for act in (mailbox.page, lambda: mailbox.get(1), lambda: mailbox.recall(1)):
                with pytest.raises(WrongTenant):
                    act()

    def test_page_in_other_tenant_with_same_keys_shows_own_messages(
        self, people: People, writer: User, globex: Tenant
    ) -> None:
        send(people["bob"], "of acme", sender=writer)
        pk = only(writer).pk
        with schema_context("globex"):
            other = make_user("alice", pk=writer.pk)
            assert sent(other).page().entries == []
            with pytest.raises(NoSuchMessage):
                sent(other).recall(pk)


class NoVisiblePeople(Policy):
    def visible_people(self, viewer: Any) -> QuerySet[AbstractBaseUser]:
        return super().visible_people(viewer).none()


def _purge_read(user: User) -> None:
    Message.objects.filter(user=user).update(read_at=timezone.now() - timedelta(days=400))
    purge()


class TestRecall:
    def test_recall_deletes_all_copies_and_keeps_record(self, people: People, writer: User) -> None:
        send([people["bob"], people["carol"]], "Oops", sender=writer)
        send(people["bob"], "Oops", sender=writer)
        assert sent(writer).recall(sent(writer).page().entries[1].pk) == 2
        assert list(Message.objects.values_list("user__name", flat=True)) == ["bob"]
        first, _second, record = AuditRecord.objects.exclude(action="grant").order_by("pk")
        assert (record.action, record.actor_id, record.count, record.audience) == (
            "recall",
            str(writer.pk),
            2,
            first.audience,
        )
        assert (record.text_hash, record.text) == (first.text_hash, "")

    @pytest.mark.parametrize("recipients", [1, 2])
    def test_recall_is_refused_after_somebody_has_read_it(self, people: People, writer: User, recipients: int) -> None:
        send([people["bob"], people["carol"]][:recipients], "Oops", sender=writer)
        read(people["bob"], writer)
        entry = only(writer)
        assert not entry.is_recallable
        with pytest.raises(NotRecallable):
            sent(writer).recall(entry.pk)
        assert Message.objects.count() == recipients

    def test_recall_ignores_reading_by_sender(self, people: People, writer: User, sales: Group) -> None:
        sales.user_set.add(writer)
        send(sales, "Hello", sender=writer)
        read(writer, writer)
        assert sent(writer).recall(only(writer).pk) == 3
        assert not Message.objects.exists()

    @pytest.mark.parametrize(
        "lose",
        [
            pytest.param(_purge_read, id="purge"),
            pytest.param(erase, id="erase"),
            pytest.param(lambda bob: bob.delete(), id="deletion of the recipient"),
            pytest.param(lambda bob: Message.objects.get(user=bob).delete(), id="deletion of the message"),
        ],
    )
    @pytest.mark.parametrize("scheduled", [False, True])
    def test_recall_is_refused_after_copy_is_deleted_unless_scheduled(
        self, people: People, writer: User, lose: Callable[[User], object], scheduled: bool
    ) -> None:
        later = timezone.now() + timedelta(hours=1) if scheduled else None
        send([people["bob"], people["carol"]], "Oops", sender=writer, publish_at=later)
        lose(people["bob"])
        entry = only(writer)
        assert (entry.recipients, entry.missing, entry.is_recallable) == (1, 1, scheduled)
        if scheduled:
            assert sent(writer).recall(entry.pk) == 1
        else:
            with pytest.raises(NotRecallable):
                sent(writer).recall(entry.pk)

    def test_copy_replaced_by_newer_one_with_key_keeps_recall_to_newer(self, people: People, writer: User) -> None:
        send([people["bob"], people["carol"]], "old", sender=writer, key="news")
        inbox(people["bob"]).archive(Message.objects.get(user=people["bob"]).pk)
        assert send([people["bob"], people["carol"]], "new", sender=writer, key="news") == 1
        new, old = sent(writer).page().entries
        assert [(each.recipients, each.missing, each.is_recallable) for each in (new, old)] == [
            (1, 0, True),
            (1, 1, False),
        ]

    def test_recall_includes_what_recipient_saved_or_snoozed_unread(self, people: People, writer: User) -> None:
        send([people["bob"], people["carol"]], "Oops", sender=writer)
        inbox(people["bob"]).save(Message.objects.get(user=people["bob"]).pk)
        inbox(people["carol"]).snooze(
            Message.objects.get(user=people["carol"]).pk, until=timezone.now() + timedelta(hours=1)
        )
        assert sent(writer).recall(only(writer).pk) == 2

    def test_recall_is_refused_after_recipient_archived_it(self, people: People, writer: User) -> None:
        send(people["bob"], "Oops", sender=writer)
        inbox(people["bob"]).archive(Message.objects.get().pk)
        with pytest.raises(NotRecallable):
            sent(writer).recall(only(writer).pk)

    def test_recall_is_allowed_after_expiry(self, people: People, writer: User) -> None:
        send(people["bob"], "Oops", sender=writer, expires=timezone.now() + timedelta(hours=1))
        Message.objects.update(expires=timezone.now() - timedelta(hours=1))
        assert sent(writer).recall(only(writer).pk) == 1

    def test_recall_without_record_depends_on_existing_copies(
        self, people: People, writer: User, make_message: MakeMessage
    ) -> None:
        message = make_message(people["bob"], sender=writer)
        assert sent(writer).recall(message.pk) == 1
        assert AuditRecord.objects.get(action="recall").audience == "1 people"

    def test_recall_takes_any_copy(self, people: People, writer: User) -> None:
        send([people["bob"], people["carol"]], "Oops", sender=writer)
        assert sent(writer).recall(Message.objects.get(user=people["carol"]).pk) == 2

    def test_recall_of_what_others_sent_or_nobody_sent_raises_no_such_message(
        self, people: People, writer: User
    ) -> None:
        send(people["bob"], "of the application")
        grant(people["carol"], people["bob"])
        send(people["bob"], "of carol", sender=people["carol"])
        for pk in [*Message.objects.values_list("pk", flat=True), 0, 10**30]:
            for act in (sent(writer).recall, sent(writer).get, sent(people["bob"]).recall):
                with pytest.raises(NoSuchMessage):
                    act(pk)
        assert Message.objects.count() == 2

    def test_recall_by_sender_who_is_no_active_member_is_refused(self, people: People, writer: User) -> None:
        send(people["bob"], "Oops", sender=writer)
        User.objects.filter(pk=writer.pk).update(is_active=False)
        with pytest.raises(PermissionDenied):
            sent(writer).recall(Message.objects.get().pk)
        assert Message.objects.exists()

    def test_recall_after_recall_or_cancel_raises_no_such_message(self, people: People, writer: User) -> None:
        send(people["bob"], "Oops", sender=writer)
        pk = only(writer).pk
        sent(writer).recall(pk)
        send(people["bob"], "Oops", sender=writer, key="k")
        cancelled = only(writer).pk
        cancel("k")
        for each in (pk, cancelled):
            with pytest.raises(NoSuchMessage):
                sent(writer).recall(each)

    def test_recall_takes_as_many_queries_for_any_number_of_recipients(self, writer: User) -> None:
        counts = []
        for number in (1, 50):
            User.objects.bulk_create(User(email=f"{number}.{n}@acme.example", name=str(n)) for n in range(number))
            send(User.objects.filter(email__startswith=f"{number}."), "Oops", sender=writer)
            pk = only(writer).pk
            counts.append(queries_of(lambda pk=pk: sent(writer).recall(pk)))  # type: ignore[misc]
        assert counts[0] == counts[1]


@pytest.mark.parametrize("by_name", [True, False])
def test_record_of_send_has_time_of_messages(people: People, writer: User, sales: Group, by_name: bool) -> None:
    send(people["bob"] if by_name else sales, "Hello", sender=writer)
    assert {AuditRecord.objects.get(action="send").recorded_at} == set(
        Message.objects.values_list("created", flat=True)
    )
