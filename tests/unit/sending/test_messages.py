"""Sending: one row for each recipient, all or none."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser, Group
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.utils.safestring import mark_safe
from django.utils.timezone import now

from messages_extends.access.grants import grant
from messages_extends.api import EVERYONE, announce, cancel, inbox, send
from messages_extends.constants import ERROR_PERSISTENT, INFO, INFO_PERSISTENT
from messages_extends.exceptions import NoTenant, RecipientUnavailable, WrongTenant
from messages_extends.models import AuditRecord, Message
from messages_extends.models.publication import State
from messages_extends.tenancy.schemas import in_schema
from tenants.models import Tenant
from tests.factories import MakeUser
from tests.rows import recipient_names


def many_people(count: int) -> Any:
    """Make people by SQL."""
    with connection.cursor() as cursor:
        columns = "email, name, password, is_active, is_staff, is_superuser, date_joined"
        cursor.execute(
            f"INSERT INTO people_user ({columns}) SELECT 'p' || i || '@acme.example', 'p' || i, '!', true, false, "
            "false, now() FROM generate_series(1, %s) i",
            [count],
        )
    return get_user_model().objects.filter(name__startswith="p")


class TestRecipients:
    @pytest.mark.parametrize(
        ("choose", "expected"),
        [
            (lambda people: people["bob"], ["bob"]),
            (lambda people: [people["bob"], people["carol"]], ["bob", "carol"]),
            (lambda people: [people["bob"], people["bob"]], ["bob"]),
            (lambda people: (person for person in people.values()), ["alice", "bob", "carol"]),
            (lambda people: Group.objects.get(), ["bob", "carol"]),
            (lambda people: get_user_model().objects.exclude(name="bob"), ["alice", "carol"]),
            (lambda people: get_user_model().objects.order_by("name")[:1], ["alice"]),
            (lambda people: [], []),
            (lambda people: get_user_model().objects.none(), []),
        ],
    )
    def test_send_accepts_user_users_group_or_queryset(
        self, people: Any, sales: Any, choose: Any, expected: list[str]
    ) -> None:
        assert send(choose(people), "Hello") == len(expected)
        assert recipient_names() == expected

    @pytest.mark.parametrize(
        "wrong", [1, "bob", b"bob", None, {}, [1], ["bob"], [None], AnonymousUser(), Group.objects.all(), EVERYONE]
    )
    def test_send_refuses_recipients_of_other_types(self, people: Any, wrong: Any) -> None:
        with pytest.raises(TypeError, match="a user, a group, an iterable of users, or a queryset"):
            send(wrong, "Hello")
        assert recipient_names() == []

    def test_send_to_group_or_queryset_skips_inactive_users(self, people: Any, sales: Any) -> None:
        get_user_model().objects.filter(name="bob").update(is_active=False)
        assert send(sales, "Hello") == 1
        assert send(get_user_model().objects.all(), "Hello") == 2
        assert "bob" not in recipient_names()

    @pytest.mark.parametrize("gone", ["deleted", "inactive", "unsaved"])
    def test_send_refuses_deleted_inactive_or_unsaved_recipient(self, people: Any, gone: str) -> None:
        bob: Any = people["bob"]
        if gone == "deleted":
            get_user_model().objects.filter(pk=bob.pk).delete()
        elif gone == "inactive":
            get_user_model().objects.filter(pk=bob.pk).update(is_active=False)
        else:
            bob = get_user_model()(email="new@acme.example")
        with pytest.raises(RecipientUnavailable):
            send([people["alice"], bob], "Hello")
        assert recipient_names() == []

    def test_send_refuses_recipient_or_sender_of_other_tenant(
        self, people: Any, globex: Tenant, make_user: MakeUser
    ) -> None:
        with in_schema("globex"):
            stranger = make_user("bob")
        for recipients in (stranger, [people["alice"], stranger]):
            with pytest.raises(WrongTenant):
                send(recipients, "Hello")
        with pytest.raises(WrongTenant):
            send(people["alice"], "Hello", sender=stranger)
        assert recipient_names() == []

    def test_send_evaluates_queryset_in_current_tenant(self, people: Any, globex: Tenant, make_user: MakeUser) -> None:
        everybody = get_user_model().objects.all()
        assert len(everybody) == 3
        with in_schema("globex"):
            make_user("gina")
            assert send(everybody, "Hello") == 1
            assert recipient_names() == ["gina"]
        assert recipient_names() == []

    def test_send_in_public_schema_raises_no_tenant(self, people: Any) -> None:
        with in_schema("public"), pytest.raises(NoTenant):
            send([], "Hello")


@pytest.mark.integration
class TestManyRecipients:
    def test_send_query_count_is_independent_of_recipient_count(
        self, people: Any, django_assert_num_queries: Any
    ) -> None:
        crowd = many_people(10_000)
        # A savepoint, the choice of the people, the insertion, and the release.
        with django_assert_num_queries(4):
            assert send(crowd, "Hello") == 10_000
        Message.objects.all().delete()
        with django_assert_num_queries(4):
            assert send([people["bob"], people["carol"]], "Hello") == 2

    def test_send_with_sender_and_key_takes_four_more_queries(
        self, people: Any, django_assert_num_queries: Any
    ) -> None:
        crowd = many_people(10_000)
        get_user_model().objects.filter(name="alice").update(is_superuser=True)
        alice = get_user_model().objects.get(name="alice")
        # The rate limit is checked, messages with the key that are replaced are deleted, and the send is logged.
        with django_assert_num_queries(8):
            assert send(crowd, "Hello", sender=alice, key="news") == 10_000
        with django_assert_num_queries(8):
            assert send(crowd, "Hello again", sender=alice, key="news") == 0
        assert list(AuditRecord.objects.values_list("count", flat=True)[:2]) == [0, 10_000]


class TestPolicy:
    def test_send_reaches_all_recipients_when_policy_allows(self, people: Any, sales: Any) -> None:
        grant(people["alice"], sales)
        assert send(sales, "Hello", sender=people["alice"]) == 2
        assert set(Message.objects.values_list("sender__name", flat=True)) == {"alice"}

    def test_send_reaches_nobody_when_policy_forbids_one_recipient(self, people: Any, sales: Any) -> None:
        grant(people["alice"], people["bob"])
        for recipients in (sales, [people["bob"], people["carol"]], get_user_model().objects.all()):
            with pytest.raises(PermissionDenied) as refusal:
                send(recipients, "Hello", sender=people["alice"])
            assert "carol" not in str(refusal.value)
        assert recipient_names() == []

    def test_send_evaluates_random_queryset_once(self, people: Any, make_user: MakeUser) -> None:
        """A random queryset finds other people whenever it is evaluated: it is evaluated once."""
        alice, crowd = people["alice"], [make_user(f"person{number}") for number in range(10)]
        for person in crowd[::2]:
            grant(alice, person)
        somebody = get_user_model().objects.filter(name__startswith="person").order_by("?")
        sent = refused = 0
        for _ in range(60):
            try:
                assert send(somebody[:1], "Hello", sender=alice) == 1
                sent += 1
            except PermissionDenied:
                refused += 1
        assert set(Message.objects.values_list("user", flat=True)) <= {person.pk for person in crowd[::2]}
        assert (Message.objects.count(), sent + refused) == (sent, 60)
        assert sent
        assert refused

    def test_send_to_oneself_stores_no_sender(self, people: Any) -> None:
        send(people["alice"], "note to self", sender=people["alice"])
        assert Message.objects.get().sender is None
        assert not AuditRecord.objects.exists()

    def test_send_with_sender_logs_audit_event_without_text(self, people: Any, sales: Any) -> None:
        grant(people["alice"], sales)
        send(sales, "between us", sender=people["alice"])
        record = AuditRecord.objects.filter(action="send").get()
        assert (record.actor_name, record.count, record.text) == ("alice", 2, "")
        assert len(record.text_hash) == 64


class TestText:
    def test_send_stores_text_and_all_options(self, people: Any) -> None:
        tomorrow = now() + timedelta(days=1)
        options: Any = {"level": ERROR_PERSISTENT, "params": {"n": 1}, "url": "/x/", "extra_tags": "a b", "key": "k"}
        send(people["bob"], "%(n)d left", expires=tomorrow, **options)
        message = Message.objects.get()
        assert str(message) == "1 left"
        assert {name: getattr(message, name) for name in options} == options
        assert (message.expires, message.read_at, message.is_safe) == (tomorrow, None, False)
        assert message.created == message.modified <= now()

    def test_send_with_empty_params_stores_empty_params(self, people: Any) -> None:
        send(people["bob"], "Yes", params={})
        send(people["carol"], "Yes")
        assert [message.params for message in Message.objects.order_by("id")] == [{}, None]

    def test_send_with_safe_string_marks_message_as_safe(self, people: Any) -> None:
        send(people["bob"], mark_safe("<b>Hello</b>"))
        assert Message.objects.get().is_safe

    def test_send_with_naive_expires_uses_current_time_zone(self, people: Any, settings: Any) -> None:
        settings.TIME_ZONE = "Europe/Berlin"
        send(people["bob"], "Hello", expires=datetime(2099, 1, 1, 12, 0))
        assert Message.objects.get().expires == datetime(2099, 1, 1, 11, 0, tzinfo=UTC)

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"message": ""}, "message is blank"),
            ({"message": " \n"}, "message is blank"),
            ({"message": "x" * 10_001}, "message has 10001 characters; at most 10000"),
            ({"message": "NUL \0"}, "message contains a NUL"),
            ({"url": "javascript:alert(1)"}, "use a path on this site"),
            ({"url": "/" + "x" * 2000}, "url has 2001 characters; at most 2000"),
            ({"extra_tags": "x" * 129}, "extra_tags has 129 characters; at most 128"),
            ({"key": "x" * 201}, "key has 201 characters; at most 200"),
            (
                {"level": INFO},
                r"level INFO \(20\) is not persistent; use one of DEBUG_PERSISTENT \(9\), INFO_PERS",
            ),
            ({"level": "error"}, "is not persistent"),
            ({"params": "x"}, "use a dictionary or a list"),
            ({"params": {"x": object()}}, "params may contain only strings"),
            ({"expires": now()}, "use a time in the future"),
        ],
    )
    def test_send_refuses_invalid_text_and_options(self, people: Any, options: Any, words: str) -> None:
        with pytest.raises(ValueError, match=words):
            send(people["bob"], options.pop("message", "Hello"), **options)
        assert recipient_names() == []

    @pytest.mark.parametrize(
        "never",
        [
            datetime.max.replace(tzinfo=timezone(timedelta(hours=-8))),
            datetime.max.replace(tzinfo=UTC),
            datetime.min.replace(tzinfo=timezone(timedelta(hours=8))),
        ],
    )
    def test_send_and_announce_refuse_out_of_range_datetimes(self, people: Any, never: datetime) -> None:
        for publish in (
            lambda: send(people["bob"], "Hello", expires=never),
            lambda: announce("Hello", to=EVERYONE, expires=never),
            lambda: announce("Hello", to=EVERYONE, publish_at=never),
        ):
            with pytest.raises(ValueError, match="its year must be between 1900 and 8999"):
                publish()
        assert inbox(people["bob"]).page().entries == []

    def test_send_refuses_expires_of_wrong_type(self, people: Any) -> None:
        with pytest.raises(TypeError, match="use a datetime"):
            send(people["bob"], "Hello", expires="tomorrow")


class TestKeys:
    def test_send_with_key_skips_recipient_with_unread_message(self, people: Any) -> None:
        assert send(people["bob"], "first", key="k") == 1
        assert send([people["bob"], people["carol"]], "second", key="k") == 1
        assert sorted(Message.objects.values_list("user__name", "message")) == [("bob", "first"), ("carol", "second")]

    def test_send_with_key_sends_again_after_message_is_read(self, people: Any) -> None:
        send(people["bob"], "first", key="k")
        Message.objects.mark_read()
        assert send(people["bob"], "second", key="k") == 1

    def test_send_with_key_replaces_expired_unread_message(self, people: Any) -> None:
        send([people["bob"], people["carol"]], "first", key="k", expires=now() + timedelta(hours=1))
        Message.objects.filter(user=people["bob"]).update(expires=now())
        assert send([people["bob"], people["carol"]], "second", key="k") == 1
        assert sorted(Message.objects.values_list("message", flat=True)) == ["first", "second"]

    def test_send_with_key_replaces_messages_of_recipients_only(self, people: Any, make_user: MakeUser) -> None:
        crowd = [make_user(f"person{number}") for number in range(10)]
        send(crowd, "old news", key="k")
        Message.objects.update(expires=now())
        somebody = get_user_model().objects.filter(name__startswith="person").order_by("?")
        for _ in range(10):
            send(somebody[:3], "news", key="k")
            assert set(Message.objects.values_list("user", flat=True)) == {person.pk for person in crowd}

    def test_cancel_deletes_only_unread_messages_with_key(self, people: Any) -> None:
        send([people["bob"], people["carol"]], "news", key="k")
        send(people["bob"], "other", key="other")
        Message.objects.filter(user=people["carol"]).mark_read()
        assert cancel("k") == 1
        assert sorted(Message.objects.values_list("message", flat=True)) == ["news", "other"]

    def test_cancel_retracts_announcement_with_key(self, people: Any) -> None:
        announcement = announce("news", to=EVERYONE, key="k")
        cancel("k")
        announcement.refresh_from_db()
        assert announcement.state() is State.RETRACTED

    def test_cancel_refuses_empty_key(self, people: Any) -> None:
        send(people["bob"], "Hello")
        with pytest.raises(ValueError, match="key is empty"):
            cancel("")
        assert recipient_names() == ["bob"]

    def test_send_key_is_separate_in_each_tenant(self, people: Any, globex: Tenant, make_user: MakeUser) -> None:
        send(people["bob"], "news", key="k")
        with in_schema("globex"):
            assert send(make_user("gina"), "news", key="k", level=INFO_PERSISTENT) == 1
            cancel("k")
        assert recipient_names() == ["bob"]


User: Any = get_user_model()


class TestUnions:
    """A queryset of several, which can be neither filtered nor reduced to its keys."""

    @pytest.mark.parametrize(
        "narrow",
        [
            lambda rows: rows,
            lambda rows: rows.order_by("name"),
            lambda rows: rows.order_by("name")[:2],
            lambda rows: rows.order_by("-name")[1:3],
        ],
    )
    def test_send_accepts_union_queryset(self, people: Any, narrow: Any) -> None:
        alice, bob, carol = (User.objects.filter(name=name) for name in ("alice", "bob", "carol"))
        union = narrow(alice.union(bob, carol))
        names = sorted(person.name for person in union)
        assert send(union, "hello") == len(names)
        assert sorted(Message.objects.values_list("user__name", flat=True)) == names

    def test_send_accepts_intersection_and_difference_querysets(self, people: Any) -> None:
        everybody, bob = User.objects.all(), User.objects.filter(name="bob")
        assert send(everybody.intersection(bob), "hello") == 1
        assert send(everybody.difference(bob).order_by("name")[:1], "hello") == 1
