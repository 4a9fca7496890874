"""Helpers that count the pool's connections in use."""

import asyncio

from asgiref.sync import sync_to_async
from django.db import connection, connections


async def in_use_before() -> int:
    """Return the number after the thread for synchronous code has returned connections of earlier tests."""
    await sync_to_async(connections.close_all)()
    return await in_use_when_settled()


async def in_use_when_settled() -> int:
    """Wait until the number is stable for a second: connections may still be returned, and a pool may grow."""
    found = [_in_use()]
    while len(found) < 20 or len(set(found[-20:])) > 1:
        assert len(found) < 400, f"in use in the last second: {found[-20:]}"
        await asyncio.sleep(0.05)
        found.append(_in_use())
    return found[-1]


def _in_use() -> int:
    stats = connection.pool.get_stats()
    return int(stats["pool_size"] - stats["pool_available"])
