"""Hints: whom they name, in which schema, and when they are published."""

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import transaction
from django.test import override_settings
from django_tenants.utils import schema_context
from hypothesis import given
from hypothesis import strategies as st

from messages_extends import api
from messages_extends.constants import INFO_PERSISTENT
from messages_extends.events.bus import Bus, current_bus
from messages_extends.events.changes import ChangeEvent, notify_changed, notify_changed_everywhere
from messages_extends.models import Message
from tenants.models import Tenant
from tests.factories import MakeUser

KEYS = st.frozensets(st.text(max_size=80))
HINTS = st.builds(ChangeEvent, st.none() | st.text(min_size=1, max_size=63), KEYS, KEYS, st.booleans())


@given(HINTS, st.integers(2_000, 9_000))
def test_change_event_texts_restore_event_within_limit(event: ChangeEvent, limit: int) -> None:
    texts = list(event.texts(limit))
    assert all(len(text.encode()) <= limit for text in texts)
    read = [ChangeEvent.parse(text) for text in texts]
    assert frozenset().union(*(each.users for each in read)) == event.users
    assert frozenset().union(*(each.groups for each in read)) == event.groups
    assert any(each.everyone for each in read) == event.everyone
    assert {each.schema for each in read} <= {event.schema}


def test_change_event_with_many_users_fits_notify_payload() -> None:
    event = ChangeEvent("s" * 63, frozenset(str(number) for number in range(10_000, 60_000)))
    texts = list(event.texts(Bus.limit))
    assert max(len(text.encode()) for text in texts) <= 7_999
    assert sum(len(json.loads(text)["users"]) for text in texts) == 50_000


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "1", "null", '"acme"', "{}", '{"schema": ""}', '{"schema": 3}', '{"schema": ["acme"]}'),
        *('{"schema": "acme", "users": "12"}', '{"schema": "acme", "users": [1]}', '{"schema": "acme", "more": 1}'),
        *('{"users": ["1"]}', '{"schema": "acme", "groups": {"1": 2}}'),
    ],
)
def test_change_event_parse_refuses_invalid_text(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - that of the parser too
        ChangeEvent.parse(text)


class LoggingBus(Bus):
    """Keeps what is published, and where: beside the real buses, which have tests of their own."""

    published: list[str] = []

    def publish(self, texts: Sequence[str]) -> None:
        self.published.append("|".join(texts))

    async def listen(self) -> Any:
        yield None


@pytest.fixture
def published(committing: None) -> Iterator[list[str]]:
    LoggingBus.published = []
    with override_settings(MESSAGES_EXTENDS={"PUSH_BUS": LoggingBus, "PLATFORM_SCHEMA": "platform"}):
        yield LoggingBus.published


def said(published: list[str]) -> list[list[dict[str, Any]]]:
    return [[json.loads(text) for text in each.split("|")] for each in published]


class TestTransactions:
    def test_notify_changed_publishes_after_commit_with_schema_of_change(self, published: list[str]) -> None:
        with transaction.atomic():
            with schema_context("acme"):
                notify_changed(users=[7])
            with schema_context("globex"):
                assert published == []
                notify_changed(users=[7])
        assert said(published) == [[{"schema": "acme", "users": ["7"]}, {"schema": "globex", "users": ["7"]}]]

    def test_notify_changed_publishes_nothing_after_rollback(self, published: list[str]) -> None:
        with schema_context("acme"), transaction.atomic():
            notify_changed(users=[1])
            with suppress(ZeroDivisionError), transaction.atomic():
                notify_changed(users=[2])
                raise ZeroDivisionError
            notify_changed(users=[3])
        assert said(published) == [[{"schema": "acme", "users": [key]} for key in ("1", "3")]]

    def test_notify_changed_publishes_at_once_outside_transaction(self, published: list[str]) -> None:
        with schema_context("acme"):
            notify_changed(everyone=True)
            assert said(published) == [[{"schema": "acme", "everyone": True}]]

    def test_notify_changed_publishes_repeated_event_once(self, published: list[str]) -> None:
        with schema_context("acme"), transaction.atomic():
            for _ in range(3):
                notify_changed(users=[1])
        assert said(published) == [[{"schema": "acme", "users": ["1"]}]]

    def test_notify_changed_without_recipients_publishes_nothing(self, published: list[str]) -> None:
        with schema_context("acme"):
            notify_changed(users=[])
            notify_changed(groups=[])
        assert published == []

    def test_notify_changed_everywhere_publishes_events_for_schemas(self, published: list[str]) -> None:
        notify_changed_everywhere()
        notify_changed_everywhere(["acme", "globex"])
        notify_changed_everywhere([])
        everyone = {"everyone": True}
        assert said(published)[0] == [{"schema": None, **everyone}]
        assert said(published)[1] == [{"schema": "acme", **everyone}, {"schema": "globex", **everyone}]
        assert len(published) == 2

    def test_bus_error_does_not_undo_change(
        self, published: list[str], make_user: MakeUser, caplog: pytest.LogCaptureFixture
    ) -> None:
        class BrokenBus(LoggingBus):
            def publish(self, texts: Sequence[str]) -> None:
                raise ConnectionError("gone")

        with override_settings(MESSAGES_EXTENDS={"PUSH_BUS": BrokenBus}), schema_context("acme"):
            alice = make_user()
            assert api.send(alice, "Hello") == 1
            assert api.inbox(alice).unread_count() == 1
        assert "gone" in caplog.text

    @override_settings(MESSAGES_EXTENDS={"PUSH_BUS": None})
    def test_notify_changed_without_bus_runs_no_queries(self, committing: None, django_assert_num_queries: Any) -> None:
        assert current_bus() is None
        with schema_context("acme"), django_assert_num_queries(0):
            notify_changed(users=[1])


class TestRecipients:
    """What each verb says; that nothing changed is not said."""

    @pytest.fixture
    def alice(self, published: list[str], make_user: MakeUser) -> Iterator[Any]:
        with schema_context("acme"):
            yield make_user("alice", pk=5)

    def test_send_and_cancel_notify_recipient_once_per_change(self, alice: Any, published: list[str]) -> None:
        api.send(alice, "Hello", key="hello")
        api.send(alice, "Hello", key="hello")
        assert api.cancel("hello") == 1
        assert api.cancel("hello") == 0
        assert said(published) == [[{"schema": "acme", "users": ["5"]}]] * 2

    def test_marking_notifies_reader_once_per_change(self, alice: Any, published: list[str]) -> None:
        api.send(alice, "Hello")
        inbox = api.inbox(alice)
        pk = inbox.page().entries[0].pk
        published.clear()
        for _ in range(2):
            inbox.mark_read(pk)
        assert len(published) == 1
        for _ in range(2):
            inbox.mark_unread(pk)
        marked = inbox.mark_all_read()
        inbox.mark_all_read()
        inbox.undo(marked.at)
        inbox.undo(marked.at)
        assert said(published) == [[{"schema": "acme", "users": ["5"]}]] * 4

    def test_message_rows_written_by_host_notify_owner(self, alice: Any, published: list[str]) -> None:
        message = Message.objects.create(user=alice, message="Hello", level=INFO_PERSISTENT)
        message.read = True
        message.save()
        message.delete()
        Message.objects.bulk_create(
            [Message(user=alice, message="Hello", level=INFO_PERSISTENT), Message(message="-", level=INFO_PERSISTENT)]
        )
        assert said(published) == [[{"schema": "acme", "users": ["5"]}]] * 4

    def test_account_changes_notify_account(self, alice: Any, published: list[str]) -> None:
        alice.save(update_fields=["last_login"])
        assert published == []
        alice.is_active = False
        alice.save()
        alice.delete()
        assert said(published) == [[{"schema": "acme", "accounts": ["5"]}]] * 2

    def test_announcement_changes_notify_everyone(self, alice: Any, published: list[str]) -> None:
        announcement = api.announce("Hello", to=api.EVERYONE, key="hello")
        api.announce("Hello", to=api.EVERYONE, key="hello")
        announcement = api.revise(announcement, message="Hello again")
        announcement = api.retract(announcement)
        api.retract(announcement)
        assert said(published) == [[{"schema": "acme", "everyone": True}]] * 3

    def test_announcement_to_group_notifies_group(self, alice: Any, published: list[str]) -> None:
        sales = Group.objects.create(pk=3, name="Sales")
        announcement = api.announce("Hello", to=sales, key="hello")
        api.cancel("hello")
        assert announcement.pk
        assert said(published) == [[{"schema": "acme", "groups": ["3"]}]] * 2

    def test_broadcast_changes_notify_addressed_tenants(self, globex: Tenant, published: list[str]) -> None:
        everywhere = [{"schema": None, "everyone": True}]
        broadcast = api.broadcast("Hello", to=api.ALL_TENANTS)
        api.revise(broadcast, message="Hello again")
        api.retract(broadcast)
        chosen = api.broadcast("Hello", to=globex)
        api.retract(chosen)
        assert said(published) == [everywhere] * 3 + [[{"schema": "globex", "everyone": True}]] * 2
