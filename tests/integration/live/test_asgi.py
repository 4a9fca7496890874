"""What stands beside Django's handler leaves everything else alone."""

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from messages_extends.live.asgi import LiveUpdates
from messages_extends.live.queries import Subscriber
from messages_extends.live.streams import HANDSHAKE_KEY

MANY = 20


class HostStream:
    """A host's application, all of whose answers are streams that never end."""

    def __init__(self) -> None:
        self.open = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        self.open += 1
        await asyncio.get_running_loop().create_future()


def ask(path: str, **scope: Any) -> Any:
    headers = [(b"accept", b"text/event-stream")]
    return {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": headers, **scope}


async def _forever() -> Any:
    return await asyncio.get_running_loop().create_future()


async def _open_many(path: str) -> int:
    host = HostStream()
    live = LiveUpdates(host)
    answers: list[Any] = []

    async def keep(message: Any) -> None:
        answers.append(message)

    streams = [asyncio.ensure_future(live(ask(path), _forever, keep)) for _ in range(MANY)]
    async with asyncio.timeout(30):
        while host.open < MANY:
            await asyncio.sleep(0.01)
    for stream in streams:
        stream.cancel()
    await asyncio.gather(*streams, return_exceptions=True)
    await live.close()
    return len(answers)


@pytest.mark.parametrize("path", ["/events/", "/their/own/stream/"])
def test_live_updates_pass_on_streams_of_host(committing: None, path: str) -> None:
    assert asyncio.run(_open_many(path)) == MANY


@pytest.mark.parametrize("kind", ["websocket", "lifespan"])
def test_live_updates_pass_on_other_protocols(kind: str) -> None:
    asked: list[str] = []

    async def host(scope: Any, receive: Any, send: Any) -> None:
        asked.append(scope["type"])

    asyncio.run(LiveUpdates(host)({"type": kind}, _forever, _forever))
    assert asked == [kind]


async def _status_when_the_view_is_overruled(status: int) -> list[int]:
    """Ask an application whose view gives a ticket, and one of whose middlewares then answers otherwise."""

    async def host(scope: Any, receive: Any, send: Any) -> None:
        scope[HANDSHAKE_KEY].subscriber = Subscriber("acme", "1", "en")
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    statuses: list[int] = []

    async def keep(message: Any) -> None:
        statuses.extend([message["status"]] if "status" in message else [])

    live = LiveUpdates(host)
    with suppress(TimeoutError):
        async with asyncio.timeout(1):
            await live(ask("/messages/stream/"), _forever, keep)
    await live.close()
    return statuses


@pytest.mark.parametrize(("status", "answered"), [(204, 200), (403, 403), (302, 302), (500, 500)])
def test_live_updates_answer_with_status_of_host_middleware(committing: None, status: int, answered: int) -> None:
    assert asyncio.run(_status_when_the_view_is_overruled(status)) == [answered]


def test_live_updates_work_on_consecutive_event_loops(committing: None) -> None:
    host = HostStream()
    live = LiveUpdates(host)

    async def fill_the_door() -> None:
        streams = [asyncio.ensure_future(live(ask("/x/stream/"), _forever, _swallow)) for _ in range(MANY)]
        await asyncio.sleep(0.1)
        for stream in streams:
            stream.cancel()
        await asyncio.gather(*streams, return_exceptions=True)
        await live.close()

    for _ in range(2):
        asyncio.run(fill_the_door())
    assert host.open == 2 * MANY


async def _swallow(_message: Any) -> None: ...


@pytest.mark.parametrize("header", [(b"content-length", b"5"), (b"transfer-encoding", b"chunked")])
def test_live_updates_do_not_treat_request_with_body_as_handshake(
    committing: None, header: tuple[bytes, bytes]
) -> None:
    """A request with a body is no request for a stream: it waits at Django's door and not at ours."""
    asked = []

    async def host(scope: Any, receive: Any, send: Any) -> None:
        asked.append(HANDSHAKE_KEY in scope)

    scope = ask("/messages/stream/", headers=[(b"accept", b"text/event-stream"), header])
    asyncio.run(LiveUpdates(host)(scope, _forever, _swallow))
    assert asked == [False]
