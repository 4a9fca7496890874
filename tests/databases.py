"""Test databases: each process has a copy of a template, which is migrated again when the code has changed."""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from urllib.parse import urlsplit, urlunsplit

import psycopg
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connection
from django.test.utils import setup_databases
from psycopg.sql import SQL, Identifier

from config.running.folders import PROJECT

# The prefix of template names. Templates of other versions of the code are deleted.
PREFIX = "template_of_tests_"
# An arbitrary number for the lock with which only one process creates the template.
LOCK = 20_240_713
# The files that determine the tables and their initial rows.
MADE_BY = ("messages_extends", "tenants", "config/settings.py", "tests/conftest.py")
PACKAGES = ("django", "django-tenants", "django-guardian")


def name_here(name: str) -> str:
    """Return a name that is unique to this process of the test run, for objects that processes would share."""
    return f"{name}_{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}_{os.getpid()}"


@contextmanager
def copied_database(fill: Callable[[], None]) -> Iterator[None]:
    """Use a copy of the template as the database; create the template if needed, filled by `fill`."""
    before, name = connection.settings_dict["NAME"], name_here("test")
    with _server() as server:
        server.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        template = _template(server, fill)
        _use(name)
        server.execute(SQL("CREATE DATABASE {} TEMPLATE {}").format(Identifier(name), Identifier(template)))
        server.execute("SELECT pg_advisory_unlock(%s)", [LOCK])
    try:
        yield
    finally:
        _use(before)
        with _server() as server:
            server.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))


def execute(statement: str) -> None:
    """Run an SQL statement in the current schema."""
    with connection.cursor() as cursor:
        cursor.execute(statement)


def drop_templates() -> None:
    """Delete the templates on a server that was not started for the tests."""
    with _server() as server:
        _drop_others(server, "")


def _template(server: "psycopg.Connection[tuple[str]]", fill: Callable[[], None]) -> str:
    template = PREFIX + _fingerprint()
    if not server.execute("SELECT 1 FROM pg_database WHERE datname = %s", [template]).fetchone():
        _drop_others(server, template)
        draft = f"{PREFIX}draft"
        connection.settings_dict["TEST"]["NAME"] = draft
        setup_databases(verbosity=0, interactive=False, aliases={DEFAULT_DB_ALIAS}, serialized_aliases=set())
        fill()
        _use("postgres")
        server.execute(SQL("ALTER DATABASE {} RENAME TO {}").format(Identifier(draft), Identifier(template)))
    return template


def _drop_others(server: "psycopg.Connection[tuple[str]]", template: str) -> None:
    found = server.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [PREFIX]).fetchall()
    for (name,) in found:
        if name != template:
            with suppress(psycopg.errors.ObjectInUse):
                server.execute(SQL("DROP DATABASE {}").format(Identifier(name)))


def _fingerprint() -> str:
    digest = hashlib.sha256(" ".join(map(version, PACKAGES)).encode())
    for path in map(PROJECT.joinpath, MADE_BY):
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(f"{file.relative_to(PROJECT)}".encode() + file.read_bytes())
    return digest.hexdigest()[:16]


def _use(name: str) -> None:
    """Let Django use another database, after closing the connections to the previous one."""
    connection.close()
    connection.close_pool()
    connection.settings_dict["NAME"] = settings.DATABASES[DEFAULT_DB_ALIAS]["NAME"] = name


def _server() -> "psycopg.Connection[tuple[str]]":
    url = urlunsplit(urlsplit(os.environ["DATABASE_URL"])._replace(path="/postgres", query=""))
    return psycopg.connect(url, autocommit=True)
