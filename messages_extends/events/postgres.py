"""A bus that uses PostgreSQL's NOTIFY and LISTEN and needs no other server."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any, Final

from django.db import connections
from psycopg import AsyncConnection, sql

from messages_extends.conf import settings
from messages_extends.events.bus import Bus
from messages_extends.tenancy.databases import write_database

NOTIFY: Final = "pg_notify(%s, %s)"
# The number of columns that a statement may return is limited to 1,664.
NOTIFICATIONS_PER_STATEMENT: Final = 1_000
# An idle connection is checked after this time, and has the same time to answer.
IDLE_CHECK_S: Final = 10
# The kernel also detects a server that has disappeared.
KEEPALIVES: Final[dict[str, int]] = {
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 20_000,
    "connect_timeout": 5,
}


class PostgresBus(Bus):
    """Notify after the commit: a transaction that notifies takes a lock that serializes commits."""

    def publish(self, texts: Sequence[str]) -> None:
        with connections[write_database()].cursor() as cursor:
            for start in range(0, len(texts), NOTIFICATIONS_PER_STATEMENT):
                part = texts[start : start + NOTIFICATIONS_PER_STATEMENT]
                # Without FROM, because a row source makes planning take half as long again.
                statement = f"SELECT {', '.join([NOTIFY] * len(part))}"
                cursor.execute(statement, [each for text in part for each in (settings.push_name, text)])

    async def listen(self) -> AsyncGenerator[str | None]:
        # A dedicated connection, because LISTEN would occupy one of the pool.
        connection = await AsyncConnection.connect(**connection_parameters(), autocommit=True)
        async with connection:
            await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(settings.push_name)))
            yield None
            while True:
                async for notification in connection.notifies(timeout=IDLE_CHECK_S):
                    yield notification.payload
                # Raises if the server is gone. Notifications that arrive meanwhile are kept for the next iteration.
                async with asyncio.timeout(IDLE_CHECK_S):
                    await connection.execute("SELECT 1")


def connection_parameters() -> dict[str, Any]:
    """Return Django's connection parameters for a psycopg connection outside the pool."""
    parameters = connections[write_database()].get_connection_params()
    own = {name: value for name, value in parameters.items() if name not in ("cursor_factory", "context")}
    return KEEPALIVES | own | {"prepare_threshold": None}
