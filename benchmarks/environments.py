"""The packages of each peer, in a folder of their own: one of them has the name of ours."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.failures import Unavailable
from config.running.folders import PROJECT, state_dir
from config.running.pip import runnable_pip

REQUIREMENTS = Path(__file__).with_name("requirements")


def packages_of(peer: str) -> Path:
    """Return a folder that holds a peer and what it needs, and nothing of this repository; made once.

    Raises Unavailable where it cannot be fetched.
    """
    requirements = REQUIREMENTS / f"{peer}.txt"
    folder = state_dir() / "bench" / f"{peer}-{_fingerprint(requirements)}"
    if not folder.exists():
        _install(requirements, folder)
    return folder


def _fingerprint(requirements: Path) -> str:
    return f"py{sys.version_info[0]}{sys.version_info[1]}-{hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]}"


def _install(requirements: Path, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Made beside its place and then renamed, so that a half-made one is never used.
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        done = subprocess.run(_command(requirements, scratch), capture_output=True, text=True, check=False)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1]
            raise Unavailable(f"{requirements.stem} could not be installed: {last}")
        shutil.copytree(scratch, folder.with_suffix(".part"), dirs_exist_ok=True)
    folder.with_suffix(".part").rename(folder)


def _command(requirements: Path, target: str) -> list[str]:
    options = ["--disable-pip-version-check", "--no-input", "--no-compile", "--require-hashes"]
    return [
        *(sys.executable, "-I", str(runnable_pip() / "pip"), "install"),
        *options,
        *("--target", target, "-r", str(requirements)),
    ]


def environment_of(peer: str) -> tuple[list[str], dict[str, str]]:
    """Return the start of a command that sees a peer's packages and then this project, and its environment.

    -S leaves out the packages of the Python that we run in.
    """
    path = os.pathsep.join([str(packages_of(peer)), str(PROJECT)])
    return [sys.executable, "-S", "-P"], {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
