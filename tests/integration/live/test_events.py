"""What one stream says."""

import asyncio
import json
from typing import Any

import pytest

from messages_extends.live.queries import Subscriber
from messages_extends.live.streams import Stream, stream_expiry


def events_of(stream: Stream) -> list[dict[str, Any]]:
    """Return what a stream writes until its first event has been written."""
    events: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        text = message["body"].decode()
        if text.startswith("data: "):
            events.append(json.loads(text.removeprefix("data: ")))
            stream.end()

    async def write() -> None:
        async with asyncio.timeout(10):
            await stream.write(send)

    asyncio.run(write())
    return events


def test_stream_event_after_change_has_latest_unread_count() -> None:
    stream = Stream(Subscriber("acme", "1", "en"), {}, stream_expiry())
    stream.update(1, changed=True, spread=0)
    stream.update(2, changed=False, spread=0)
    [event] = events_of(stream)
    assert (event["unread"], event["changed"]) == (2, True)


@pytest.mark.parametrize(("language", "name"), [("en", "Messages, 1 unread"), ("de", "Nachrichten, 1 ungelesen")])
def test_stream_event_is_in_language_of_subscriber(language: str, name: str) -> None:
    stream = Stream(Subscriber("acme", "1", language), {}, stream_expiry())
    stream.update(1, changed=False, spread=0)
    [event] = events_of(stream)
    assert event["name"] == name
