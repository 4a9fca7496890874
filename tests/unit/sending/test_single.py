"""Writing to one person in one statement: what it writes, and when it leaves the decision to the longer way."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.db import connection, transaction
from django.db.models.signals import post_save
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_tenants.utils import schema_context

from messages_extends.access import rate_limits
from messages_extends.access.grants import grant
from messages_extends.access.membership import has_plain_managers
from messages_extends.access.policy import Policy, pair_condition
from messages_extends.access.policy_queries import member_condition
from messages_extends.api import inbox, send
from messages_extends.constants import INFO_PERSISTENT
from messages_extends.exceptions import RateLimitExceeded, RecipientUnavailable
from messages_extends.models import AuditRecord, Message
from messages_extends.sending import single
from messages_extends.sending.single import write_to_one
from tests.factories import MakeUser

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("in_acme")]

TEXT = {
    "level": INFO_PERSISTENT,
    "message": "Hello",
    "params": None,
    "extra_tags": "",
    "url": "",
    "is_safe": False,
    "key": "",
    "expires": None,
}


class OwnPolicy(Policy):
    """A host's own class, of which nobody knows what it answers."""


@pytest.fixture
def alice(make_user: MakeUser) -> Any:
    return make_user("alice")


@pytest.fixture
def bob(alice: Any, make_user: MakeUser) -> Any:
    """Somebody whom Alice may write to."""
    bob = make_user("bob")
    grant(alice, bob)
    return bob


@pytest.fixture
def configure(settings: Any) -> Callable[..., None]:
    def set_own(**own: Any) -> None:
        settings.MESSAGES_EXTENDS = {**settings.MESSAGES_EXTENDS, **own}

    return set_own


def write(recipient: Any, sender: Any = None, **values: Any) -> bool:
    text = {**TEXT, "sender": sender, "from_person": sender is not None, **values}
    event = {"action": "send", "actor": sender, "subject": "messages", "audience": "", "count": 1, "text": "Hello"}
    return write_to_one(recipient.pk, text, event if sender else {})


def rows() -> tuple[int, int]:
    return Message.objects.count(), AuditRecord.objects.filter(action="send").count()


# What is written ----------------------------------------------------------------------------------------------------


def test_message_of_application_is_written_without_a_record(bob: Any) -> None:
    assert write(bob)
    assert rows() == (1, 0)


def test_message_of_person_is_written_with_its_record(alice: Any, bob: Any) -> None:
    assert write(bob, alice)
    assert rows() == (1, 1)


def test_record_of_one_statement_equals_record_of_longer_way(
    alice: Any, bob: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(bob, "Hello", sender=alice, key="news")
    monkeypatch.setattr("messages_extends.sending.messages.write_to_one", lambda *_arguments: False)
    Message.objects.all().delete()
    send(bob, "Hello", sender=alice, key="news")
    fields = ("action", "actor_id", "actor_name", "subject", "audience", "count", "text_hash", "text")
    first, second = AuditRecord.objects.filter(action="send").values(*fields)
    assert first == second


def test_message_of_one_statement_equals_message_of_longer_way(
    alice: Any, bob: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {
        "params": {"name": "O'Hara %s"},
        "url": "/orders/?a=%20",
        "key": "news",
        "extra_tags": "urgent",
        "title": "Order",
    }
    send(bob, "%(name)s", sender=alice, **values)
    monkeypatch.setattr("messages_extends.sending.messages.write_to_one", lambda *_arguments: False)
    Message.objects.update(read_at=timezone.now())
    send(bob, "%(name)s", sender=alice, **values)
    own = {"id", "created", "modified", "read_at", "read", "shows_at"}
    fields = [field.attname for field in Message._meta.concrete_fields if field.name not in own]
    first, second = Message.objects.order_by("pk").values(*fields)
    assert first == second


def test_send_inside_transaction_keeps_its_savepoint_and_takes_one_statement(
    alice: Any, bob: Any, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(3):
        send(bob, "Hello")
    with django_assert_num_queries(3):
        send(bob, "Hello", sender=alice)


@pytest.mark.usefixtures("committing")
@pytest.mark.parametrize("is_person", [False, True])
def test_send_outside_transaction_takes_one_statement_and_one_notification(
    make_user: MakeUser, is_person: bool
) -> None:
    with schema_context("acme"):
        alice, bob = make_user("alice", is_superuser=True), make_user("bob")
        with CaptureQueriesContext(connection) as captured:
            assert send(bob, "Hello", sender=alice if is_person else None) == 1
        texts = [query["sql"] for query in captured if "search_path" not in query["sql"]]
        assert len(texts) == 2
        assert "pg_notify" in texts[1]
        assert rows() == (1, int(is_person))


@pytest.mark.usefixtures("committing")
def test_send_with_server_side_binding_sends_statements_one_by_one(
    make_user: MakeUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    with schema_context("acme"):
        alice, bob = make_user("alice", is_superuser=True), make_user("bob")
        monkeypatch.setattr(connection.features, "uses_server_side_binding", True)
        with CaptureQueriesContext(connection) as captured:
            assert send(bob, "Hello", sender=alice) == 1
        assert not any("pg_advisory_xact_lock" in each["sql"] and "INSERT" in each["sql"] for each in captured)
        assert rows() == (1, 1)


# What is left to the longer way -------------------------------------------------------------------------------------


def test_inactive_recipient_is_not_written_to(make_user: MakeUser) -> None:
    assert not write(make_user("carol", is_active=False))
    assert rows() == (0, 0)


def test_recipient_who_is_gone_is_not_written_to(bob: Any) -> None:
    get_user_model().objects.filter(pk=bob.pk).delete()
    assert not write(bob)
    with pytest.raises(RecipientUnavailable):
        send(bob, "Hello")


def test_recipient_without_grant_is_not_written_to(alice: Any, make_user: MakeUser) -> None:
    carol = make_user("carol")
    assert not write(carol, alice)
    with pytest.raises(PermissionDenied):
        send(carol, "Hello", sender=alice)
    assert rows() == (0, 0)


@pytest.mark.parametrize("known", [False, True])
def test_inactive_sender_writes_nothing(alice: Any, bob: Any, known: bool) -> None:
    get_user_model().objects.filter(pk=alice.pk).update(is_active=False)
    if known:
        alice.refresh_from_db()
    assert not write(bob, alice)
    assert rows() == (0, 0)


def test_sender_at_limit_writes_nothing(alice: Any, bob: Any, configure: Callable[..., None]) -> None:
    configure(SEND_LIMITS={"minute": 2, "day": 100})
    assert [write(bob, alice) for _ in range(3)] == [True, True, False]
    assert rows() == (2, 2)
    with pytest.raises(RateLimitExceeded):
        send(bob, "Hello", sender=alice)


def test_second_unread_message_with_a_key_is_not_written(alice: Any, bob: Any) -> None:
    assert [write(bob, alice, key="news") for _ in range(2)] == [True, False]
    assert rows() == (1, 1)


def test_key_of_archived_message_is_left_to_longer_way(alice: Any, bob: Any) -> None:
    assert write(bob, alice, key="news")
    inbox(bob).archive(Message.objects.get().pk)
    assert not write(bob, alice, key="news")
    assert write(bob, alice, key="other")
    assert rows() == (2, 2)


def test_own_policy_is_left_to_longer_way(alice: Any, bob: Any, configure: Callable[..., None]) -> None:
    configure(POLICY=OwnPolicy)
    assert not write(bob, alice)
    assert send(bob, "Hello", sender=alice) == 1


def test_members_setting_is_left_to_longer_way(alice: Any, bob: Any, configure: Callable[..., None]) -> None:
    configure(MEMBERS=lambda: get_user_model().objects.exclude(pk=bob.pk))
    assert not write(alice)
    assert not write(bob)
    with pytest.raises(RecipientUnavailable):
        send(bob, "Hello")


def test_shared_users_are_left_to_longer_way(bob: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("messages_extends.access.policy_queries.users_are_shared", lambda: True)
    assert not write(bob)


def test_managers_of_a_host_are_left_to_longer_way(bob: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert has_plain_managers()
    monkeypatch.setattr("messages_extends.access.policy_queries.has_plain_managers", lambda: False)
    assert not write(bob)


def test_receiver_of_record_signals_is_called_for_each_message(alice: Any, bob: Any) -> None:
    saved: list[Any] = []

    def note(instance: Any, **_signal: Any) -> None:
        saved.append(instance)

    post_save.connect(note, sender=AuditRecord)
    try:
        assert not write(bob, alice)
        send(bob, "Hello", sender=alice)
    finally:
        post_save.disconnect(note, sender=AuditRecord)
    assert [each.actor_id for each in saved] == [str(alice.pk)]


def test_limit_above_what_is_counted_is_left_to_longer_way(
    alice: Any, bob: Any, configure: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_limits, "MAX_COUNTED", 2)
    rate_limits._fewer_than.cache_clear()
    configure(SEND_LIMITS={"hour": 1_000_000})
    try:
        assert [write(bob, alice) for _ in range(3)] == [True, True, False]
        assert send(bob, "Hello", sender=alice) == 1
    finally:
        rate_limits._fewer_than.cache_clear()


def test_missing_foreign_key_target_leaves_outer_transaction_usable(bob: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = get_user_model()(pk=10**9, is_active=True)
    # A sender who has been deleted, of whom the policy says yes.
    monkeypatch.setattr(single, "pair_condition", lambda *_arguments: "true")
    with transaction.atomic():
        assert not write(bob, gone)
        assert rows() == (0, 0)


# The statement ------------------------------------------------------------------------------------------------------


def test_statement_with_three_limits_is_short_enough_for_psycopg_to_keep(
    alice: Any, bob: Any, configure: Callable[..., None]
) -> None:
    configure(SEND_LIMITS={"minute": 60, "hour": 600, "day": 2_000})
    found: list[int] = []

    def measure(execute: Callable[..., Any], sql: str, *arguments: Any) -> Any:
        found.append(len(sql))
        return execute(sql, *arguments)

    with connection.execute_wrapper(measure):
        assert write(bob, alice, key="news")
    assert max(found) <= 4_096


def test_pair_condition_is_none_for_a_subclass_of_the_policy() -> None:
    assert pair_condition(Policy, "default") is not None
    assert pair_condition(OwnPolicy, "default") is None


def test_member_condition_is_none_where_a_host_names_the_members() -> None:
    assert member_condition("default") is not None
    with override_settings(MESSAGES_EXTENDS={"MEMBERS": get_user_model().objects.all}):
        assert member_condition("default") is None
