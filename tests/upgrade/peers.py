"""The real django-messages-extends 0.6.3, in a folder of its own that is made once."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from config.running.pip import runnable_pip

PROJECT = Path(__file__).resolve().parents[2]
REQUIREMENTS = (PROJECT / "requirements" / "serve.txt", Path(__file__).with_name("published.txt"))


def published_package() -> Path:
    """Return a folder that holds 0.6.3 and the Django of the lock, and nothing of this repository.

    Where it cannot be fetched the test is skipped; in CI (CI=true) it fails.
    """
    folder = _cache() / f"published-{_fingerprint()}"
    if not folder.exists():
        _install(folder)
    return folder


def _cache() -> Path:
    return Path(os.environ.get("RUN_DIR") or PROJECT / ".run") / "peers"


def _fingerprint() -> str:
    content = b"".join(path.read_bytes() for path in REQUIREMENTS)
    return f"py{sys.version_info[0]}{sys.version_info[1]}-{hashlib.sha256(content).hexdigest()[:12]}"


def _install(folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Made beside its place and then renamed, so that a half-made one is never used.
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        result = subprocess.run(_command(scratch), capture_output=True, text=True, check=False)
        if result.returncode:
            _give_up(result.stderr)
        shutil.copytree(scratch, folder.with_suffix(".part"), dirs_exist_ok=True)
    folder.with_suffix(".part").rename(folder)


def _command(target: str) -> list[str]:
    sources = [option for path in REQUIREMENTS for option in ("-r", str(path))]
    options = ["--disable-pip-version-check", "--no-input", "--only-binary", ":all:", "--require-hashes"]
    return [sys.executable, "-I", str(runnable_pip() / "pip"), "install", "--target", target, *options, *sources]


def _give_up(output: str) -> None:
    last = (output.strip().splitlines() or ["pip said nothing"])[-1]
    reason = f"django-messages-extends 0.6.3 could not be installed: {last}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
