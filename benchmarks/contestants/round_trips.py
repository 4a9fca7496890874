"""How often a client waits for the server, as libpq's own trace says."""

import tempfile
from collections.abc import Callable
from typing import Any


def round_trips(connection: Any, act: Callable[[], object]) -> int:
    """Return how many times the server has said that it is ready again, the frame of transactions included."""
    with tempfile.TemporaryFile() as file:
        connection.pgconn.trace(file.fileno())
        try:
            act()
        finally:
            connection.pgconn.untrace()
        file.seek(0)
        return file.read().count(b"ReadyForQuery")
