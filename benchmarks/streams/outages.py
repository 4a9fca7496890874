"""Measure the recovery of open streams when PostgreSQL or Redis is killed and restarted."""

import asyncio
import time
from collections.abc import Callable
from statistics import median

from benchmarks.streams.browsers import Browsers
from benchmarks.streams.measure import Server, product, read_page
from tests.longrun.chaos.server import own_server
from tests.servers import redis_server

# Seconds that it is away before it is started again.
AWAY = 2
SMALL_POOL = 4


def outages(clients: int) -> dict[str, dict[str, float]]:
    """Kill what streams stand on while so many are open, and start it again: on servers that are ours to kill."""
    with own_server() as database, redis_server("valkey") as redis:
        found = {}
        for name, kill, start, settings in (
            ("PostgreSQL", database.kill, database.revive, {}),
            ("Redis", redis.kill, redis.start, {"REDIS_URL": redis.url}),
        ):
            with product(database.url, clients, **settings) as (server, _sender, people):
                found[name] = asyncio.run(_outage(server, people, kill, start))
        return found


async def _outage(
    server: Server, people: list[tuple[str, str]], kill: Callable[[], None], start: Callable[[], None]
) -> dict[str, float]:
    browsers = Browsers(server.port, [session for _user, session in people])
    await browsers.open()
    browsers.forget()
    kill()
    await asyncio.sleep(AWAY)
    # Not in a thread: a server ends with the thread that started it.
    start()
    # The first may have noticed before we did.
    times = await browsers.heard(browsers.pages, time.perf_counter(), patience=60)
    figures = {
        "streams": len(people),
        "told": len(times),
        "seconds": max(0.0, times[-1]) if times else 0.0,
        "still open": browsers.open_now,
    }
    await browsers.close()
    return figures


def pages_beside_streams(url: str, streams: int = 20, rounds: int = 5, pages: int = 25) -> float:
    """Return how much longer a page takes while so many streams are open on a pool of four connections."""
    with product(url, streams + 1, DATABASE_POOL_MAX=str(SMALL_POOL)) as (server, _sender, people):
        return asyncio.run(_beside(server, people, rounds, pages))


async def _beside(server: Server, people: list[tuple[str, str]], rounds: int, pages: int) -> float:
    reader, *others = [session for _user, session in people]
    await Browsers(server.port, [reader]).open()
    alone, beside = [], []
    for _ in range(rounds):
        alone += await asyncio.to_thread(_read_pages, server.port, reader, pages)
        browsers = Browsers(server.port, others)
        await browsers.open()
        # As long as closing them took.
        await asyncio.sleep(2)
        beside += await asyncio.to_thread(_read_pages, server.port, reader, pages)
        await browsers.close()
    return median(beside) / median(alone)


def _read_pages(port: int, session: str, pages: int) -> list[float]:
    return [read_page(port, session) for _ in range(pages)]
