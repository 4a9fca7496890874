"""The stream of one open page, and the events that are written to it."""

import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from typing import Final

from django.utils import translation

from messages_extends.events.changes import fingerprint
from messages_extends.inbox.badge import UnreadBadge
from messages_extends.live.queries import Subscriber

# The key of the handshake in the scope of a request for a stream.
HANDSHAKE_KEY: Final = "messages_extends.live.handshake"
# A comment is sent after this time without events, so that proxies keep the stream open.
KEEPALIVE_INTERVAL_S: Final = 20
# A client that takes longer to read an event is disconnected.
WRITE_TIMEOUT_S: Final = 30
# The approximate maximum age, after which the browser reconnects and is authenticated again.
MAX_STREAM_AGE_S: Final = 3_600
# Browsers reconnect after a random delay in this range, because thousands may be disconnected at once.
RECONNECT_DELAY_MS: Final = (2_000, 8_000)

# The types of ASGI: the scope of a connection, and the events that are received and sent.
Scope = dict[str, object]
Event = Mapping[str, object]
Send = Callable[[Event], Awaitable[None]]


def stream_expiry() -> float:
    """Return when a stream must end whose user is authenticated now."""
    return time.time() + MAX_STREAM_AGE_S * random.uniform(0.8, 1.2)  # noqa: S311 - no secret


class Stream:
    """Hold the latest state for one page; older states are replaced, so a slow client needs no queue."""

    __slots__ = (
        "_changed",
        "_has_update",
        "_spread",
        "_unread",
        "expires_at",
        "has_ended",
        "scope",
        "session",
        "subscriber",
    )

    def __init__(self, subscriber: Subscriber, scope: Scope, expires_at: float) -> None:
        """`scope` is that of the request that opened the stream, to repeat the request later."""
        self.subscriber = subscriber
        self.scope = scope
        self.expires_at = expires_at
        # The session's fingerprint on the bus; empty without a session.
        self.session = fingerprint(subscriber.session_key) if subscriber.session_key else ""
        self.has_ended = False
        self._unread = 0
        self._changed = False
        self._spread = 0
        self._has_update = asyncio.Event()

    def update(self, unread: int, *, changed: bool, spread: int) -> None:
        """Send the unread count. If `changed`, the page may refetch its content within `spread` milliseconds."""
        self._unread = unread
        self._changed = self._changed or changed
        self._spread = spread
        self._has_update.set()

    def end(self) -> None:
        self.has_ended = True
        self._has_update.set()

    async def write(self, send: Send) -> None:
        """Write events until the stream ends or the client stops reading."""
        await _write(send, f"retry: {random.randint(*RECONNECT_DELAY_MS)}\n\n".encode())  # noqa: S311 - no secret
        while not self.has_ended and time.time() < self.expires_at:
            try:
                async with asyncio.timeout(KEEPALIVE_INTERVAL_S):
                    await self._has_update.wait()
            except TimeoutError:
                await _write(send, b":\n\n")
            else:
                await self._write_update(send)

    async def _write_update(self, send: Send) -> None:
        self._has_update.clear()
        if not self.has_ended:
            event = _event(self.subscriber.schema, self.subscriber.language, self._unread, self._changed, self._spread)
            self._changed = False
            await _write(send, event)


async def _write(send: Send, text: bytes) -> None:
    async with asyncio.timeout(WRITE_TIMEOUT_S):
        await send({"type": "http.response.body", "body": text, "more_body": True})


@lru_cache(maxsize=4_096)
def _event(schema: str, language: str, unread: int, changed: bool, spread: int) -> bytes:
    """Return the encoded event. It is cached, because thousands of pages receive the same events."""
    with translation.override(language):
        data = {"schema": schema, **UnreadBadge(unread).as_json, "changed": changed, "spread": spread}
        return f"data: {json.dumps(data)}\n\n".encode()
