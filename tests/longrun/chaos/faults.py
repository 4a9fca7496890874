"""The faults that are injected while people write, one after the other."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import psycopg

from tests.longrun.chaos.server import Database, for_seconds, may_mount

OTHERS: Final = "datname = 'messages' AND pid <> pg_backend_pid() AND backend_type = 'client backend'"


@dataclass(frozen=True)
class Fault:
    """A fault and the function that causes it, which returns when it is over."""

    name: str
    happen: Callable[[Database, float, int], None]

    @property
    def reason_to_skip(self) -> str:
        return "no file system can be mounted here" if self.happen is disk_full and not may_mount() else ""


def killed(database: Database, seconds: float, _web: int) -> None:
    database.kill()
    time.sleep(seconds / 3)
    database.start()


def one_process_killed(database: Database, _seconds: float, _web: int) -> None:
    """Kill the process of one connection: the server takes all others down, and recovers."""
    rows = database.execute(f"SELECT pid FROM pg_stat_activity WHERE {OTHERS} LIMIT 1")
    for (pid,) in rows:
        os.kill(pid, signal.SIGKILL)


def cut(database: Database, seconds: float, _web: int) -> None:
    statement = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {OTHERS} AND random() < 0.5"
    for_seconds(seconds, lambda: database.execute(statement), 0.05)


def cancelled(database: Database, seconds: float, _web: int) -> None:
    statement = f"SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE {OTHERS} AND state = 'active'"
    with database.connect() as connection:
        for_seconds(seconds, lambda: connection.execute(statement.encode()), 0.002)


def timed_out(database: Database, seconds: float, _web: int) -> None:
    """Let no statement take longer than two milliseconds."""
    reconnect = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {OTHERS}"
    database.execute("ALTER DATABASE messages SET statement_timeout = '2ms'")
    with database.connect("postgres") as calm:
        calm.execute(reconnect.encode())
        time.sleep(seconds)
        calm.execute("ALTER DATABASE messages RESET statement_timeout")
        calm.execute(reconnect.encode())


def pool_exhausted(database: Database, seconds: float, _web: int) -> None:
    """Keep all connections of the pool waiting, for longer than a request waits for one."""
    tables = database.execute("SELECT schemaname FROM pg_tables WHERE tablename = 'messages_extends_message'")
    with database.connect() as connection, connection.transaction():
        for (schema,) in tables:
            connection.execute(f'LOCK TABLE "{schema}".messages_extends_message'.encode())
        time.sleep(2 * seconds)


def disk_full(database: Database, seconds: float, _web: int) -> None:
    database.fill_the_disk()
    with suppress(psycopg.Error):
        # Until nothing of it lies in a file that has room left.
        for_seconds(seconds / 2, lambda: database.execute("SELECT pg_switch_wal()"), 0.2)
    time.sleep(seconds / 2)
    database.make_room()
    database.revive()


def web_killed(_database: Database, _seconds: float, web: int) -> None:
    """Kill one of the processes that answer requests."""
    children = subprocess.run(
        ["pgrep", "-P", str(web), "-f", "spawn_main"], capture_output=True, text=True, check=False
    )
    for pid in children.stdout.split()[:1]:
        os.kill(int(pid), signal.SIGKILL)


FAULTS: Final = (
    Fault("PostgreSQL killed (-9), started again", killed),
    Fault("one of its processes killed (-9)", one_process_killed),
    Fault("connections cut", cut),
    Fault("statements cancelled", cancelled),
    Fault("statements timed out", timed_out),
    Fault("pool exhausted", pool_exhausted),
    Fault("disk full", disk_full),
    Fault("a web process killed (-9)", web_killed),
)
