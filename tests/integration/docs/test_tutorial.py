"""The tutorial, followed to the letter: its files, its commands, and what its reader sees in a real browser.

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
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect, sync_playwright

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
# What the page consists of: blocks of code, and what is done in the browser.
PART = re.compile(r"^```(?P<language>\w+)\n(?P<code>.*?)^```$|^- (?P<steps>[^\n]+)$", re.MULTILINE | re.DOTALL)
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


class Reader:
    """Does in the browser what the page says, as whoever it says, each with a browser of their own."""

    def __init__(self, browser: Browser, port: int) -> None:
        self._browser = browser
        self._port = port
        self._people: dict[str, BrowserContext] = {}
        self.page: Page
        sentences: dict[str, Callable[..., None]] = {
            r"Open <(\S+)> as `(\w+)`": self._open,
            r"You see “([^”]+)”": self._see,
            r"You see “([^”]+)” and “([^”]+)”": self._see,
            r"You see “([^”]+)” once": self._see_once,
            r"You do not see “([^”]+)”": self._do_not_see,
            r"Press “([^”]+)”": self._press,
            r"Tick “([^”]+)”": self._tick,
            r"Choose “([^”]+)”": self._choose,
            r"Write “([^”]+)” into “([^”]+)”": self._write,
        }
        end = r"(?:: [^.]*)?\.(?: |$)"  # and why, for the reader
        self._sentences = {re.compile(pattern + end): act for pattern, act in sentences.items()}

    def follow(self, steps: str) -> None:
        while steps:
            found = [(match, act) for pattern, act in self._sentences.items() if (match := pattern.match(steps))]
            assert len(found) == 1, f"nobody can follow this: {steps}"
            [(match, act)] = found
            try:
                act(*match.groups())
            except Exception as error:
                error.add_note(f"{match[0]}\n{self.page.url}\n{self.page.inner_text('body')[:2000]}")
                raise
            steps = steps[match.end() :]

    def _open(self, address: str, name: str) -> None:
        if name not in self._people:
            self._people[name] = self._browser.new_context()
        self.page = self._people[name].new_page()
        self.page.set_default_timeout(30_000)
        self.page.goto(address.replace(":8000", f":{self._port}"))
        if "/login/" in self.page.url:
            self.page.get_by_label("Username").fill(name)
            self.page.get_by_label("Password").fill(PASSWORD)
            self.page.get_by_role("button", name="Log in").click()
            self.page.wait_for_url(lambda url: "/login/" not in url)

    def _see(self, *texts: str) -> None:
        for text in texts:
            expect(self.page.get_by_text(text).filter(visible=True).first).to_be_visible(timeout=30_000)

    def _see_once(self, text: str) -> None:
        expect(self.page.locator("main, body").last.get_by_text(text, exact=True).filter(visible=True)).to_have_count(1)

    def _do_not_see(self, text: str) -> None:
        expect(self.page.locator("body")).to_be_visible()
        expect(self.page.get_by_text(text).filter(visible=True)).to_have_count(0)

    def _press(self, name: str) -> None:
        button, link = (self.page.get_by_role(role, name=name, exact=True) for role in ("button", "link"))
        button.or_(link).first.click()
        self.page.wait_for_load_state("networkidle")

    def _tick(self, name: str) -> None:
        box, radio = (self.page.get_by_role(role, name=name) for role in ("checkbox", "radio"))
        ticked: Locator = box.or_(radio).first
        ticked.check()

    def _write(self, text: str, label: str) -> None:
        box = self.page.get_by_label(label, exact=True).and_(self.page.locator("input, textarea"))
        box.clear()
        box.press_sequentially(text)  # a search reacts to keys

    def _choose(self, name: str) -> None:
        self.page.get_by_role("option", name=name).click()


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
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        reader = Reader(browser, terminal.port)
        for part in PART.finditer(PAGE.read_text("utf-8")):
            _do(part, terminal, reader)
        browser.close()
    assert "OK" in terminal.output.splitlines(), "the reader's own test, which comes last"


def _do(part: re.Match[str], terminal: Terminal, reader: Reader) -> None:
    if part["steps"]:
        if "](" not in part["steps"]:  # a list of other pages
            terminal.wait_for_restart()
            reader.follow(part["steps"])
    elif part["language"] == "sh":
        terminal.run(part["code"])
    elif part["language"] == "text":
        assert part["code"] in terminal.output
    else:
        terminal.write(part["code"])
