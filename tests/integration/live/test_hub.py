"""The hub: whom it tells, and when it ends a stream. On a real bus; only who asks the host is the test's own."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextvars import Context
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connections
from django.test import override_settings
from django.utils import timezone
from django_tenants.utils import schema_context

from messages_extends import api
from messages_extends.events.bus import current_bus
from messages_extends.events.changes import ChangeEvent, notify_changed
from messages_extends.live import hub as hub_module
from messages_extends.live import queries
from messages_extends.live.hub import Hub
from messages_extends.live.queries import Subscriber
from messages_extends.live.streams import Stream, stream_expiry
from tests.factories import MakeUser
from tests.routers import ReplicaRouter

TIMEOUT_S = 30


@pytest.fixture
def alice(committing: None, make_user: MakeUser) -> Iterator[Any]:
    with schema_context("acme"):
        yield make_user("alice")


class RecordingStream(Stream):
    """A stream that records its updates."""

    __slots__ = ("numbers", "spreads")

    def __init__(self, subscriber: Subscriber, scope: Any = None) -> None:
        super().__init__(subscriber, scope, stream_expiry())
        self.numbers: list[int] = []
        self.spreads: list[int] = []

    def update(self, unread: int, *, changed: bool, spread: int) -> None:
        self.numbers.append(unread)
        self.spreads.append(spread)

    async def until(self, unread: int) -> None:
        async with asyncio.timeout(TIMEOUT_S):
            while not self.numbers or self.numbers[-1] != unread:
                await asyncio.sleep(0.01)


def subscriber(user: Any, schema: str = "acme") -> Subscriber:
    return Subscriber(schema, str(user.pk), "en")


async def served(_scope: Any) -> bool:
    return True


def with_hub(act: Callable[[Hub], Awaitable[None]], is_served: Any = served) -> None:
    async def run() -> None:
        bus = current_bus()
        assert bus is not None
        hub = Hub(bus, is_served)
        try:
            await act(hub)
        finally:
            await hub.close()

    asyncio.run(run())


def in_acme(act: Callable[[], object]) -> Awaitable[object]:
    def run() -> object:
        try:
            with schema_context("acme"):
                return act()
        finally:
            connections.close_all()

    return asyncio.to_thread(run)


def test_hub_notifies_others_after_invalid_group_key(alice: Any) -> None:
    async def act(hub: Hub) -> None:
        page = RecordingStream(subscriber(alice))
        hub.add(page)
        await page.until(0)
        # As text, a name is no key of a group; and a message in the same turn.
        await in_acme(partial(notify_changed, groups=["Sales"]))
        await in_acme(partial(api.send, alice, "Hello"))
        await page.until(1)

    with_hub(act)


def test_notify_changed_refuses_model_instances(alice: Any) -> None:
    with pytest.raises(TypeError, match="Expected a primary key"):
        notify_changed(groups=[Group(name="Sales")])


def test_hub_remove_frees_place_of_stream(alice: Any) -> None:
    async def act(hub: Hub) -> None:
        page = RecordingStream(subscriber(alice))
        hub.add(page)
        assert (hub.count, hub.streams_of(page.subscriber)) == (1, 1)
        hub.remove(page)
        assert (hub.count, hub.streams_of(page.subscriber), hub.tenants, hub.sessions) == (0, 0, {}, {})

    with_hub(act)


def test_hub_notifies_all_streams_after_gap(alice: Any) -> None:
    async def act(hub: Hub) -> None:
        page = RecordingStream(subscriber(alice))
        hub.add(page)
        # The bus itself begins with a gap.
        await eventually_silent(page)
        before = len(page.numbers)
        hub.receive(None)
        await eventually_silent(page)
        assert len(page.numbers) > before

    with_hub(act)


async def eventually_silent(page: RecordingStream, unread: int = 0) -> None:
    """Wait until a page has been told a number, and nothing more for a moment."""
    await page.until(unread)
    told = -1
    while told != len(page.numbers):
        told = len(page.numbers)
        await asyncio.sleep(0.5)


def test_hub_spreads_refetch_after_announcement(alice: Any) -> None:
    async def act(hub: Hub) -> None:
        page = RecordingStream(subscriber(alice))
        hub.add(page)
        await page.until(0)
        await in_acme(partial(api.announce, "Hello", to=api.EVERYONE))
        await page.until(1)
        assert page.spreads[-1] > 0

    with_hub(act)


def test_hub_does_not_spread_refetch_after_message(alice: Any) -> None:
    async def act(hub: Hub) -> None:
        page = RecordingStream(subscriber(alice))
        hub.add(page)
        await in_acme(partial(api.announce, "Hello", to=api.EVERYONE))
        await page.until(1)
        await eventually_silent(page, 1)
        await in_acme(partial(api.send, alice, "Hello"))
        await page.until(2)
        assert page.spreads[-1] == 0

    with_hub(act)


def test_hub_ends_streams_of_ended_session_only(alice: Any) -> None:
    async def act(hub: Hub) -> None:
        page, other = (
            RecordingStream(Subscriber("acme", str(alice.pk), "en", session_key=key)) for key in ("one", "another")
        )
        for each in (page, other):
            hub.add(each)
        for text in ChangeEvent(None, sessions=frozenset({page.session})).texts(1_000):
            hub.receive(text)
        assert (page.has_ended, other.has_ended) == (True, False)

    with_hub(act)


def test_unread_counts_are_read_from_primary(alice: Any) -> None:
    with schema_context("acme"):
        api.send(alice, "Hello")
    with override_settings(DATABASE_ROUTERS=[ReplicaRouter()]):
        # In a context that has not written: only then a router is asked where to read.
        assert Context().run(queries.unread_counts_of, "acme", {str(alice.pk)}) == {str(alice.pk): 1}


def test_hub_notifies_of_announcement_scheduled_during_next_change_query(
    alice: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = queries.next_change
    soon = timezone.now() + timedelta(seconds=3)

    def next_change(schema: str) -> Any:
        answer = asked(schema)
        if not published:
            published.append(True)
            with schema_context(schema):
                api.announce("Hello", to=api.EVERYONE, publish_at=soon)
        return answer

    published: list[bool] = []
    monkeypatch.setattr(queries, "next_change", next_change)

    async def act(hub: Hub) -> None:
        page = RecordingStream(subscriber(alice))
        hub.add(page)
        await page.until(1)

    with_hub(act)


class TestRechecks:
    @pytest.fixture(autouse=True)
    def _often(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(hub_module, "RECHECK_INTERVAL_S", 0.2)

    def test_hub_ends_streams_of_missing_schema(self, alice: Any) -> None:
        async def refused(_scope: Any) -> bool:
            return False

        async def act(hub: Hub) -> None:
            page = RecordingStream(subscriber(alice, "gone"))
            hub.add(page)
            async with asyncio.timeout(TIMEOUT_S):
                while not page.has_ended:
                    await asyncio.sleep(0.05)

        with_hub(act, refused)

    def test_tokens_are_not_honoured_once_the_application_refuses(self, alice: Any) -> None:
        answers = [True]

        async def is_served(_scope: Any) -> bool:
            return answers[0]

        async def act(hub: Hub) -> None:
            hub.add(RecordingStream(subscriber(alice)))
            async with asyncio.timeout(TIMEOUT_S):
                while not hub.honours_tokens("acme"):
                    await asyncio.sleep(0.05)
                answers[0] = False
                while hub.honours_tokens("acme"):
                    await asyncio.sleep(0.05)

        with_hub(act, is_served)

    def test_hub_keeps_streams_served_by_host_when_others_are_refused(self, alice: Any, make_user: MakeUser) -> None:
        """A host may have a middleware that refuses who is logged out: that is no word about the organisation."""
        others = [RecordingStream(subscriber(make_user(f"person{number}")), "fine") for number in range(3)]

        async def is_served(scope: Any) -> bool:
            return bool(scope == "fine")

        async def act(hub: Hub) -> None:
            out = RecordingStream(subscriber(alice), "logged out")
            for page in (*others, out):
                hub.add(page)
            await asyncio.sleep(3)
            assert [page.has_ended for page in others] == [False] * 3

        with_hub(act, is_served)

    def test_revoked_subscribers_include_inactive_user(self, alice: Any) -> None:
        assert queries.revoked_subscribers("acme", {subscriber(alice)}) == set()
        type(alice).objects.filter(pk=alice.pk).update(is_active=False)
        assert queries.revoked_subscribers("acme", {subscriber(alice)}) == {subscriber(alice)}

    def test_revoked_subscribers_include_user_with_changed_password(self, alice: Any) -> None:
        before = Subscriber("acme", str(alice.pk), "en", auth_hash=alice.get_session_auth_hash())
        assert queries.revoked_subscribers("acme", {before}) == set()
        alice.set_password("another")
        alice.save()
        assert queries.revoked_subscribers("acme", {before}) == {before}

    def test_revoked_subscribers_exclude_cookie_sessions(self, alice: Any) -> None:
        with override_settings(SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies"):
            in_cookie = Subscriber("acme", str(alice.pk), "en", session_key="x" * 200)
            assert queries.revoked_subscribers("acme", {in_cookie}) == set()


def test_recipients_per_query_is_small_with_custom_members() -> None:
    with override_settings(MESSAGES_EXTENDS={"MEMBERS": lambda: None}):
        assert queries.recipients_per_query() < 100
