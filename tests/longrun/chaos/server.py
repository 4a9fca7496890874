"""A PostgreSQL server of the faults' own: durable, killed and started again at the same address, on a small disk."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import psycopg

from config.running import postgres
from config.running.accounts import usable
from config.running.binaries import find_binaries
from config.running.children import end
from tests.processes import eventually, open_folder

# What a database with some organisations needs, twice; the rest of the disk is filled when it is to be full.
DISK: Final = "600m"
BALLAST: Final = "ballast"


class Database:
    """One server on one folder; its address stays what it is."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._server = postgres.Server(folder)
        self._binaries = usable(find_binaries())
        self._data = folder / "cluster" / f"data-{self._binaries.major}"
        self._port = postgres.free_port()
        self._process: subprocess.Popen[bytes] | None = None
        if not self._data.exists():
            self._server._make(self._binaries, self._data)

    @property
    def url(self) -> str:
        return f"postgres://postgres:{self._server._password()}@127.0.0.1:{self._port}/messages"

    def start(self) -> None:
        """Start it, and wait until it has recovered; also where it has only just been killed."""
        assert eventually(self._started), self._server.log()

    def _started(self) -> bool:
        postgres._end_leftover(self._data)
        self._process = self._server._start(self._binaries, self._data, self._port)
        return postgres._is_ready(self._process, self._data)

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """End it as a power cut does, all of its processes notice at once."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        if self._process is not None:
            end(self._process, signal.SIGINT, signal.SIGQUIT)

    def connect(self, database: str = "messages") -> "psycopg.Connection[Any]":
        return psycopg.connect(self.url.replace("/messages", f"/{database}"), autocommit=True, connect_timeout=5)

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement beside the product."""
        with self.connect() as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def fill_the_disk(self) -> None:
        """Leave no room where the data are."""
        with suppress(OSError), (self.folder / BALLAST).open("wb") as ballast:
            while True:
                ballast.write(b"\0" * 65_536)
                ballast.flush()

    def make_room(self) -> None:
        (self.folder / BALLAST).unlink(missing_ok=True)

    def revive(self) -> None:
        """Start it whenever it has given up, and wait until it answers: on a busy machine it recovers for minutes."""
        assert any(eventually(self._answers_again) for _ in range(3)), self._server.log()[-2_000:]

    def _answers_again(self) -> bool:
        if not self.runs:
            self.start()
        return self.answers()

    def answers(self) -> bool:
        try:
            self.execute("SELECT 1")
        except psycopg.Error:
            return False
        return True


@contextmanager
def own_server() -> Iterator[Database]:
    with open_folder() as folder, _small_disk(folder):
        database = Database(folder)
        database.start()
        try:
            with database.connect("postgres") as connection:
                connection.execute("CREATE DATABASE messages")
                # Its log of changes must not fill the disk by itself.
                connection.execute("ALTER SYSTEM SET max_wal_size = '128MB'")
                connection.execute("ALTER SYSTEM SET min_wal_size = '32MB'")
                connection.execute("SELECT pg_reload_conf()")
            yield database
        finally:
            database.make_room()
            database.stop()


@contextmanager
def _small_disk(folder: Path) -> Iterator[None]:
    """Put a small file system there, if we may."""
    if not may_mount():
        yield
        return
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK},mode=755", "none", str(folder)], check=True)
    try:
        yield
    finally:
        assert eventually(lambda: subprocess.run(["umount", str(folder)], check=False, stderr=-3).returncode == 0)


def may_mount() -> bool:
    """Tell whether this process may mount a file system of its own, without which no disk is filled."""
    if os.geteuid() != 0 or not shutil.which("mount"):
        return False
    with open_folder() as folder:
        tried = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)], check=False, capture_output=True
        )
        if tried.returncode == 0:
            subprocess.run(["umount", str(folder)], check=True)
        return tried.returncode == 0


def for_seconds(seconds: float, act: Callable[[], object], pause: float) -> None:
    """Do something again and again; what it does to itself is no matter."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(psycopg.Error):
            act()
        time.sleep(pause)
