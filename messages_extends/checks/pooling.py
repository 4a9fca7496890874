"""Which process of PostgreSQL serves a connection: a proxy in transaction mode changes it at every transaction."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, Final

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from messages_extends.events.postgres import connection_parameters

# How often each of two connections is asked, and how long all of that may take.
ROUNDS: Final = 5
TIME_LIMIT_S: Final = 5


def process_ids_of_two_connections() -> tuple[set[int], set[int]]:
    """Ask two connections in turn which process serves them; nothing where they cannot be had in time."""
    # In a thread of its own, where no event loop can be running.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, _process_ids()).result()


@asynccontextmanager
async def _connected(parameters: dict[str, Any]) -> AsyncIterator["AsyncConnection[TupleRow]"]:
    connection = await AsyncConnection.connect(**parameters, autocommit=True)
    async with connection:
        yield connection


async def _process_ids() -> tuple[set[int], set[int]]:
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
        # A server that is full, or a proxy in session mode with a single connection: nothing can be said.
        return set(), set()
    return found
