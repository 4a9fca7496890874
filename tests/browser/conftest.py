"""A real browser at a real server, on the test database.

Chromium is looked for where systems put it, or named by CHROMIUM. Without one these tests are skipped, and with
REQUIRE_BROWSER set they fail instead.
"""

import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import connection, connections
from django.test import Client
from django_tenants.utils import schema_context
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from config.running.folders import PROJECT
from messages_extends.api import send
from tenants.models import Tenant
from tenants.people.models import User
from tests.processes import eventually
from tests.servers import at_the_database, free_port

# Other processes of the run may have the cores; no time is asserted here.
expect.set_options(timeout=20_000)
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
APPLICATION = f"browser-tests-{os.getpid()}"
REMEDY = "No Chromium was found: install it (Debian: apt install chromium), or name it in CHROMIUM."


@pytest.fixture(autouse=True)
def allow_queries_beside_the_browsers_loop(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    # Playwright's loop runs in this thread, and Django takes that for asynchronous code, with connections of its own.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    yield
    connections.close_all()


@pytest.fixture
def database(allow_queries_beside_the_browsers_loop: None, committing: None) -> None:
    """Have tests commit: the server is another process."""


@pytest.fixture(scope="session")
def chromium() -> str:
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        if os.environ.get("REQUIRE_BROWSER"):
            pytest.fail(REMEDY)
        pytest.skip(REMEDY)
    return path


# Not for the whole run: while its loop runs, no other test could query.
@pytest.fixture(scope="package")
def browser(chromium: str, port: int) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def port(django_db_setup: None, chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Serve the site on the test database, by the server of production in a process of its own."""
    port = free_port()
    with serving(port, tmp_path_factory.mktemp("server") / "log"):
        yield port
    # Until then the test database cannot be dropped.
    assert eventually(lambda: not _sessions())


@contextmanager
def serving(port: int, log: Path, *, wsgi: bool = False, **env: str) -> Iterator[None]:
    """Serve the site at this port for as long as the block runs; `env` are environment variables of its own."""
    # Open streams would hold a stop up for ever.
    by_asgi = [
        "uvicorn",
        "config.asgi:application",
        "--lifespan=off",
        "--timeout-graceful-shutdown=1",
        f"--port={port}",
    ]
    by_wsgi = ["django", "runserver", "--noreload", f"127.0.0.1:{port}"]
    command = [sys.executable, "-m", *(by_wsgi if wsgi else by_asgi)]
    with (
        log.open("ab") as output,
        subprocess.Popen(command, cwd=PROJECT, env=_environment() | env, stdout=output, stderr=output) as server,
    ):
        try:
            assert eventually(lambda: _answers(port)), log.read_text()
            yield
        finally:
            server.terminate()


def _environment() -> dict[str, str]:
    server, _slash, _name = os.environ["DATABASE_URL"].rpartition("/")
    database = connection.settings_dict["NAME"]
    return os.environ | {
        "DATABASE_URL": f"{server}/{database}?application_name={APPLICATION}",
        "DATABASE_POOL_MAX": "8",
        "SITE_SCHEME": "http",
        "DJANGO_SETTINGS_MODULE": "config.settings",
    }


def _sessions() -> int:
    with at_the_database() as session:
        found = session.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = %s", [APPLICATION])
        return int((found.fetchone() or [0])[0])


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@dataclass
class Visitor:
    """Somebody at an organisation, with a browser of their own or one that is shared."""

    page: Page
    origin: str
    problems: list[str]

    def go(self, path: str) -> Page:
        self.page.goto(f"{self.origin}{path}", wait_until="load")
        return self.page

    def require_accessible(self) -> None:
        """Fail if axe finds anything, in light or in dark."""
        schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
        for scheme in schemes:
            self.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            found = Axe().run(self.page)
            assert found.violations_count == 0, f"{scheme}: {found.generate_report()}"


@pytest.fixture
def visit(browser: Browser, port: int) -> Iterator[Callable[..., Visitor]]:
    """Open a page of an organisation, logged in as `user`; with `beside`, in the browser of another visitor.

    At the end no page may have complained in its console, broken its security policy or failed to load something.
    """
    contexts: list[BrowserContext] = []
    visitors: list[Visitor] = []

    def open_page(
        tenant: Any,
        user: AbstractBaseUser | None = None,
        *,
        beside: Visitor | None = None,
        server: int = port,
        **options: Any,
    ) -> Visitor:
        if beside is None:
            contexts.append(browser.new_context(**options))
        context = contexts[-1] if beside is None else beside.page.context
        origin = f"http://{tenant.schema_name}.localhost:{server}"
        if user is not None:
            context.add_cookies(
                [{"name": settings.SESSION_COOKIE_NAME, "value": _session(tenant, user), "url": origin}]
            )
        page = context.new_page()
        page.set_default_timeout(15_000)
        visitor = Visitor(page, origin, [])
        page.on("console", lambda message: visitor.problems.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: visitor.problems.append(str(error)))
        visitors.append(visitor)
        return visitor

    yield open_page
    for context in contexts:
        context.close()
    assert [problem for visitor in visitors for problem in visitor.problems] == []


def _session(tenant: Any, user: AbstractBaseUser) -> str:
    client = Client(headers={"host": f"{tenant.schema_name}.localhost"})
    with schema_context(tenant.schema_name):
        client.force_login(user, "django.contrib.auth.backends.ModelBackend")
    return client.cookies[settings.SESSION_COOKIE_NAME].value


@pytest.fixture
def at_acme(acme: Tenant, alice: User, visit: Callable[..., Visitor]) -> Visitor:
    """Alice, at acme."""
    return visit(acme, alice)


def tell(user: AbstractBaseUser, *texts: str, **options: Any) -> None:
    """Send messages to somebody of acme."""
    with schema_context("acme"):
        for text in texts:
            send(user, text, **options)
