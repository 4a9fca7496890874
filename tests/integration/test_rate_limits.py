"""How often people may speak: counted in PostgreSQL, for each person and organisation; never exceeded, never silent."""

import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from time import sleep
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone, translation
from django_tenants.utils import get_tenant_model, schema_context

from messages_extends.access.grants import EVERYBODY, grant
from messages_extends.api import ALL_TENANTS, EVERYONE, add_persistent_info, announce, broadcast, retract, revise, send
from messages_extends.broadcasts.models import Broadcast
from messages_extends.exceptions import RateLimitExceeded
from messages_extends.models import Announcement, AuditRecord, Message
from messages_extends.queries import compiled
from messages_extends.sending.messages import send_once
from tenants.models import Tenant
from tests.factories import BrowserOf, MakeUser
from tests.integration.test_concurrency import AtOnce, at_once, while_open  # noqa: F401 - a fixture
from tests.unit.storages.test_storages import make_request

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("in_acme")]

TOO_MUCH = "You are sending messages too quickly. Try again in"


@pytest.fixture
def limits(settings: Any) -> Callable[..., None]:
    def set_limits(**limits: int) -> None:
        settings.MESSAGES_EXTENDS = {**settings.MESSAGES_EXTENDS, "SEND_LIMITS": limits}

    set_limits(minute=2)
    return set_limits


def speak(sender: Any, recipient: Any, times: int = 1) -> None:
    for _ in range(times):
        send(recipient, "Hello", sender=sender)


def refused(act: Callable[[], object]) -> RateLimitExceeded:
    with pytest.raises(RateLimitExceeded) as caught:
        act()
    return caught.value


def happened(seconds_ago: float) -> None:
    """Have all that was recorded happen then: the table lets nobody change it, but who owns it."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE messages_extends_auditrecord DISABLE TRIGGER append_only")
    AuditRecord.objects.update(recorded_at=timezone.now() - timedelta(seconds=seconds_ago))
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE messages_extends_auditrecord ENABLE TRIGGER append_only")


# What counts --------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("limits")
class TestCountedActions:
    def test_send_beyond_limit_is_refused_and_writes_nothing(self, root: Any, bob: Any) -> None:
        speak(root, bob, times=2)
        assert 55 < refused(lambda: speak(root, bob)).retry_after <= 60
        assert Message.objects.count() == AuditRecord.objects.count() == 2

    def test_rate_limit_exceeded_is_permission_denied(self, root: Any, bob: Any) -> None:
        speak(root, bob, times=2)
        with pytest.raises(PermissionDenied):
            speak(root, bob)

    def test_send_to_many_recipients_counts_once(self, root: Any, make_user: MakeUser) -> None:
        people = [make_user(f"person{number}") for number in range(5)]
        speak(root, people, times=2)
        assert Message.objects.count() == 10

    def test_announce_and_revise_count_towards_limit(self, root: Any, bob: Any) -> None:
        announcement = announce("Hello", to=EVERYONE, sender=root)
        revise(announcement, message="Hallo", sender=root)
        for act in (
            lambda: speak(root, bob),
            lambda: announce("Hello", to=EVERYONE, sender=root),
            lambda: revise(announcement, message="Hola", sender=root),
        ):
            refused(act)
        announcement.refresh_from_db()
        assert (announcement.message, Announcement.objects.count()) == ("Hallo", 1)

    def test_retract_is_allowed_beyond_limit(self, root: Any, bob: Any) -> None:
        announcement = announce("Hello", to=EVERYONE, sender=root)
        speak(root, bob)
        refused(lambda: speak(root, bob))
        assert retract(announcement, sender=root).retracted_at

    def test_send_once_duplicate_is_allowed_beyond_limit(self, root: Any, bob: Any) -> None:
        numbers = [uuid.uuid4() for _ in range(2)]
        for number in numbers:
            send_once(number, bob, "Hello", sender=root)
        assert send_once(numbers[0], bob, "Hello", sender=root).is_duplicate
        Message.objects.all().delete()

    def test_announce_with_existing_key_is_allowed_beyond_limit(self, root: Any, bob: Any) -> None:
        first = announce("Hello", to=EVERYONE, sender=root, key="k")
        speak(root, bob)
        assert announce("Hello", to=EVERYONE, sender=root, key="k") == first

    def test_send_without_sender_is_unlimited(self, root: Any, bob: Any) -> None:
        speak(None, bob, times=5)
        speak(root, bob, times=2)
        speak(None, bob)

    def test_send_to_self_is_unlimited(self, root: Any) -> None:
        speak(root, root, times=5)

    def test_limit_is_counted_per_sender(self, root: Any, bob: Any) -> None:
        grant(bob, EVERYBODY)
        speak(root, bob, times=2)
        speak(bob, root, times=2)
        refused(lambda: speak(bob, root))

    def test_limit_is_counted_per_tenant(self, root: Any, bob: Any, make_user: MakeUser) -> None:
        speak(root, bob, times=2)
        with schema_context("globex"):
            namesake, other = make_user("alice", pk=root.pk, is_superuser=True), make_user("other")
            speak(namesake, other, times=2)

    def test_broadcasts_are_limited_separately(self, acme: Tenant, make_user: MakeUser) -> None:
        with schema_context("platform"):
            olivia, other = make_user("olivia", is_superuser=True), make_user("other")
            speak(olivia, other, times=2)
            published = broadcast("Hello", to=ALL_TENANTS, sender=olivia)
            revise(published, message="Hallo", sender=olivia)
            refused(lambda: broadcast("Hello", to=ALL_TENANTS, sender=olivia))
            refused(lambda: revise(published, message="Hola", sender=olivia))
            broadcast("Hello", to=ALL_TENANTS, author="the application")
            assert Broadcast.objects.get(pk=published.pk).message == "Hallo"
            assert retract(published, sender=olivia).retracted_at

    def test_add_message_for_other_user_counts_towards_limit(self, acme: Tenant, root: Any, bob: Any) -> None:
        request = make_request(acme, root)
        for _ in range(2):
            add_persistent_info(request, "Hello", user=bob)
        refused(lambda: add_persistent_info(request, "Hello", user=bob))
        add_persistent_info(request, "Note to self")
        assert bob.message_set.count() == 2

    def test_check_rate_limit_runs_one_query_beside_lock(
        self, root: Any, bob: Any, limits: Callable[..., None]
    ) -> None:
        limits(minute=10, hour=20, day=30)
        with CaptureQueriesContext(connection) as captured:
            send([root, bob], "Hello", sender=root)
        asked = [query["sql"] for query in captured if "auditrecord" in query["sql"] and "INSERT" not in query["sql"]]
        assert len(asked) == 1


class TestRetryAfter:
    def test_retry_after_is_time_until_first_send_leaves_period(
        self, root: Any, bob: Any, limits: Callable[..., None]
    ) -> None:
        speak(root, bob, times=2)
        happened(20)
        assert refused(lambda: speak(root, bob)).retry_after == 40
        happened(60.001)
        speak(root, bob)

    def test_retry_after_is_longest_wait_of_all_limits(self, root: Any, bob: Any, limits: Callable[..., None]) -> None:
        limits(minute=1, hour=2, day=3)
        speak(root, bob)
        assert refused(lambda: speak(root, bob)).retry_after <= 60
        happened(120)
        speak(root, bob)
        happened(120)
        assert 3_400 < refused(lambda: speak(root, bob)).retry_after <= 3_480
        happened(3_700)
        speak(root, bob)
        happened(3_700)
        assert 82_000 < refused(lambda: speak(root, bob)).retry_after <= 82_700

    @pytest.mark.parametrize("value", [None, {}])
    def test_send_without_limits_takes_no_lock(self, root: Any, bob: Any, settings: Any, value: Any) -> None:
        settings.MESSAGES_EXTENDS = {**settings.MESSAGES_EXTENDS, "SEND_LIMITS": value}
        with CaptureQueriesContext(connection) as captured:
            speak(root, bob, times=70)
        assert not [query for query in captured if "advisory" in query["sql"]]

    @pytest.mark.usefixtures("in_acme")
    def test_default_limit_is_sixty_per_minute(self, root: Any, bob: Any) -> None:
        speak(root, bob, times=60)
        refused(lambda: speak(root, bob))

    @pytest.mark.parametrize(
        ("ago", "words"), [(59.5, "1 second."), (20, "40 seconds."), (3_541, "59 seconds."), (1_800, "30 minutes.")]
    )
    def test_rate_limit_error_states_waiting_time(
        self, root: Any, bob: Any, limits: Callable[..., None], ago: float, words: str
    ) -> None:
        limits(**{"minute" if ago < 60 else "hour": 1})
        speak(root, bob)
        happened(ago)
        assert str(refused(lambda: speak(root, bob))) == f"{TOO_MUCH} {words}"

    def test_rate_limit_error_is_translated(self, root: Any, bob: Any, limits: Callable[..., None]) -> None:
        limits(day=1)
        speak(root, bob)
        with translation.override("de"):
            assert "in 24 Stunden erneut" in str(refused(lambda: speak(root, bob)))


# Requests at once ---------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("committing")
def test_concurrent_sends_do_not_exceed_limit(
    at_once: AtOnce,  # noqa: F811
    make_user: MakeUser,
    limits: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limits(hour=5)
    # So that all of them would have looked before any has written, if they did not wait for each other.
    rows = compiled.rows

    def look_slowly(*arguments: Any, **shape: Any) -> Any:
        found = rows(*arguments, **shape)
        sleep(0.05)
        return found

    monkeypatch.setattr(compiled, "rows", look_slowly)
    with schema_context("acme"):
        root, bob = make_user("alice", is_superuser=True), make_user("bob")

    def attempt() -> bool:
        try:
            send([root, bob], "Hello", sender=root)
        except RateLimitExceeded:
            return False
        return True

    for _ in range(2):
        at_once(*[attempt] * 8)
    with schema_context("acme"):
        assert Message.objects.count() == 5 * 2


@pytest.mark.usefixtures("committing")
def test_send_waits_for_an_open_transaction_of_its_sender_and_counts_what_that_wrote(
    at_once: AtOnce,  # noqa: F811
    make_user: MakeUser,
    limits: Callable[..., None],
) -> None:
    limits(hour=1)
    with schema_context("acme"):
        alice, bob = make_user("alice", is_superuser=True), make_user("bob")

    def attempt() -> bool:
        try:
            speak(alice, bob)
        except RateLimitExceeded:
            return False
        return True

    assert at_once(*while_open(attempt, attempt)) == [True, False]
    with schema_context("acme"):
        assert Message.objects.count() == 1


@pytest.mark.usefixtures("committing")
def test_sixteen_threads_at_a_limit_of_ten_write_ten_messages(
    at_once: AtOnce,  # noqa: F811
    make_user: MakeUser,
    limits: Callable[..., None],
) -> None:
    limits(hour=10)
    with schema_context("acme"):
        alice, bob = make_user("alice", is_superuser=True), make_user("bob")

    def write_until_refused() -> None:
        with suppress(RateLimitExceeded):
            speak(alice, bob, times=11)

    at_once(*[write_until_refused] * 16)
    with schema_context("acme"):
        assert (Message.objects.count(), AuditRecord.objects.count()) == (10, 10)


@pytest.mark.usefixtures("committing")
def test_concurrent_sends_of_two_senders_reach_own_limits(
    at_once: AtOnce,  # noqa: F811
    make_user: MakeUser,
    limits: Callable[..., None],
) -> None:
    limits(hour=4)
    with schema_context("acme"):
        people = [make_user(name, is_superuser=True) for name in ("alice", "bob")]
        reader = make_user("reader")
    at_once(*(partial(speak, person, reader, times=4) for person in people))
    with schema_context("acme"):
        assert Message.objects.count() == 8


# Pages --------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("limits")
class TestPages:
    @pytest.fixture
    def browser(self, acme: Tenant, root: Any, browser_of: BrowserOf) -> Client:
        return browser_of(acme, root)

    def test_compose_page_beyond_limit_returns_429_and_keeps_input(self, browser: Client, root: Any, bob: Any) -> None:
        speak(root, bob, times=2)
        form = {"step": "send", "number": str(uuid.uuid4()), "message": "Bring the keys", "people": bob.pk, "level": 19}
        response = browser.post("/messages/compose/", form)
        assert response.status_code == 429
        assert 55 < int(response["Retry-After"]) <= 60
        assert TOO_MUCH in response.text
        assert "Bring the keys" in response.text
        assert Message.objects.count() == 2
        happened(61)
        assert browser.post("/messages/compose/", form).status_code == 302
        assert Message.objects.count() == 3

    def test_announcement_page_beyond_limit_returns_429_and_keeps_input(
        self, browser: Client, root: Any, bob: Any
    ) -> None:
        speak(root, bob, times=2)
        form = {"step": "publish", "number": str(uuid.uuid4()), "message": "Fire drill", "to": "everybody", "level": 19}
        response = browser.post("/messages/announcements/new/", form)
        assert (response.status_code, Announcement.objects.count()) == (429, 0)
        assert int(response["Retry-After"]) > 0
        assert TOO_MUCH in response.text
        assert "Fire drill" in response.text

    def test_announcement_edit_beyond_limit_returns_429_and_keeps_input(
        self, browser: Client, root: Any, bob: Any
    ) -> None:
        announcement = announce("Fire drill", to=EVERYONE)
        address = f"/messages/announcements/{announcement.pk}/edit/"
        form = browser.get(address).context["form"]
        speak(root, bob, times=2)
        entered = {"message": "No fire drill", "level": 19, "expires": "2099-01-01 12:00", "again": "quietly"}
        response = browser.post(address, {**entered, "version": form.initial["version"]})
        assert response.status_code == 429
        assert int(response["Retry-After"]) > 0
        assert "No fire drill" in response.text
        announcement.refresh_from_db()
        assert announcement.message == "Fire drill"

    def test_broadcast_page_beyond_limit_returns_429_and_keeps_input(
        self, database: None, make_user: MakeUser, browser_of: BrowserOf
    ) -> None:
        with schema_context("platform"):
            platform = get_tenant_model().objects.get(schema_name="platform")
            olivia = make_user("olivia", is_superuser=True)
            browser = browser_of(platform, olivia)
            for _ in range(2):
                broadcast("Hello", to=ALL_TENANTS, sender=olivia)
        form = {"step": "publish", "number": str(uuid.uuid4()), "message": "Downtime", "to": "everybody", "level": 19}
        response = browser.post("/messages/broadcasts/new/", {**form, "author": "Operations"})
        assert response.status_code == 429
        assert "Downtime" in response.text


def test_rate_limit_query_uses_index(in_acme: Tenant, root: Any) -> None:
    Group.objects.create(name="Sales")
    AuditRecord.objects.bulk_create(
        AuditRecord(actor_id=f"other {number % 100}", action="send", subject="messages") for number in range(20_000)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE messages_extends_auditrecord")
    with CaptureQueriesContext(connection) as captured:
        announce("Hello", to=EVERYONE, sender=root)
    (counting,) = [query["sql"] for query in captured if "UNION" in query["sql"] and "auditrecord" in query["sql"]]
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {counting}")
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert plan.count("auditrecord_by_actor") == 2
