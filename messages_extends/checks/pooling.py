"""Detect a proxy in transaction mode by the PostgreSQL processes that serve two connections."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, Final

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from messages_extends.events.postgres import connection_parameters

# The number of queries on each connection, and the time limit for all of them.
ROUNDS: Final = 5
TIME_LIMIT_S: Final = 5


def process_ids_of_two_connections() -> tuple[set[int], set[int]]:
    """Return the process ids that serve each of two connections; empty sets if they cannot connect in time."""
    # In a new thread, because this one may have a running event loop.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, _query_process_ids()).result()


@asynccontextmanager
async def _connected(parameters: dict[str, Any]) -> AsyncIterator["AsyncConnection[TupleRow]"]:
    connection = await AsyncConnection.connect(**parameters, autocommit=True)
    async with connection:
        yield connection


async def _query_process_ids() -> tuple[set[int], set[int]]:
    found: tuple[set[int], set[int]] = set(), set()
    parameters = connection_parameters()
    try:
        async with asyncio.timeout(TIME_LIMIT_S):
            async with _connected(parameters) as first, _connected(parameters) as second:
                for _ in range(ROUNDS):
                    for ids, connection in zip(found, (first, second), strict=True):
                        cursor = await connection.execute("SELECT pg_backend_pid()")
                        ids.update(row[0] for row in await cursor.fetchall())
    except (psycopg.Error, TimeoutError):
        # The server may be full, or the proxy may be in session mode with a single connection.
        return set(), set()
    return found
