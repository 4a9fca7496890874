"""Two servers of PostgreSQL: one that is written to, and a streaming replica of it."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from config.running.accounts import give, usable
from config.running.binaries import find_binaries
from config.running.children import end
from config.running.postgres import Server
from tests.processes import eventually
from tests.servers import free_port


@contextmanager
def primary_and_replica(folder: Path) -> Iterator[tuple[str, str]]:
    """Run both until the block ends, and give their addresses; a user of any name has to be able to enter `folder`."""
    primary, replica = (Server(folder / name, durable=False) for name in ("primary", "replica"))
    primary.folder.mkdir()
    binaries = usable(find_binaries())
    data = f"cluster/data-{binaries.major}"
    primary._make(binaries, primary.folder / data)
    # A cluster that has been shut down cleanly is a base backup: the replica begins at the same record.
    subprocess.run(["cp", "-a", primary.folder, replica.folder], check=True)
    with primary.running() as url:
        with psycopg.connect(url.replace("/messages", "/postgres"), autocommit=True) as session:
            # What is committed is sent at once, which the tests' own setting would put off.
            session.execute("ALTER ROLE postgres SET synchronous_commit = on")
            # A replica that is paused holds locks as well: a test that waits for one fails, and does not hang.
            session.execute("ALTER ROLE postgres SET statement_timeout = '30s'")
            session.execute("CREATE DATABASE messages")
        _follow(replica.folder / data, url)
        port = free_port()
        process = replica._start(binaries, replica.folder / data, port)
        replica_url = url.replace(f":{urlsplit(url).port}/", f":{port}/")
        try:
            assert eventually(lambda: _answers(replica_url)), replica.log()
            yield url, replica_url
        finally:
            end(process, signal.SIGINT, signal.SIGQUIT)


def _follow(data: Path, url: str) -> None:
    parts = urlsplit(url)
    source = f"host={parts.hostname} port={parts.port} user={parts.username} password={parts.password}"
    with (data / "postgresql.auto.conf").open("a") as settings:
        settings.write(f"primary_conninfo = '{source}'\n")
    (data / "standby.signal").touch()
    give(data / "standby.signal")


def _answers(url: str) -> bool:
    try:
        with psycopg.connect(url, connect_timeout=2) as session:
            return bool(session.execute("SELECT pg_is_in_recovery()").fetchone() == (True,))
    except psycopg.OperationalError:
        return False
