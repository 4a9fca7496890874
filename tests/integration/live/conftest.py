"""What the tests of live updates share: pages that are open, as a browser holds them."""

import http.client
import json
import queue
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser

from messages_extends.links import reverse_page
from tests.factories import BrowserOf
from tests.servers import Site, served

TIMEOUT_S = 30
# So long nothing is said, where nothing should be.
QUIET_S = 1.5


class OpenPage:
    """A stream that is read as a browser reads it, by a thread of its own."""

    def __init__(self, site: Site, organisation: str, cookies: str, path: str, **headers: str) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=TIMEOUT_S)
        wanted = {"Host": f"{organisation}.localhost", "Cookie": cookies, "Accept": "text/event-stream", **headers}
        self.connection.request("GET", path, headers=wanted)
        self.socket = self.connection.sock
        self.answer = self.connection.getresponse()
        self.status = self.answer.status
        self.lines: list[str] = []
        self.events: queue.Queue[dict[str, Any] | None] = queue.Queue()
        if self.status == 200:
            threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        try:
            while line := self.answer.readline():
                self.lines.append(line.decode().rstrip("\n"))
                if line.startswith(b"data: "):
                    self.events.put(json.loads(line[6:]))
        except (OSError, http.client.HTTPException, AttributeError, ValueError):
            pass
        self.events.put(None)

    def next(self, timeout: float = TIMEOUT_S) -> dict[str, Any] | None:
        """Wait for what it is told next; None when the stream has ended."""
        return self.events.get(timeout=timeout)

    def unread(self) -> int:
        event = self.next()
        assert event is not None, "the stream has ended"
        return int(event["unread"])

    def require_silence(self) -> None:
        with pytest.raises(queue.Empty):
            raise AssertionError(f"told {self.events.get(timeout=QUIET_S)}")

    def close(self) -> None:
        # First, or whoever reads keeps it open until the next heartbeat.
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.answer.close()
        self.connection.close()


@pytest.fixture
def database(committing: None) -> None:
    """Have tests commit: the server is another process."""


@pytest.fixture(scope="package")
def site(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Serve the site with the bus of PostgreSQL."""
    with served(tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.fixture
def open_page(browser_of: BrowserOf) -> Iterator[Callable[..., OpenPage]]:
    """Open a page of an organisation, logged in as `user`; it is closed at the end."""
    pages: list[OpenPage] = []

    def open_page(site: Site, tenant: Any, user: AbstractBaseUser | None = None, **options: Any) -> OpenPage:
        cookies = options.pop("cookies", None)
        if cookies is None:
            browser = browser_of(tenant, user)
            cookies = "; ".join(f"{name}={morsel.value}" for name, morsel in browser.cookies.items())
        page = OpenPage(site, tenant.schema_name, cookies, reverse_page("message_stream"), **options)
        pages.append(page)
        return page

    yield open_page
    for page in pages:
        page.close()


@pytest.fixture
def session_cookie(browser_of: BrowserOf) -> Callable[..., str]:
    def make(tenant: Any, user: AbstractBaseUser) -> str:
        return f"{settings.SESSION_COOKIE_NAME}={browser_of(tenant, user).cookies[settings.SESSION_COOKIE_NAME].value}"

    return make
