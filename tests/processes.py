"""Helpers of tests that run commands in folders of their own."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from config.running.children import command_of
from config.running.folders import PROJECT

HERE = (sys.executable, "-m", "config.running")
# An environment without any settings of this project.
PLAIN = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("DATABASE_", "DJANGO_", "SECRET_", "SECURE_", "PYTEST_", "COV_", "RUN_", "PIP_", "UV_"))
}


def run(*command: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a program in the project's folder; return its output."""
    return subprocess.run(command, cwd=PROJECT, env=PLAIN | env, capture_output=True, text=True, check=False)


def said_in_one_line(result: subprocess.CompletedProcess[str]) -> str:
    """Return the one line of a failure; raise an error for a traceback or a success."""
    assert result.returncode == 1, result
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result
    assert lines[0].startswith("run.py: ")
    return lines[0]


@contextmanager
def open_folder() -> Iterator[Path]:
    """Return a folder that all accounts can enter, unlike pytest's own; no process may remain in it."""
    folder = Path(tempfile.mkdtemp(dir="/var/tmp"))
    folder.chmod(0o755)
    try:
        yield folder
        assert eventually(lambda: not processes_of(folder)), "left behind"
    finally:
        shutil.rmtree(folder)


def processes_of(folder: Path) -> list[str]:
    """Return the commands of the running processes that contain this folder's path."""
    commands = (command_of(int(process.name)) for process in Path("/proc").glob("[0-9]*"))
    return [command for command in commands if str(folder) in command]


def eventually(holds: Callable[[], bool]) -> bool:
    """Wait until a condition is true in another process, for at most a minute."""
    deadline = time.monotonic() + 60
    while not (result := holds()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return result
