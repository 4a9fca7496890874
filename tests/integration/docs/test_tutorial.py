"""The tutorial: its blocks of code in order, and after each section what the product then does in a real browser.

Only what a reader chooses is chosen here: where the package is (a wheel of this tree), the server, the name of the
database, and the port. What would be fetched from an index is lent from the environment of the tests.
"""

import os
import re
import subprocess
import sys
import sysconfig
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import django
import psycopg
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from config.running.binaries import find_binaries
from config.running.postgres import free_port
from tests.browser.conftest import chromium
from tests.documentation import DOCS
from tests.integration.set_up.test_packaging import wheel
from tests.processes import PLAIN, eventually
from tests.upgrade.hosts import connect, server

pytestmark = pytest.mark.longrun

__all__ = ["chromium", "wheel"]

PAGE = DOCS / "tutorial" / "first-broadcast.md"
# What the page consists of: sections, and blocks of code in them.
PART = re.compile(r"^```(?P<language>\w+)\n(?P<code>.*?)^```$|^## (?P<section>[^\n]+)$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"\A(?:# |<!-- )(?P<end>at the end of )?(?P<path>[\w/.]+)(?: -->)?\n")
PASSWORD = "open sesame"
# Each release of Django has its own words before these.
STARTED = "development server at http"


@dataclass
class Terminal:
    """The reader's terminals: one for commands, and one in which the site keeps running."""

    home: Path
    env: dict[str, str]
    port: int
    folder: Path = field(init=False)
    output: str = ""
    site: subprocess.Popen[bytes] | None = None
    written_at: int = 0

    def __post_init__(self) -> None:
        self.folder = self.home

    @property
    def log(self) -> Path:
        return self.home / "site.log"

    def run(self, commands: str) -> None:
        if commands.startswith("export "):
            return  # the reader's own choices, which are in the environment
        if "runserver" in commands:
            self.start(commands.replace("runserver", f"runserver {self.port}"))
            return
        # As in one terminal, what one block has entered and activated holds for the next.
        remember = f"\npwd > {self.home}/folder"
        activate = ". .venv/bin/activate\n" if (self.folder / ".venv").exists() else ""
        script = f"set -e\n{activate}{commands}{remember}"
        done = subprocess.run(
            ["bash", "-c", script], cwd=self.folder, env=self.env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{commands}\n{done.stdout}\n{done.stderr}"
        self.output = done.stdout + done.stderr
        self.folder = Path((self.home / "folder").read_text().strip())

    def start(self, commands: str) -> None:
        with self.log.open("wb") as log:
            self.site = subprocess.Popen(
                ["bash", "-c", commands], cwd=self.folder, env=self.env, stdout=log, stderr=log, start_new_session=True
            )
        self.wait_for_restart()

    def write(self, code: str) -> None:
        found = FILE.match(code)
        assert found, f"this block does not say which file it is: {code[:60]!r}"
        path = self.folder / found["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        if self.site and found["path"].startswith("harbour/"):
            self.written_at = self.log.stat().st_size
        path.write_text(path.read_text() + code if found["end"] else code)

    def wait_for_restart(self) -> None:
        """Wait until the site runs what was written last, as a reader does who sees it say so."""

        def has_started() -> bool:
            return STARTED in self.log.read_bytes()[self.written_at :].decode(errors="replace") and self._answers()

        assert eventually(has_started), self.log.read_text()

    def _answers(self) -> bool:
        try:
            urlopen(f"http://127.0.0.1:{self.port}/", timeout=30).close()
        except URLError as error:
            return hasattr(error, "code")
        return True

    def stop(self) -> None:
        if self.site:
            os.killpg(self.site.pid, 15)
            self.site.wait()


class Visitors:
    """The users of the product, each with a browser of their own."""

    def __init__(self, browser: Browser, port: int) -> None:
        self._browser = browser
        self._port = port
        self._contexts: dict[str, BrowserContext] = {}

    def open(self, name: str, organisation: str, path: str = "/") -> Page:
        """Open a page as this user, who logs in first if need be."""
        if name not in self._contexts:
            self._contexts[name] = self._browser.new_context()
        page = self._contexts[name].new_page()
        page.set_default_timeout(30_000)
        page.goto(f"http://{organisation}.localhost:{self._port}{path}")
        if "/login/" in page.url:
            page.get_by_label("Username").fill(name)
            page.get_by_label("Password").fill(PASSWORD)
            page.get_by_role("button", name="Log in").click()
            page.wait_for_url(lambda url: "/login/" not in url)
        return page


def require_text(page: Page, *texts: str) -> None:
    for text in texts:
        expect(page.get_by_text(text).filter(visible=True).first).to_be_visible(timeout=30_000)


def require_no_text(page: Page, text: str) -> None:
    expect(page.locator("body")).to_be_visible()
    expect(page.get_by_text(text).filter(visible=True)).to_have_count(0)


def press(page: Page, name: str) -> None:
    button, link = (page.get_by_role(role, name=name, exact=True) for role in ("button", "link"))
    button.or_(link).first.click()
    page.wait_for_load_state("networkidle")


def write(page: Page, label: str, text: str) -> None:
    box = page.get_by_label(label, exact=True).and_(page.locator("input, textarea"))
    box.clear()
    box.press_sequentially(text)  # a search reacts to keys


ORDERED = "Your order has been placed."
REMINDER = "Please pay within 14 days."
ANNOUNCED = "The office closes at four on Friday."


def check_ordinary_message(visitors: Visitors) -> None:
    page = visitors.open("alice", "acme")
    require_text(page, "Hello alice!")
    press(page, "Order")
    require_text(page, ORDERED)
    require_no_text(visitors.open("alice", "acme"), ORDERED)


def check_persistent_message(visitors: Visitors) -> None:
    page = visitors.open("alice", "acme")
    press(page, "Order")
    require_text(page, ORDERED, REMINDER)
    page = visitors.open("alice", "acme")
    require_text(page, REMINDER)
    require_no_text(page, ORDERED)
    press(page, "Order")
    inbox = visitors.open("alice", "acme", "/messages/").locator("main, body").last
    # Its key is not sent again while it is unread.
    expect(inbox.get_by_text(REMINDER, exact=True).filter(visible=True)).to_have_count(1)
    press(visitors.open("alice", "acme"), f"Close: {REMINDER}")
    require_no_text(visitors.open("alice", "acme"), REMINDER)


def check_message_to_colleague(visitors: Visitors) -> None:
    page = visitors.open("alice", "acme", "/messages/compose/")
    write(page, "People", "bob")
    page.get_by_role("option", name="bob").click()
    write(page, "Text", "Lunch at noon?")
    press(page, "Continue")
    press(page, "Send to 1 person")
    require_text(visitors.open("bob", "acme"), "Lunch at noon?")
    page = visitors.open("carol", "globex")
    require_text(page, "Hello carol!")
    require_no_text(page, "Lunch at noon?")


def check_announcement(visitors: Visitors) -> None:
    require_text(visitors.open("alice", "acme"), ANNOUNCED)
    require_text(visitors.open("bob", "acme"), ANNOUNCED)
    require_no_text(visitors.open("carol", "globex"), ANNOUNCED)


def check_broadcast(visitors: Visitors) -> None:
    page = visitors.open("olga", "platform", "/messages/broadcasts/new/")
    page.get_by_role("radio", name="All current and future organisations").check()
    write(page, "Text", "Maintenance on Sunday at five.")
    press(page, "Continue")
    require_text(page, "Publish this broadcast?")
    press(page, "Publish it")
    require_text(visitors.open("bob", "acme"), "Maintenance on Sunday at five.")
    require_text(visitors.open("carol", "globex"), "Maintenance on Sunday at five.")
    page = visitors.open("olga", "platform", "/messages/broadcasts/")
    press(page, "Maintenance on Sunday at five.")
    press(page, "Change")
    write(page, "Text", "Maintenance on Sunday at six.")
    press(page, "Save")
    page = visitors.open("carol", "globex")
    require_text(page, "Maintenance on Sunday at six.")
    require_no_text(page, "Maintenance on Sunday at five.")
    require_text(visitors.open("alice", "acme", "/messages/broadcasts/"), "Page not found")


# What the product does once the blocks of a section have been run.
CHECKS: dict[str, Callable[[Visitors], None]] = {
    "An empty product": check_ordinary_message,
    "Messages that stay": check_persistent_message,
    "From one person to another": check_message_to_colleague,
    "To everybody in an organisation": check_announcement,
    "To every organisation": check_broadcast,
}


@pytest.fixture
def terminal(wheel: Path, tmp_path: Path) -> Iterator[Terminal]:
    name = f"tutorial_{uuid.uuid4().hex[:12]}"
    lent = tmp_path / "lent"
    _lend(lent)
    env = {key: value for key, value in PLAIN.items() if key not in {"VIRTUAL_ENV", "PYTHONPATH"}} | {
        **server(),
        "PATH": f"{lent}:{find_binaries().folder}:{os.environ['PATH']}:{Path(sys.executable).parent}",
        "HOME": str(tmp_path),
        "PGDATABASE": name,
        "MESSAGES_EXTENDS": str(wheel),
        "PIP_NO_INDEX": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PYTHONUNBUFFERED": "1",
    }
    terminal = Terminal(tmp_path, env, free_port())
    try:
        yield terminal
    finally:
        terminal.stop()
        with connect("postgres") as connection:
            for made in (name, f"test_{name}"):
                connection.execute(psycopg.sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(_identifier(made)))


def _identifier(name: str) -> psycopg.sql.Identifier:
    return psycopg.sql.Identifier(name)


def _lend(folder: Path) -> None:
    """Make a `python3` whose virtual environments find the packages of this one, and a pip that knows them."""
    folder.mkdir()
    paths = f"{Path(django.__file__).parent.parent}\n{_bundled_pip()}\n"
    (folder / "lent.pth").write_text(paths)
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    script = folder / "python3"
    script.write_text(
        f'#!/bin/sh\n[ "$*" = "-m venv .venv" ] || exit 64\n"{sys.executable}" -m venv --without-pip .venv &&\n'
        f'cp "{folder}/lent.pth" .venv/lib/{version}/site-packages/\n'
    )
    script.chmod(0o755)


def _bundled_pip() -> Path:
    """Return the wheel that `python3 -m venv` would install; it can be run as it is."""
    folders = [sysconfig.get_config_var("WHEEL_PKG_DIR") or "", Path(os.__file__).parent / "ensurepip" / "_bundled"]
    wheels = [wheel for folder in folders if folder for wheel in Path(folder).glob("pip-*.whl")]
    if not wheels:
        pytest.skip("This Python brings no pip along (Debian: apt install python3-venv).")
    return wheels[0]


def test_tutorial_steps_lead_to_working_product(terminal: Terminal, chromium: str) -> None:
    checks = dict(CHECKS)
    section = ""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        visitors = Visitors(browser, terminal.port)
        for part in PART.finditer(PAGE.read_text("utf-8")):
            if part["section"]:
                if section in checks:
                    terminal.wait_for_restart()
                    checks.pop(section)(visitors)
                section = part["section"]
            else:
                _do(part, terminal)
        browser.close()
    assert checks == {}, "the page has no section of this name"
    assert "OK" in terminal.output.splitlines(), "the reader's own test, which comes last"


def _do(part: re.Match[str], terminal: Terminal) -> None:
    if part["language"] == "sh":
        terminal.run(part["code"])
    elif part["language"] == "text":
        assert part["code"] in terminal.output
    else:
        terminal.write(part["code"])
