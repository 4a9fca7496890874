"""Streams beside Django's own handler, because a stream that is a view costs a thread, for as long as it is open.

Wrap the application: `application = LiveUpdates(get_asgi_application())`.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from contextvars import Context, copy_context
from typing import Final, cast

from messages_extends.conf import settings
from messages_extends.events.bus import Bus, current_bus
from messages_extends.live.hub import Hub
from messages_extends.live.queries import Subscriber
from messages_extends.live.streams import Event, Scope, Send, Stream

logger = logging.getLogger(__name__)

Receive = Callable[[], Awaitable[Event]]
Headers = list[tuple[bytes, bytes]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

# How the path ends that our URLs give it, wherever a host includes them.
PATH_SUFFIX: Final = "/stream/"
HANDSHAKE_KEY: Final = "messages_extends.live.handshake"
# The status of our view's answer.
STREAM_STATUS: Final = 204
# How many who open a stream are asked at once who they are; each takes a thread and a connection meanwhile.
MAX_CONCURRENT_HANDSHAKES: Final = 8
# Seconds that the host may take to say whether it still serves an organisation.
RECHECK_TIMEOUT_S: Final = 10
# Seconds after which one who has found it full may come back.
RETRY_AFTER: Final = b"30"
# What belonged to the empty answer, or is the stream's own.
NOT_FOR_STREAMS: Final = {b"content-type", b"content-length", b"cache-control", b"expires", b"x-accel-buffering"}
HEADERS: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store, no-transform"),
    # nginx would keep events back until its buffer is full.
    (b"x-accel-buffering", b"no"),
)


class StreamHandshake:
    """What our view notes on a request for a stream: whose it is. Without it, its answer is an ordinary one."""

    def __init__(self) -> None:
        self.is_reached = False
        self.subscriber: Subscriber | None = None
        self.headers: Headers = []
        # That of the answer: what logs it finds out there whose request it was.
        self.context = Context()

    def keep(self, start: Event) -> None:
        """Keep what the answer says beside its text: it may set cookies. A middleware may have refused after all."""
        if start["status"] != STREAM_STATUS:
            self.subscriber = None
        self.context = copy_context()
        self.headers = [each for each in cast(Headers, start["headers"]) if each[0].lower() not in NOT_FOR_STREAMS]


class LiveUpdates:
    """Serve streams of live updates, and have `application` answer everything else.

    Who opens a stream is asked by `application` itself: its middlewares and our view decide, as for any page, and
    have finished with the database before the first event is written.
    """

    def __init__(self, application: Application) -> None:
        self.application = application
        self._hub: Hub | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._handshake_slots = self._recheck_slots = asyncio.Semaphore(MAX_CONCURRENT_HANDSHAKES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        bus = current_bus() if _asks_for_stream(scope) else None
        if bus:
            await self._open(self._get_hub(bus), scope, DisconnectWatcher(receive), send)
        else:
            await self.application(scope, receive, send)

    async def close(self) -> None:
        """End all streams: for servers that say when they stop, and for tests."""
        if self._hub:
            await self._hub.close()
            self._hub = None

    async def _open(self, hub: Hub, scope: Scope, watcher: "DisconnectWatcher", send: Send) -> None:
        handshake = StreamHandshake()
        if hub.count < settings.max_streams:
            await self._ask(self._handshake_slots, scope, handshake, watcher, send)
            if handshake.subscriber is None:
                watcher.close()
                return
        # Others may have come meanwhile.
        if hub.count >= settings.max_streams:
            await _refuse(send, 503, b"This server holds as many streams as it may.\n")
        elif handshake.subscriber and hub.streams_of(handshake.subscriber) >= settings.max_streams_per_user:
            await _refuse(send, 429, b"You hold as many streams as one person may.\n")
            watcher.close()
        elif handshake.subscriber:
            stream = Stream(handshake.subscriber, scope)
            watcher.when_gone(stream.end)
            hub.enter(stream)
            await self._serve(hub, stream, handshake, watcher, send)

    async def _serve(
        self, hub: Hub, stream: Stream, handshake: StreamHandshake, watcher: "DisconnectWatcher", send: Send
    ) -> None:
        try:
            start = {"type": "http.response.start", "status": 200, "headers": [*handshake.headers, *HEADERS]}
            await asyncio.create_task(_awaited(send(start)), context=handshake.context)
            await stream.write(send)
            if not watcher.is_gone:
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        except (TimeoutError, OSError):
            logger.debug("A reader of live updates has gone, or does not read.")
        finally:
            hub.leave(stream)
            watcher.close()

    def _get_hub(self, bus: Bus) -> Hub:
        loop = asyncio.get_running_loop()
        if self._hub is None or self._loop is not loop:
            self._hub, self._loop = Hub(bus, self._is_still_served), loop
            # Of this loop, as the hub is; its own questions never wait behind those who want in.
            self._handshake_slots, self._recheck_slots = (
                asyncio.Semaphore(MAX_CONCURRENT_HANDSHAKES),
                asyncio.Semaphore(1),
            )
        return self._hub

    async def _is_still_served(self, scope: Scope) -> bool:
        """Ask again, as the request of `scope` did, and tell whether our view was reached, whatever it said."""
        handshake, watcher = StreamHandshake(), DisconnectWatcher(_once_and_no_more())

        async def ignore(_message: Event) -> None: ...

        try:
            async with asyncio.timeout(RECHECK_TIMEOUT_S):
                await self._ask(self._recheck_slots, scope, handshake, watcher, ignore)
        finally:
            watcher.close()
        return handshake.is_reached

    async def _ask(
        self,
        slots: asyncio.Semaphore,
        scope: Scope,
        handshake: StreamHandshake,
        watcher: "DisconnectWatcher",
        send: Send,
    ) -> None:
        """Have the application answer; its answer goes to `send` if it is not our view's."""
        await slots.acquire()
        with ExitStack() as slot:
            slot.callback(slots.release)

            async def pass_on(message: Event) -> None:
                # It may be a stream of the host's own, which never ends.
                slot.close()
                if message["type"] == "http.response.start":
                    handshake.keep(message)
                if handshake.subscriber is None:
                    await send(message)

            await self.application(scope | {HANDSHAKE_KEY: handshake}, watcher.receive, pass_on)


class DisconnectWatcher:
    """The receiving side of one request, of which never more than one call is open, and none is ever cancelled.

    Django cancels its own when it has answered; on some servers that loses what comes next.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._next: asyncio.Future[Event] | None = None
        self.is_gone = False

    async def receive(self) -> Event:
        message = await asyncio.shield(self._awaited())
        if message["type"] != "http.disconnect":
            self._next = None
        return message

    def when_gone(self, act: Callable[[], None]) -> None:
        """Call `act` when the browser has gone."""

        def note(heard: "asyncio.Future[Event]") -> None:
            self.is_gone = not heard.cancelled()
            act()

        self._awaited().add_done_callback(note)

    def close(self) -> None:
        if self._next is not None:
            self._next.cancel()

    def _awaited(self) -> "asyncio.Future[Event]":
        if self._next is None:
            self._next = asyncio.ensure_future(self._receive())
        return self._next


def _once_and_no_more() -> Receive:
    """Return what a browser sends that asks once and stays."""
    messages: list[Event] = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> Event:
        return messages.pop() if messages else await asyncio.get_running_loop().create_future()

    return receive


def _asks_for_stream(scope: Scope) -> bool:
    """Tell whether it is a request for a stream; one with a body, which nobody may take their time to send, is none."""
    if scope["type"] != "http" or scope["method"] != "GET" or not cast(str, scope["path"]).endswith(PATH_SUFFIX):
        return False
    headers = dict(cast(Headers, scope["headers"]))
    has_body = b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0"
    return b"text/event-stream" in headers.get(b"accept", b"") and not has_body


async def _awaited(answer: Awaitable[None]) -> None:
    await answer


async def _refuse(send: Send, status: int, text: bytes) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"retry-after", RETRY_AFTER)]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text})
