"""A PostgreSQL server of our own: a child process on 127.0.0.1 that lives as long as the command that needs it.

Layout of a server's folder (`.run/demo`, `.run/tests` ...):

    password   of the superuser `postgres`, readable by its owner only
    cluster/   owned by the account the server runs as; in it the data, one folder for each major version
    log        what the server said since its last start
    url        where it answers; there while it runs
    owner.lock held by the command that runs the server
    users.lock held, shared, by commands that have joined it; the owner waits for them before it stops the server
"""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config.running.accounts import give, home, popen_options, usable
from config.running.binaries import Binaries, find_binaries
from config.running.children import command_of, end, tie_to_us
from config.running.failures import Failure, disk_full, explain_output, tells_of_full_disk
from config.running.folders import kept_secret, replace_private
from config.running.locks import lock
from config.running.progress import say, step

# The time limit for starting, including recovery after a crash.
PATIENCE = 300
TRIES = 10
# Another process has taken the port, or processes of the last server have not ended yet.
PASSING = ("Address already in use", "pre-existing shared memory block")
TEST_SERVERS = 20
# Data of a test run need not survive a crash of the machine.
FAST_NOT_SAFE = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


@contextmanager
def server_for_demo() -> Iterator[str]:
    """Run the demo's server, or join that of another command; return its URL."""
    folder = home("demo")
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with lock(folder / "owner.lock") as alone:
            if alone:
                with _owned(folder) as url:
                    yield url
                return
        with lock(folder / "users.lock", shared=True) as joined:
            if joined and (folder / "url").exists():
                yield (folder / "url").read_text()
                return
        time.sleep(0.1)
    raise Failure(f"Another command has held {folder} for minutes and runs no server there: stop it.")


@contextmanager
def server_for_tests() -> Iterator[str]:
    """Run a server for one test run; concurrent runs have a server each."""
    for number in range(1, TEST_SERVERS + 1):
        folder = home(f"tests-{number}")
        with lock(folder / "owner.lock") as alone:
            if alone:
                with Server(folder, durable=False).running() as url:
                    yield url
                return
    raise Failure(f"{TEST_SERVERS} test runs go on already: wait for one, or set DATABASE_URL.")


def reset_demo() -> None:
    """Delete the demo's data."""
    folder = home("demo")
    with lock(folder / "owner.lock") as alone:
        if not alone:
            raise Failure("The demo's database is in use: stop the other command first, then --reset.")
        Server(folder).remove()


@contextmanager
def _owned(folder: Path) -> Iterator[str]:
    with Server(folder).running() as url:
        replace_private(folder / "url", url)
        try:
            yield url
        finally:
            with lock(folder / "users.lock") as unused:
                if not unused:
                    say("Another command still uses the database; it stops when that ends (Ctrl-C: at once).")
            with lock(folder / "users.lock", wait=True):
                (folder / "url").unlink(missing_ok=True)


@dataclass(frozen=True)
class Server:
    """The server of one folder; the caller must hold its owner.lock."""

    folder: Path
    durable: bool = True

    @contextmanager
    def running(self) -> Iterator[str]:
        """Start the server, which recovers after a crash, and stop it after the block."""
        binaries = usable(find_binaries())
        data = self._cluster() / f"data-{binaries.major}"
        crashed = _end_leftover(data)
        if crashed and not self.durable:
            shutil.rmtree(data)
        if not data.exists():
            self._make(binaries, data)
        process, port = self._started(binaries, data)
        try:
            yield f"postgres://postgres:{self._password()}@127.0.0.1:{port}/messages"
        except Failure:
            # Its clients only notice that the server has gone.
            if tells_of_full_disk(self.log()):
                raise disk_full() from None
            raise
        finally:
            # SIGINT: disconnect everybody, checkpoint, stop. SIGQUIT: stop, and recover at the next start.
            end(process, signal.SIGINT, signal.SIGQUIT)

    def remove(self) -> None:
        """Delete its data and its password."""
        for data in self._cluster().glob("data-*"):
            _end_leftover(data)
        if self._cluster().exists():
            shutil.rmtree(self._cluster())
        (self.folder / "password").unlink(missing_ok=True)

    def _cluster(self) -> Path:
        return self.folder / "cluster"

    def _password(self) -> str:
        return kept_secret(self.folder / "password")

    def _make(self, binaries: Binaries, data: Path) -> None:
        with step(f"Making a database with PostgreSQL {binaries.major} (once)"):
            self._cluster().mkdir(mode=0o700, exist_ok=True)
            give(self._cluster())
            self._initialise(binaries, data)

    def _initialise(self, binaries: Binaries, data: Path) -> None:
        # Renamed when complete, so that a partial folder is never used.
        draft, password = data.with_name("draft"), data.with_name("password")
        if draft.exists():
            shutil.rmtree(draft)
        replace_private(password, self._password())
        give(password)
        options = ["--username=postgres", f"--pwfile={password}", "--auth=scram-sha-256", "--encoding=UTF8"]
        if not self.durable:
            options.append("--no-sync")
        made = subprocess.run(
            [binaries.program("initdb"), "-D", draft, *options, *_locale(binaries)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            **_as_server(self._cluster()),
        )
        password.unlink()
        if made.returncode:
            raise explain_output("Making the database", made.stdout, remedy="Or set DATABASE_URL to a server.")
        draft.rename(data)

    def _started(self, binaries: Binaries, data: Path) -> tuple[subprocess.Popen[bytes], int]:
        for _ in range(TRIES):
            port = free_port()
            process = self._start(binaries, data, port)
            try:
                if _is_ready(process, data):
                    return process, port
            except BaseException:
                end(process, signal.SIGINT, signal.SIGQUIT)
                raise
            if not any(passing in self.log() for passing in PASSING):
                break
            time.sleep(0.2)
        raise explain_output("Starting PostgreSQL", self.log(), remedy=f"Its log: {self.folder / 'log'}")

    def _start(self, binaries: Binaries, data: Path, port: int) -> subprocess.Popen[bytes]:
        settings = [
            "listen_addresses=127.0.0.1",
            f"port={port}",
            "unix_socket_directories=",
            "max_connections=200",
            *(() if self.durable else FAST_NOT_SAFE),
        ]
        with (self.folder / "log").open("wb") as log:
            return subprocess.Popen(
                [binaries.program("postgres"), "-D", data, *(word for each in settings for word in ("-c", each))],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # A session of its own, because this process handles Ctrl-C and stops the server after its users.
                start_new_session=True,
                preexec_fn=tie_to_us(signal.SIGINT),
                **_as_server(data),
            )

    def log(self) -> str:
        with suppress(FileNotFoundError):
            return (self.folder / "log").read_text(errors="replace")
        return ""


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _as_server(cwd: Path) -> dict[str, Any]:
    """Return the arguments for subprocess to run a program of PostgreSQL."""
    # `explain_output` needs messages in English; PGDATA and similar variables are for other servers.
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
    return {"cwd": cwd, "env": env | {"LC_ALL": "C"}, **popen_options()}


def _locale(binaries: Binaries) -> list[str]:
    # A provider that is built in since PostgreSQL 17: it is the same on every platform.
    if binaries.major >= 17:
        return ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
    return ["--locale=C.UTF-8"]


def _is_ready(process: subprocess.Popen[bytes], data: Path) -> bool:
    """Wait until the server accepts connections; return False if it has exited."""
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None:
        lines = _pid_file(data)
        # The file's eighth line is what pg_ctl waits for, too.
        if len(lines) > 7 and lines[0] == str(process.pid) and lines[7].strip() == "ready":
            return True
        if time.monotonic() > deadline:
            raise Failure(f"PostgreSQL has not come up in {PATIENCE} s.")
        time.sleep(0.02)
    return False


def _pid_file(data: Path) -> list[str]:
    try:
        return (data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return []


def _end_leftover(data: Path) -> bool:
    """End a server that has outlived its owner, or remove the file of one that has died; tell whether there was one.

    The caller holds the owner's lock, so that there is no owner. PostgreSQL itself would refuse to start if the process
    id in an old file belongs to another process, which is common in containers.
    """
    lines = _pid_file(data)
    for rude in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        if lines and _serves(int(lines[0]), data):
            os.kill(int(lines[0]), rude)
            _wait_until_gone(int(lines[0]), data)
    (data / "postmaster.pid").unlink(missing_ok=True)
    return bool(lines)


def _wait_until_gone(pid: int, data: Path) -> None:
    deadline = time.monotonic() + 10
    while _serves(pid, data) and time.monotonic() < deadline:
        time.sleep(0.05)


def _serves(pid: int, data: Path) -> bool:
    """Tell whether this process is a PostgreSQL server for this folder."""
    return str(data) in command_of(pid)
