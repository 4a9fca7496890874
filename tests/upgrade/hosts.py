"""A host project with a database of its own, moved from 0.6.3 to this repository's package."""

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings
from psycopg.rows import dict_row
from psycopg.sql import SQL, Identifier

from config.running.folders import PROJECT

HOST = Path(__file__).with_name("host")


def server() -> dict[str, str]:
    """Return libpq's environment for the server that the tests run on."""
    configured = settings.DATABASES["default"]
    values = {
        "PGHOST": configured["HOST"],
        "PGPORT": configured["PORT"],
        "PGUSER": configured["USER"],
        "PGPASSWORD": configured["PASSWORD"],
    }
    return {name: str(value) for name, value in values.items() if value}


def connect(database: str) -> psycopg.Connection[dict[str, Any]]:
    given = {name.removeprefix("PG").lower(): value for name, value in server().items()}
    return psycopg.connect(dbname=database, autocommit=True, row_factory=dict_row, **given)


@contextmanager
def database(template: str = "template0") -> Iterator[str]:
    """Make a database for one test, a copy of `template`, and drop it afterwards."""
    name = f"upgrade_{uuid.uuid4().hex[:12]}"
    with connect("postgres") as connection:
        connection.execute(SQL("CREATE DATABASE {} TEMPLATE {}").format(Identifier(name), Identifier(template)))
        try:
            yield name
        finally:
            connection.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))


@dataclass(frozen=True)
class Host:
    """A host project in one of the layouts of its settings, and its database."""

    database: str
    layout: str

    def moved_to(self, layout: str) -> "Host":
        """Return the project as it is after its developer changed the settings and installed our package."""
        return replace(self, layout=layout)

    def environment(self, path: list[Path]) -> dict[str, str]:
        own = {
            "HOST_LAYOUT": self.layout,
            "DJANGO_SETTINGS_MODULE": "host_settings",
            "PGDATABASE": self.database,
            "PYTHONPATH": os.pathsep.join(str(entry) for entry in path),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        return {**os.environ, **server(), **own}

    def fill(self, published: Path, schemas: tuple[str, ...]) -> None:
        """Have 0.6.3 fill the database, in a Python that sees nothing else: -S leaves this one's packages out."""
        command = [sys.executable, "-S", "-P", "-m", "django", "fill", *schemas]
        done = subprocess.run(
            command, env=self.environment([HOST, published]), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    def command(self, *arguments: str) -> tuple[list[str], Mapping[str, str]]:
        """Return what starts one of Django's commands with our package, and its environment."""
        return [sys.executable, "-m", "django", *arguments], self.environment([HOST, PROJECT])

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        command, environment = self.command(*arguments)
        return subprocess.run(
            command, env=environment, cwd=HOST, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )

    def manage(self, *arguments: str) -> str:
        """Run one of Django's commands that must succeed; return what it printed."""
        done = self.run(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def rows(self, query: str, *parameters: object) -> list[dict[str, Any]]:
        with connect(self.database) as connection:
            return connection.execute(query, parameters or None).fetchall()

    def execute(self, *statements: str) -> None:
        with connect(self.database) as connection:
            for statement in statements:
                connection.execute(statement)
