"""Many browsers with one open page each: the least that reads a stream of events."""

import asyncio
import json
import re
import time
from collections.abc import Sequence

# One address can only have so many connections to one port.
ADDRESSES = 20
SET_COOKIE = re.compile(rb"(?im)^set-cookie: ([^=]+)=([^;\r]+)")
# How many connect at the same moment.
AT_ONCE = 64


class Page(asyncio.Protocol):
    """An open page; `heard` is what it was told, and when. What the server sets is kept in `cookies`."""

    def __init__(self, cookies: dict[str, str]) -> None:
        self.cookies = cookies
        self.opened: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.heard: list[tuple[float, int]] = []
        self.transport: asyncio.Transport | None = None
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        request = (
            "GET /messages/stream/ HTTP/1.1\r\nHost: acme.localhost\r\nAccept: text/event-stream\r\n"
            f"Cookie: {'; '.join(map('='.join, self.cookies.items()))}\r\n\r\n"
        )
        transport.write(request.encode())

    def data_received(self, data: bytes) -> None:
        at = time.perf_counter()
        *events, self._rest = (self._rest + data).split(b"\n\n")
        for event in events:
            for name, value in SET_COOKIE.findall(event):
                self.cookies[name.decode()] = value.decode()
            found = event.find(b"data: ")
            if found >= 0:
                self.heard.append((at, json.loads(event[found + 6 :].splitlines()[0])["unread"]))
                self._open(is_open=True)

    def connection_lost(self, _error: Exception | None) -> None:
        self._open(is_open=False)
        self.transport = None

    def _open(self, *, is_open: bool) -> None:
        if not self.opened.done():
            self.opened.set_result(is_open)


class Browsers:
    def __init__(self, port: int, sessions: Sequence[str]) -> None:
        self.port = port
        self.cookies = [{"sessionid": session} for session in sessions]
        self.pages: list[Page] = []

    async def open(self) -> float:
        """Open a page for each session; return how long that took until the last had been told how things stand."""
        start = time.perf_counter()
        places = asyncio.Semaphore(AT_ONCE)
        self.pages = list(
            await asyncio.gather(*(self._open(places, number, cookies) for number, cookies in enumerate(self.cookies)))
        )
        return time.perf_counter() - start

    async def _open(self, places: asyncio.Semaphore, number: int, cookies: dict[str, str]) -> Page:
        async with places:
            address = (f"127.0.0.{2 + number % ADDRESSES}", 0)
            while True:
                try:
                    _transport, page = await asyncio.get_running_loop().create_connection(
                        lambda: Page(cookies), "127.0.0.1", self.port, local_addr=address
                    )
                except OSError:
                    await asyncio.sleep(0.05)
                    continue
                if await page.opened:
                    return page
                await asyncio.sleep(0.05)

    @property
    def open_now(self) -> int:
        return sum(page.transport is not None for page in self.pages)

    def forget(self) -> None:
        for page in self.pages:
            page.heard.clear()

    async def heard(self, pages: Sequence[Page], since: float, patience: float = 30) -> list[float]:
        """Wait until each of `pages` was told something; return after how many seconds they were, the first first."""
        until = time.perf_counter() + patience
        while not all(page.heard for page in pages) and time.perf_counter() < until:
            await asyncio.sleep(0.002)
        return sorted(page.heard[0][0] - since for page in pages if page.heard)

    async def close(self) -> None:
        for page in self.pages:
            if page.transport is not None:
                page.transport.abort()
        await asyncio.sleep(2)
