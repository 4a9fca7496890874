"""What stands beside Django's handler leaves everything else alone."""

import asyncio
from typing import Any

import pytest

from messages_extends.push.asgi import LiveUpdates

MANY = 20


class HostsOwnStream:
    """A host's application, all of whose answers are streams that never end."""

    def __init__(self) -> None:
        self.open = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        self.open += 1
        await asyncio.get_running_loop().create_future()


def ask(path: str, **scope: Any) -> Any:
    headers = [(b"accept", b"text/event-stream")]
    return {"type": "http", "method": "GET", "path": path, "headers": headers, "query_string": b"", **scope}


async def _forever() -> Any:
    return await asyncio.get_running_loop().create_future()


async def _open_many(path: str) -> int:
    host = HostsOwnStream()
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
def test_streams_of_a_hosts_own_are_passed_on_and_take_nobodys_place(committing: None, path: str) -> None:
    assert asyncio.run(_open_many(path)) == MANY


@pytest.mark.parametrize("kind", ["websocket", "lifespan"])
def test_other_protocols_are_the_applications(kind: str) -> None:
    asked: list[str] = []

    async def host(scope: Any, receive: Any, send: Any) -> None:
        asked.append(scope["type"])

    asyncio.run(LiveUpdates(host)({"type": kind}, _forever, _forever))
    assert asked == [kind]
