"""The database of a command: DATABASE_URL, or a server that the command runs."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import SplitResult, urlsplit, urlunsplit

import psycopg
from psycopg import sql

from config.running.failures import Failure

SHAPE = "postgres://user:password@host:5432/name"
UNSET = "unset it: demo and test then bring a PostgreSQL of their own"


@contextmanager
def database_for_demo() -> Iterator[str]:
    """Return the URL of the demo's database, which is available for the duration of the block."""
    if url := os.environ.get("DATABASE_URL"):
        ensure_database(url)
        yield url
        return
    _refuse_windows()
    from config.running.postgres import server_for_demo

    with server_for_demo() as url:
        ensure_database(url)
        yield url


@contextmanager
def database_for_tests() -> Iterator[str]:
    """Return the URL of a server on which tests can create their databases."""
    if url := os.environ.get("DATABASE_URL"):
        _answering(url)
        yield url
        return
    _refuse_windows()
    from config.running.postgres import server_for_tests

    with server_for_tests() as url:
        yield url


def ensure_database(url: str) -> None:
    """Create the database of this URL unless it exists."""
    if not (maintenance := _answering(url)):
        return
    name = sql.Identifier(urlsplit(url).path.strip("/"))
    try:
        with psycopg.connect(maintenance, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
    except psycopg.errors.DuplicateDatabase:
        return
    except psycopg.Error as error:
        raise Failure(f"DATABASE_URL: its database is missing and cannot be made ({_line(error)}): make it.") from None


def _answering(url: str) -> str | None:
    """Check that the server is available; return the URL of its maintenance database if this one is missing."""
    parts = _parts(url)
    try:
        psycopg.connect(url, connect_timeout=10).close()
    except (psycopg.Error, ValueError) as error:
        maintenance = urlunsplit(parts._replace(path="/postgres"))
        if _lacks(maintenance, parts.path.strip("/")):
            return maintenance
        raise Failure(f"DATABASE_URL: {_line(error)} Correct it, or {UNSET}.") from None
    return None


def _parts(url: str) -> SplitResult:
    with suppress(ValueError):
        parts = urlsplit(url)
        if parts.scheme in {"postgres", "postgresql"} and parts.path.strip("/"):
            return parts
    raise Failure(f"DATABASE_URL is not of the form {SHAPE}: correct it, or {UNSET}.")


def _lacks(maintenance: str, name: str) -> bool:
    try:
        with psycopg.connect(maintenance, connect_timeout=10) as connection:
            return not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone()
    except (psycopg.Error, ValueError):
        return False


def _line(error: Exception) -> str:
    line = " ".join(str(error).split())
    return line if line.endswith(("?", ".")) else f"{line}."


def _refuse_windows() -> None:
    if sys.platform == "win32":
        raise Failure(f"On Windows set DATABASE_URL to a PostgreSQL server ({SHAPE}), or use WSL.")
