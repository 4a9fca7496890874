"""The contract of a bus, on PostgreSQL and on real servers of Redis' language."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import psycopg
import pytest
from django.db import connections
from django.test import override_settings
from redis import RedisError

from messages_extends.conf import settings
from messages_extends.events import postgres, redis
from messages_extends.events.bus import Bus, current_bus
from messages_extends.events.postgres import PostgresBus
from messages_extends.events.redis import RedisBus
from tests.servers import at_the_database, redis_server

TIMEOUT_S = 30
NAME = "messages_extends_contract"


@pytest.fixture(params=["postgres", "valkey", "redis"])
def stop(request: pytest.FixtureRequest, committing: None) -> Iterator[Callable[[], None]]:
    """Run a bus's server; what is given breaks every connection to it."""
    if request.param == "postgres":
        with override_settings(MESSAGES_EXTENDS={"PUSH_BUS": PostgresBus, "PUSH_NAME": NAME}):
            yield cut_listeners
        return
    with (
        redis_server(request.param) as server,
        override_settings(
            MESSAGES_EXTENDS={"PUSH_BUS": RedisBus, "PUSH_NAME": NAME, "PUSH_REDIS_URL": server.url},
        ),
    ):
        yield server.kill


def cut_listeners() -> None:
    with at_the_database() as session:
        session.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND query LIKE 'LISTEN%'"
        )


@pytest.fixture
def bus(stop: Callable[[], None]) -> Bus:
    bus = current_bus()
    assert bus is not None
    # Not the one of the test before, which was made for another server.
    return type(bus)()


class BusListener:
    def __init__(self, bus: Bus) -> None:
        self._heard = bus.listen()

    async def next(self) -> str | None:
        async with asyncio.timeout(TIMEOUT_S):
            return await anext(self._heard)

    async def close(self) -> None:
        await self._heard.aclose()


@asynccontextmanager
async def listening(bus: Bus) -> AsyncIterator[BusListener]:
    """Listen, from the moment on at which the bus says that it hears."""
    watcher = BusListener(bus)
    try:
        assert await watcher.next() is None
        yield watcher
    finally:
        await watcher.close()


async def publish(bus: Bus, *texts: str) -> None:
    # From a thread, as every request does.
    await asyncio.to_thread(_publish_and_leave, bus, texts)


def _publish_and_leave(bus: Bus, texts: tuple[str, ...]) -> None:
    try:
        bus.publish(texts)
    finally:
        connections.close_all()


def test_bus_delivers_texts_to_every_listener_in_order(bus: Bus) -> None:
    async def hear() -> list[str | None]:
        async with listening(bus) as first, listening(bus) as second:
            await publish(bus, "one", "two")
            await publish(bus, "three")
            return [await watcher.next() for watcher in (first, second) for _ in range(3)]

    assert asyncio.run(hear()) == ["one", "two", "three"] * 2


def test_bus_delivers_texts_unchanged(bus: Bus) -> None:
    texts = ("x" * bus.limit, "ünïcödé \N{SNOWMAN}", '{"a": "\\u0000"}', "'; SELECT 1; --", "%s %(a)s")

    async def hear() -> tuple[str | None, ...]:
        async with listening(bus) as watcher:
            await publish(bus, *texts)
            return tuple([await watcher.next() for _ in texts])

    assert asyncio.run(hear()) == texts


def test_bus_keeps_texts_until_listener_reads(bus: Bus) -> None:
    async def hear() -> list[str | None]:
        async with listening(bus) as watcher:
            await publish(bus, "one")
            first = await watcher.next()
            for number in range(200):
                await publish(bus, str(number))
            return [first, *[await watcher.next() for _ in range(200)]]

    assert asyncio.run(hear()) == ["one", *map(str, range(200))]


def test_bus_listener_survives_idle_period(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (postgres, redis):
        monkeypatch.setattr(module, "IDLE_CHECK_S", 0.2)

    async def hear() -> str | None:
        async with listening(bus) as watcher:
            heard = asyncio.ensure_future(watcher.next())
            await asyncio.sleep(1.5)
            await publish(bus, "at last")
            return await heard

    assert asyncio.run(hear()) == "at last"


def test_bus_listener_raises_when_connection_is_lost(bus: Bus, stop: Callable[[], None]) -> None:
    async def hear() -> None:
        async with listening(bus) as watcher:
            await asyncio.to_thread(stop)
            await watcher.next()

    with pytest.raises((psycopg.OperationalError, RedisError)):
        asyncio.run(hear())


def test_bus_ignores_texts_of_other_push_name(bus: Bus) -> None:
    async def hear() -> str | None:
        async with listening(bus) as watcher:
            with override_settings(
                MESSAGES_EXTENDS={"PUSH_NAME": "another", "PUSH_REDIS_URL": settings.push_redis_url}
            ):
                await publish(bus, "theirs")
            await publish(bus, "ours")
            return await watcher.next()

    assert asyncio.run(hear()) == "ours"


def test_redis_bus_publish_raises_when_server_is_unavailable(bus: Bus, stop: Callable[[], None]) -> None:
    if isinstance(bus, PostgresBus):
        pytest.skip("Nobody publishes who has not just committed there.")
    stop()
    with pytest.raises(RedisError):
        asyncio.run(publish(bus, "text"))
