"""Turbo, which no package of Python has in a current version: from the npm registry, where there is a way to it."""

import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

PACKAGE = "@hotwired/turbo@8.0.23"


def fetch_turbo(folder: Path) -> Path:
    """Return the folder of Turbo's scripts, unpacked below `folder`; skip the test where they cannot be had."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("There is no npm here (Debian: apt install npm), which brings Turbo.")
    command = [npm, "pack", PACKAGE, "--silent", "--pack-destination", str(folder)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode:
        pytest.skip(f"Turbo could not be fetched: {done.stderr.strip()[-500:]}")
    with tarfile.open(next(folder.glob("*.tgz"))) as package:
        package.extractall(folder, filter="data")
    return folder / "package" / "dist"
