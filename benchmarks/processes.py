"""The contestants' processes, which start on first use, each with a database of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote, urlsplit, urlunsplit

import psycopg
from psycopg.sql import SQL, Identifier

from benchmarks.environments import environment_of
from benchmarks.failures import BenchmarkError
from config.running.folders import PROJECT, kept_secret, state_dir

OURS: Final = "messages_extends"
RAW: Final = "SQL by hand"
PLAIN: Final = "Django's own messages"
LOCK: Final = 5_290_711


@dataclass(frozen=True)
class Peer:
    """An alternative package, and the options to start it with."""

    apps: str
    storage: str = "django.contrib.messages.storage.fallback.FallbackStorage"

    @property
    def settings(self) -> dict[str, str]:
        return {"BENCHMARK_APPS": self.apps, "BENCHMARK_STORAGE": self.storage}


PEERS: Final[Mapping[str, Peer]] = {
    "django-messages-extends": Peer("messages_extends", "messages_extends.storages.FallbackStorage"),
    "django-notifications-hq": Peer("notifications"),
    "django-user-messages": Peer("user_messages"),
    "django-generic-notifications": Peer("generic_notifications"),
}


class Contestant:
    """A process that executes calls; its errors are raised here."""

    def __init__(self, name: str, command: list[str], environment: Mapping[str, str]) -> None:
        self.name = name
        self._process = subprocess.Popen(
            command, env=environment, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __getattr__(self, method: str) -> Any:
        def call(**arguments: Any) -> Any:
            return self._call(method, arguments)

        return call

    def _call(self, method: str, arguments: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"method": method, "arguments": arguments}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise BenchmarkError(f"{self.name} has ended.")
        answer = json.loads(line)
        if "error" in answer:
            raise BenchmarkError(f"{self.name}: {answer['error']}")
        return answer["value"]

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            # In the middle of something: the run was ended from outside.
            self._process.kill()
            self._process.wait()


@dataclass
class Contestants:
    """Those that have been started, by name. `url` names the server; the databases on it are made anew."""

    url: str
    _started: dict[str, Contestant] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Contestant:
        if name not in self._started:
            self._started[name] = self._start(name)
        return self._started[name]

    def started(self) -> list[str]:
        return list(self._started)

    def database_of(self, name: str) -> str:
        """Return the URL of a contestant's database; that of SQL by hand is ours."""
        parts = urlsplit(self.url)
        suffix = (OURS if name == RAW else name).replace("-", "_").replace("'", "").replace(" ", "_").lower()
        return urlunsplit(parts._replace(path=f"{parts.path}_bench_{suffix}"))

    def make_database(self, name: str) -> str:
        url = self.database_of(name)
        self._drop(url)
        self._maintain(SQL("CREATE DATABASE {}").format(Identifier(_database(url))))
        return url

    def stop(self, name: str) -> None:
        """End a contestant and drop its database; it starts anew when it is asked for again."""
        for each in {name, *([RAW] if name == OURS else [])} & set(self._started):
            self._started.pop(each).close()
        self._drop(self.database_of(name))

    def _start(self, name: str) -> Contestant:
        if name == RAW:
            # It works in our tables.
            self[OURS]
            url = self.database_of(name)
        else:
            url = self.make_database(name)
        command, environment = _how_to_start(name)
        return Contestant(name, command, {**environment, **database_settings(url)})

    def _drop(self, url: str) -> None:
        self._maintain(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(_database(url))))

    def _maintain(self, statement: Any) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement)

    def close(self) -> None:
        for contestant in self._started.values():
            contestant.close()
        for name in self._started:
            self._drop(self.database_of(name))


@contextmanager
def contestants(url: str) -> Iterator[Contestants]:
    """Give those who take part; afterwards their processes and databases are gone."""
    started = Contestants(url)
    with psycopg.connect(url, autocommit=True) as alone:
        # Another run would drop the databases of this one.
        (is_free,) = alone.execute("SELECT pg_try_advisory_lock(%s)", [LOCK]).fetchone() or (False,)
        if not is_free:
            raise BenchmarkError("Another run is measuring on this server: wait for it, or end it.")
        try:
            yield started
        finally:
            started.close()


def _how_to_start(name: str) -> tuple[list[str], dict[str, str]]:
    if name in PEERS:
        start, environment = environment_of(name)
        module = f"benchmarks.contestants.{name.replace('-', '_')}"
        settings = {**PEERS[name].settings, "DJANGO_SETTINGS_MODULE": "benchmarks.contestants.host.settings"}
        return [*start, "-m", module], {**environment, **settings}
    module = {OURS: "ours", RAW: "by_hand", PLAIN: "plain"}[name]
    return [sys.executable, "-m", f"benchmarks.contestants.{module}"], our_environment(name)


def our_environment(name: str) -> dict[str, str]:
    """Return the environment of the reference product, for production; or of the same without us."""
    settings = "benchmarks.plain.settings" if name == PLAIN else "config.settings"
    own = {
        "DJANGO_SETTINGS_MODULE": settings,
        "SECRET_KEY": kept_secret(state_dir() / "secret-key"),
        "SECURE_COOKIES": "false",
        "BASE_DOMAIN": "localhost",
        "LOG_LEVEL": "WARNING",
    }
    return {**{key: value for key, value in os.environ.items() if key != "DEBUG"}, **own}


def database_settings(url: str) -> dict[str, str]:
    parts = urlsplit(url)
    values = {
        "NAME": _database(url),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": str(parts.port or ""),
    }
    return {"BENCHMARK_DATABASE": json.dumps(values), "DATABASE_URL": url}


def _database(url: str) -> str:
    return urlsplit(url).path.strip("/")
