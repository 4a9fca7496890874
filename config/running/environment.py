"""The project's .venv: made on first use, and again whenever a lock in requirements/ has changed.

The installer is pip, run from its wheel: so a Python that has neither pip nor ensurepip (Debian's) is served like any
other, and the person's own pip configuration says where packages come from.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from config.running.failures import explain_output
from config.running.folders import PROJECT, state_dir, venv_dir
from config.running.pip import REMEDY, runnable_pip
from config.running.progress import say, step

REQUIREMENTS = PROJECT / "requirements"
# Each holds all of the one before.
LEVELS = ("serve", "test", "dev")


def ensure(level: str) -> Path:
    """Give the Python of a .venv that holds this level's packages; what is there already is not made again."""
    if not _is_ready(level):
        with _one_at_a_time():
            if not _is_ready(level):
                _make(level)
    return venv_python()


def venv_python() -> Path:
    folder = venv_dir()
    return folder / "Scripts" / "python.exe" if os.name == "nt" else folder / "bin" / "python"


def _one_at_a_time() -> AbstractContextManager[object]:
    if os.name == "nt":
        return nullcontext()
    from config.running.locks import lock

    return lock(state_dir() / "set-up.lock", wait=True)


def _is_ready(level: str) -> bool:
    stamp = _stamp_file()
    if not (stamp.exists() and venv_python().exists()):
        return False
    made_for, _, fingerprint = stamp.read_text().partition(" ")
    return fingerprint == _fingerprint() and LEVELS.index(made_for) >= LEVELS.index(level)


def _stamp_file() -> Path:
    return venv_dir() / "made-from"


def _fingerprint() -> str:
    locks = b"".join(_lock_file(level).read_bytes() for level in LEVELS)
    return f"{sys.version_info[0]}.{sys.version_info[1]} {hashlib.sha256(locks).hexdigest()}"


def _lock_file(level: str) -> Path:
    return REQUIREMENTS / f"{level}.txt"


def _make(level: str) -> None:
    with step(f"Setting up Python packages in {venv_dir()} (once)"):
        _stamp_file().unlink(missing_ok=True)
        venv.create(venv_dir(), with_pip=False, symlinks=os.name != "nt", clear=not _fits_this_python())
        _install(_lock_file(level))
        _stamp_file().write_text(f"{level} {_fingerprint()}")


def _fits_this_python() -> bool:
    probe = [str(venv_python()), "-c", "import sys; print(sys.version_info[:2])"]
    try:
        found = subprocess.run(probe, capture_output=True, text=True, check=False).stdout
    except OSError:
        return False
    return found.strip() == str(sys.version_info[:2])


def _install(requirements: Path) -> None:
    uv = shutil.which("uv")
    # uv does not read pip's configuration: where that names an index, only pip respects it.
    if not (uv and not _pip_names_an_index() and _install_with_uv(uv, requirements)):
        _install_with_pip(requirements)


def _install_with_uv(uv: str, requirements: Path) -> bool:
    options = ["--python", str(venv_python()), "--require-hashes", "-r", str(requirements)]
    return subprocess.run([uv, "pip", "install", *options], capture_output=True, check=False).returncode == 0


def _pip_names_an_index() -> bool:
    listed = subprocess.run([*_pip(), "config", "list"], capture_output=True, text=True, check=False)
    return any(word in listed.stdout for word in ("index-url", "no-index", "find-links"))


def _pip() -> list[str]:
    return [str(venv_python()), "-I", str(runnable_pip() / "pip")]


def _install_with_pip(requirements: Path) -> None:
    # Python compiles what it imports, when it does: all at once would take a third of the time.
    options = ["--disable-pip-version-check", "--no-input", "--no-compile", "--require-hashes", "-r", str(requirements)]
    printed = []
    with subprocess.Popen(
        [*_pip(), "install", *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as pip:
        try:
            for line in pip.stdout or ():
                printed.append(line)
                _show_progress(line)
        finally:
            pip.terminate()
    if pip.returncode:
        raise explain_output("Installing the packages", "".join(printed), remedy=REMEDY)


def _show_progress(line: str) -> None:
    """Say what takes long: the downloads above a megabyte, and the unpacking at the end."""
    words = line.split()
    if words[:1] == ["Downloading"] and line.rstrip().endswith("MB)"):
        say(f"  {Path(words[1]).name.split('-')[0]} {' '.join(words[2:])}")
    elif words[:2] == ["Installing", "collected"]:
        say("  unpacking")
