"""Serve the event streams outside of Django's handler, where each open stream would occupy a thread.

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
from messages_extends.live.streams import HANDSHAKE_KEY, Event, Scope, Send, Stream, stream_expiry
from messages_extends.live.tokens import read_token, token_header

logger = logging.getLogger(__name__)

Receive = Callable[[], Awaitable[Event]]
Headers = list[tuple[bytes, bytes]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

# The end of the stream's path, wherever a host project includes the URLs.
PATH_SUFFIX: Final = "/stream/"
# The status of the view's response.
STREAM_STATUS: Final = 204
# The number of concurrent requests to the application, each of which uses a thread and a connection.
MAX_CONCURRENT_HANDSHAKES: Final = 8
# The time in which the application must answer whether it still serves a tenant.
RECHECK_TIMEOUT_S: Final = 10
# The value of the header Retry-After, in seconds.
RETRY_AFTER: Final = b"30"
# Headers of the view's empty response that do not apply to the stream.
EXCLUDED_HEADERS: Final = {b"content-type", b"content-length", b"cache-control", b"expires", b"x-accel-buffering"}
HEADERS: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store, no-transform"),
    # Without this, nginx buffers the events.
    (b"x-accel-buffering", b"no"),
)


class StreamHandshake:
    """The result of asking the application about a stream request; the view sets the subscriber."""

    def __init__(self) -> None:
        self.is_reached = False
        self.subscriber: Subscriber | None = None
        self.headers: Headers = []
        # When the stream must end.
        self.expires_at = stream_expiry()
        # The context of the response, from which loggers learn about the request.
        self.context = Context()

    def read_response(self, start: Event) -> None:
        """Keep the response's headers, such as cookies. Drop the subscriber if a middleware refused the request."""
        if start["status"] != STREAM_STATUS:
            self.subscriber = None
        self.context = copy_context()
        self.headers = [each for each in cast(Headers, start["headers"]) if each[0].lower() not in EXCLUDED_HEADERS]


class LiveUpdates:
    """Serve the streams of live updates, and pass all other requests to `application`.

    The application's middleware and the view decide about a stream request, as for any page. They have released the
    database before the first event is written.
    """

    def __init__(self, application: Application) -> None:
        self.application = application
        self._hub: Hub | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._handshake_slots = self._recheck_slots = asyncio.Semaphore(MAX_CONCURRENT_HANDSHAKES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        bus = current_bus() if _is_stream_request(scope) else None
        if bus:
            await self._open(self._get_hub(bus), scope, DisconnectWatcher(receive), send)
        else:
            await self.application(scope, receive, send)

    async def close(self) -> None:
        """End all streams. It is called by servers with a shutdown hook and by tests."""
        if self._hub:
            await self._hub.close()
            self._hub = None

    async def _open(self, hub: Hub, scope: Scope, watcher: "DisconnectWatcher", send: Send) -> None:
        handshake = StreamHandshake()
        if hub.count < settings.max_streams:
            await self._authenticate(hub, scope, handshake, watcher, send)
            if handshake.subscriber is None:
                watcher.close()
                return
        # Other streams may have been opened meanwhile.
        if hub.count >= settings.max_streams:
            await _refuse(send, 503, b"This process has reached its maximum number of streams.\n")
        elif handshake.subscriber and hub.streams_of(handshake.subscriber) >= settings.max_streams_per_user:
            await _refuse(send, 429, b"You have reached the maximum number of streams per user.\n")
            watcher.close()
        elif handshake.subscriber:
            stream = Stream(handshake.subscriber, scope, handshake.expires_at)
            watcher.on_disconnect(stream.end)
            hub.add(stream)
            await self._serve(hub, stream, handshake, watcher, send)

    async def _authenticate(
        self, hub: Hub, scope: Scope, handshake: StreamHandshake, watcher: "DisconnectWatcher", send: Send
    ) -> None:
        """Set the subscriber by the request's token, or ask the application, which may respond itself."""
        if token := read_token(scope):
            subscriber, expires_at = token
            # Wait for earlier requests: one of them may have shown that the application serves the tenant.
            await self._handshake_slots.acquire()
            self._handshake_slots.release()
            is_honoured = hub.honours_tokens(subscriber.schema)
            if is_honoured and await hub.is_valid(subscriber):
                # The first message is the request, the second one that the browser disconnects.
                await watcher.receive()
                handshake.subscriber, handshake.expires_at = subscriber, expires_at
                return
        await self._request(self._handshake_slots, scope, handshake, watcher, send)
        if handshake.subscriber:
            hub.note_served(handshake.subscriber.schema)
            handshake.headers += token_header(scope, handshake.subscriber, handshake.expires_at)

    async def _serve(
        self, hub: Hub, stream: Stream, handshake: StreamHandshake, watcher: "DisconnectWatcher", send: Send
    ) -> None:
        try:
            start = {"type": "http.response.start", "status": 200, "headers": [*handshake.headers, *HEADERS]}
            await asyncio.create_task(_await(send(start)), context=handshake.context)
            # Release the memory, because a stream lasts long.
            handshake.headers, handshake.context = [], Context()
            del start
            await stream.write(send)
            if not watcher.is_gone:
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        except (TimeoutError, OSError):
            logger.debug("A client of live updates has disconnected or does not read.")
        finally:
            hub.remove(stream)
            watcher.close()

    def _get_hub(self, bus: Bus) -> Hub:
        loop = asyncio.get_running_loop()
        if self._hub is None or self._loop is not loop:
            self._hub, self._loop = Hub(bus, self._is_still_served), loop
            # Semaphores belong to an event loop, like the hub. Rechecks have their own, to not wait for handshakes.
            self._handshake_slots, self._recheck_slots = (
                asyncio.Semaphore(MAX_CONCURRENT_HANDSHAKES),
                asyncio.Semaphore(1),
            )
        return self._hub

    async def _is_still_served(self, scope: Scope) -> bool:
        """Repeat the request of `scope` and tell whether it reaches the view, whatever the response."""
        handshake = StreamHandshake()
        # Without a body, from a client that stays connected.
        messages: list[Event] = [{"type": "http.request", "body": b"", "more_body": False}]

        async def receive() -> Event:
            return messages.pop() if messages else await asyncio.get_running_loop().create_future()

        async def ignore(_message: Event) -> None: ...

        watcher = DisconnectWatcher(receive)
        try:
            async with asyncio.timeout(RECHECK_TIMEOUT_S):
                await self._request(self._recheck_slots, scope, handshake, watcher, ignore)
        finally:
            watcher.close()
        return handshake.is_reached

    async def _request(
        self,
        slots: asyncio.Semaphore,
        scope: Scope,
        handshake: StreamHandshake,
        watcher: "DisconnectWatcher",
        send: Send,
    ) -> None:
        """Send the request to the application, and its response to `send` unless it is the view's."""
        await slots.acquire()
        with ExitStack() as slot:
            slot.callback(slots.release)

            async def pass_on(message: Event) -> None:
                # The response may be a stream of the host project, which never ends.
                slot.close()
                if message["type"] == "http.response.start":
                    handshake.read_response(message)
                if handshake.subscriber is None:
                    await send(message)

            await self.application(scope | {HANDSHAKE_KEY: handshake}, watcher.receive, pass_on)


class DisconnectWatcher:
    """Wrap the `receive` callable of a request so that at most one call is pending and none is cancelled.

    Django cancels its call when it has responded, which loses the next message on some servers.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._next: asyncio.Future[Event] | None = None
        self.is_gone = False

    async def receive(self) -> Event:
        message = await asyncio.shield(self._pending())
        if message["type"] != "http.disconnect":
            self._next = None
        return message

    def on_disconnect(self, act: Callable[[], None]) -> None:
        """Call `act` when the browser has disconnected."""

        def note(received: "asyncio.Future[Event]") -> None:
            self.is_gone = not received.cancelled()
            act()

        self._pending().add_done_callback(note)

    def close(self) -> None:
        if self._next is not None:
            self._next.cancel()

    def _pending(self) -> "asyncio.Future[Event]":
        if self._next is None:
            self._next = asyncio.ensure_future(self._receive())
        return self._next


def _is_stream_request(scope: Scope) -> bool:
    """Tell whether `scope` is a request for a stream. One with a body is not, because it could be sent slowly."""
    if scope["type"] != "http" or scope["method"] != "GET" or not cast(str, scope["path"]).endswith(PATH_SUFFIX):
        return False
    headers = dict(cast(Headers, scope["headers"]))
    has_body = b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0"
    return b"text/event-stream" in headers.get(b"accept", b"") and not has_body


async def _await(awaitable: Awaitable[None]) -> None:
    # create_task accepts only coroutines.
    await awaitable


async def _refuse(send: Send, status: int, text: bytes) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"retry-after", RETRY_AFTER)]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text})
