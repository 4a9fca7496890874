"""Fact 4: behind PgBouncer in transaction mode a search path is another client's; in session mode it is one's own.

Needs `pgbouncer` on the PATH (Debian: apt install pgbouncer).
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from messages_extends.checks.database import check_connection_processes
from tests.isolation.conftest import OURS, THEIRS, OpenConnection
from tests.isolation.test_search_path import in_tenant, schema_in_force
from tests.servers import free_port

PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
pytestmark = pytest.mark.skipif(PGBOUNCER is None, reason="PgBouncer is not installed (Debian: apt install pgbouncer).")

CONFIGURATION = """
[databases]
* = host={host} port={port}{password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = {size}
ignore_startup_parameters = extra_float_digits,options
"""


@contextmanager
def pgbouncer(folder: Path, mode: str, size: int) -> Iterator[int]:
    """Run one before the tests' server, with so many connections to it; give its port."""
    parameters, listen = connection.settings_dict, free_port()
    configuration = folder / "pgbouncer.ini"
    values = {
        "host": parameters["HOST"],
        "port": parameters["PORT"],
        # One user for all: whoever asks is let in, in these few seconds.
        "password": f" user={parameters['USER']} password={parameters['PASSWORD'] or 'none'}",
    }
    configuration.write_text(CONFIGURATION.format(**values, listen=listen, mode=mode, size=size))
    # It refuses to run as root.
    command = [str(PGBOUNCER), "--quiet", *(["--user=nobody"] if os.geteuid() == 0 else []), str(configuration)]
    folder.chmod(0o755)
    for parent in folder.parents[:2]:
        parent.chmod(0o755)
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    try:
        _wait_for(listen, process)
        yield listen
    finally:
        process.terminate()
        process.wait(10)
        if process.stderr:
            process.stderr.close()


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    for _ in range(500):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        assert process.poll() is None, "PgBouncer did not start"
        time.sleep(0.02)
    pytest.fail("PgBouncer does not answer")


@pytest.fixture
def through(open_connection: OpenConnection, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Open connections of Django's through a PgBouncer in this mode."""
    running: list[Any] = []

    def make(mode: str, size: int) -> Callable[[str], Any]:
        running.append(pgbouncer(tmp_path, mode, size))
        port = running[-1].__enter__()

        def connect(backend: str) -> Any:
            wrapper = open_connection(backend)
            wrapper.settings_dict.update(HOST="127.0.0.1", PORT=port)
            return wrapper

        return connect

    yield make
    for each in running:
        each.__exit__(None, None, None)


@pytest.mark.parametrize("backend", [OURS, THEIRS])
def test_transaction_pooling_reads_schema_of_other_client(through: Callable[..., Any], backend: str) -> None:
    connect = through("transaction", size=1)
    first, second = connect(backend), connect(backend)
    in_tenant(first, "acme")
    in_tenant(second, "globex")
    # One statement of the first, after its path was sent once.
    assert first.connection.execute("SELECT current_schema()").fetchone() == ("globex",)


@pytest.mark.parametrize("backend", [OURS, THEIRS])
def test_session_pooling_reads_own_schema(through: Callable[..., Any], backend: str) -> None:
    connect = through("session", size=2)
    first, second = connect(backend), connect(backend)
    for _ in range(5):
        in_tenant(first, "acme")
        in_tenant(second, "globex")
        assert (schema_in_force(first), schema_in_force(second)) == ("acme", "globex")
        assert first.connection.execute("SELECT current_schema()").fetchone() == ("acme",)


def test_session_pooling_resets_schema_for_next_client(through: Callable[..., Any]) -> None:
    connect = through("session", size=1)
    first, second = connect(OURS), connect(OURS)
    in_tenant(first, "acme")
    first.close()
    second.ensure_connection()
    assert second.connection.execute("SELECT current_schema()").fetchone() == ("public",)


def reports(port: int, monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """Run the check of the connection as if the project's own led to this port."""
    monkeypatch.setitem(connection.settings_dict, "HOST", "127.0.0.1")
    monkeypatch.setitem(connection.settings_dict, "PORT", port)
    return [report.id for report in check_connection_processes(databases=["default"])]


@pytest.mark.usefixtures("django_db_setup")
@pytest.mark.parametrize(
    ("mode", "size", "wanted"),
    [
        ("transaction", 1, ["messages_extends.E060"]),
        ("transaction", 3, ["messages_extends.E060"]),
        ("statement", 3, ["messages_extends.E060"]),
        ("session", 2, []),
    ],
)
def test_pooling_check_reports_proxy_that_changes_connection(
    mode: str, size: int, wanted: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pgbouncer(tmp_path, mode, size) as port:
        assert reports(port, monkeypatch) == wanted


@pytest.mark.usefixtures("django_db_setup")
def test_pooling_check_passes_when_proxy_has_no_second_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("messages_extends.checks.pooling.TIME_LIMIT_S", 0.5)
    with pgbouncer(tmp_path, "session", 1) as port:
        assert reports(port, monkeypatch) == []
