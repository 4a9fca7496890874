"""The bus that needs nothing but the database: NOTIFY and LISTEN."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any, Final

from django.db import connections
from psycopg import AsyncConnection, sql
from psycopg.rows import TupleRow

from messages_extends.conf import settings
from messages_extends.events.bus import Bus
from messages_extends.tenancy.databases import write_database

NOTIFY: Final = "SELECT pg_notify(%s, text) FROM unnest(%s::text[]) AS text"
# After so many seconds of silence the connection is asked whether it is still there, and given as many to answer.
IDLE_CHECK_S: Final = 10
# A server that has gone without a word is noticed by the kernel too.
KEEPALIVES: Final[dict[str, int]] = {
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 20_000,
    "connect_timeout": 5,
}


class PostgresBus(Bus):
    """Notify after the commit, never in it: a transaction that notifies takes a lock that all others wait for."""

    def publish(self, texts: Sequence[str]) -> None:
        with connections[write_database()].cursor() as cursor:
            cursor.execute(NOTIFY, [settings.push_name, list(texts)])

    async def listen(self) -> AsyncGenerator[str | None]:
        # A connection of its own: one out of the pool would be missing there.
        connection = await AsyncConnection.connect(**connection_parameters(), autocommit=True)
        async with connection:
            await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(settings.push_name)))
            yield None
            while True:
                async for notification in connection.notifies(timeout=IDLE_CHECK_S):
                    yield notification.payload
                await _require_answer(connection)


async def _require_answer(connection: "AsyncConnection[TupleRow]") -> None:
    """Raise if the server is gone; what it notifies meanwhile is kept for the next round."""
    async with asyncio.timeout(IDLE_CHECK_S):
        await connection.execute("SELECT 1")


def connection_parameters() -> dict[str, Any]:
    """Return how Django connects, without what is for its own kind of connection: for one beside its pool."""
    parameters = connections[write_database()].get_connection_params()
    ours = {name: value for name, value in parameters.items() if name not in ("cursor_factory", "context")}
    return KEEPALIVES | ours | {"prepare_threshold": None}
