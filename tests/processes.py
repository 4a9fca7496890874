"""What the tests of run.py share: commands run for real, in folders of their own."""

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
# The environment of a person who has set up nothing.
PLAIN = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("DATABASE_", "DJANGO_", "SECRET_", "SECURE_", "PYTEST_", "COV_", "RUN_", "PIP_", "UV_"))
}


def run(*command: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a program in the project's folder and give what it printed."""
    return subprocess.run(command, cwd=PROJECT, env=PLAIN | env, capture_output=True, text=True, check=False)


def said_in_one_line(result: subprocess.CompletedProcess[str]) -> str:
    """Give the one line of a failure; a traceback or a success is none."""
    assert result.returncode == 1, result
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result
    assert lines[0].startswith("run.py: ")
    return lines[0]


@contextmanager
def open_folder() -> Iterator[Path]:
    """Give a folder that any user can enter, which pytest's own are not; no process may stay in it."""
    folder = Path(tempfile.mkdtemp(dir="/var/tmp"))
    folder.chmod(0o755)
    try:
        yield folder
        assert eventually(lambda: not processes_of(folder)), "left behind"
    finally:
        shutil.rmtree(folder)


def processes_of(folder: Path) -> list[str]:
    """List the commands of the running processes that name this folder."""
    commands = (command_of(int(process.name)) for process in Path("/proc").glob("[0-9]*"))
    return [command for command in commands if str(folder) in command]


def eventually(holds: Callable[[], bool]) -> bool:
    """Wait for what another process is about to do; a minute means never."""
    deadline = time.monotonic() + 60
    while not (result := holds()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return result
