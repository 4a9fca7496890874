"""The production server, with us and without, for what is measured over HTTP."""

import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from benchmarks.failures import BenchmarkError
from benchmarks.processes import PLAIN, Contestants, database_settings, our_environment
from config.running.children import child
from config.running.folders import PROJECT

WORKERS = 2


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(contestants: Contestants, name: str, *, workers: int = WORKERS, port: int | None = None) -> Iterator[int]:
    """Serve a contestant's organisations as `run.py serve` does, for the block; give the port."""
    port = port or free_port()
    static = tempfile.mkdtemp(prefix="bench-static-")
    environment = {
        **our_environment(name),
        **database_settings(contestants.database_of(name)),
        "STATIC_MANIFEST": "true",
        "STATIC_ROOT": static,
    }
    application = "benchmarks.plain.asgi:application" if name == PLAIN else "config.asgi:application"
    listen = ["--port", str(port), "--workers", str(workers), "--no-server-header", "--log-level", "warning"]
    try:
        _collect(environment)
        with child([sys.executable, "-m", "uvicorn", application, *listen], environment, last=signal.SIGTERM) as server:
            _await(port, server)
            yield port
    finally:
        shutil.rmtree(static, ignore_errors=True)


def _collect(environment: Mapping[str, str]) -> None:
    command = [sys.executable, str(PROJECT / "manage.py"), "collectstatic", "--noinput", "--verbosity", "0"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchmarkError(f"collectstatic failed: {done.stderr[-2000:]}")


def _await(port: int, server: "subprocess.Popen[bytes]") -> None:
    for _ in range(600):
        if server.poll() is not None:
            raise BenchmarkError("The server did not come up; what it said is above.")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise BenchmarkError("The server did not come up within half a minute.")


def threads_of(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def children_of(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(each) for each in listed.split()]
