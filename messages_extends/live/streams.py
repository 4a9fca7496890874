"""One open page: what it has still to be told, and how that is written."""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from typing import Final

from django.utils import translation

from messages_extends.events.changes import fingerprint
from messages_extends.inbox.badge import UnreadBadge
from messages_extends.live.queries import Subscriber

# Seconds of silence, after which a comment keeps proxies from closing the stream.
KEEPALIVE_INTERVAL_S: Final = 20
# Seconds that a reader may take for one event; one who takes longer is gone.
WRITE_TIMEOUT_S: Final = 30
# Seconds, about which a stream ends, so that its reader is asked for again who they are.
MAX_STREAM_AGE_S: Final = 3_600
# Milliseconds after which a browser comes back, at random, because thousands may have been cut off together.
RECONNECT_DELAY_MS: Final = (2_000, 8_000)

# ASGI's: a request, what is sent and received about it.
Scope = dict[str, object]
Event = Mapping[str, object]
Send = Callable[[Event], Awaitable[None]]


class Stream:
    """What one page has still to be told: only how things stand now, so a slow reader costs no more than another."""

    __slots__ = ("_changed", "_news", "_spread", "_unread", "has_ended", "scope", "session", "subscriber")

    def __init__(self, subscriber: Subscriber, scope: Scope) -> None:
        """`scope` is the request that has opened it, to ask again whether it would be let through."""
        self.subscriber = subscriber
        self.scope = scope
        # What stands for its session on the bus; empty without one.
        self.session = fingerprint(subscriber.session_key) if subscriber.session_key else ""
        self.has_ended = False
        self._unread = 0
        self._changed = False
        self._spread = 0
        self._news = asyncio.Event()

    def tell(self, unread: int, *, changed: bool, spread: int) -> None:
        """Have it say how many are unread; `changed`, that the page may have to be fetched within `spread` ms."""
        self._unread = unread
        self._changed = self._changed or changed
        self._spread = spread
        self._news.set()

    def end(self) -> None:
        self.has_ended = True
        self._news.set()

    async def write(self, send: Send) -> None:
        """Write until it is ended, or its reader does not read any more."""
        await _write(send, f"retry: {random.randint(*RECONNECT_DELAY_MS)}\n\n".encode())  # noqa: S311 - no secret
        loop = asyncio.get_running_loop()
        until = loop.time() + MAX_STREAM_AGE_S * random.uniform(0.8, 1.2)  # noqa: S311
        while not self.has_ended and loop.time() < until:
            try:
                async with asyncio.timeout(KEEPALIVE_INTERVAL_S):
                    await self._news.wait()
            except TimeoutError:
                await _write(send, b":\n\n")
            else:
                await self._write_news(send)

    async def _write_news(self, send: Send) -> None:
        self._news.clear()
        if not self.has_ended:
            event = _event(self.subscriber.schema, self.subscriber.language, self._unread, self._changed, self._spread)
            self._changed = False
            await _write(send, event)


async def _write(send: Send, text: bytes) -> None:
    async with asyncio.timeout(WRITE_TIMEOUT_S):
        await send({"type": "http.response.body", "body": text, "more_body": True})


@lru_cache(maxsize=4_096)
def _event(schema: str, language: str, unread: int, changed: bool, spread: int) -> bytes:
    """Return an event as it goes over the wire: thousands of pages are told the same few."""
    with translation.override(language):
        said = {"schema": schema, **UnreadBadge(unread).as_json, "changed": changed, "spread": spread}
        return f"data: {json.dumps(said)}\n\n".encode()
