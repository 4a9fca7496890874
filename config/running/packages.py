"""The project's virtual environment, `.run/venv`, which contains the packages of all commands that were used so far.

Each command names one of the files in requirements/. They are always installed by uv, which is not called while the
installed files are unchanged.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path

from config.running.folders import PROJECT, state_dir
from config.running.progress import step
from config.running.uv import run_uv

REQUIREMENTS = PROJECT / "requirements"
THIS_PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"


def ensure_installed(requirements: str) -> Path:
    """Return the Python of an environment that holds the packages of `requirements`/NAME.txt; install them if needed.

    The default Django shares one environment; each other one has its own. Raises Failure with the remedy.
    """
    folder = environment_dir(requirements)
    if not _is_ready(folder, requirements):
        with _one_at_a_time():
            if not _is_ready(folder, requirements):
                _install(folder, requirements)
    return python_of(folder)


def environment_dir(requirements: str) -> Path:
    """Return the path of the environment for this file."""
    return state_dir() / (f"venv-{requirements}" if "django" in requirements else "venv")


def python_of(folder: Path) -> Path:
    """Return the interpreter of a virtual environment."""
    return folder / "Scripts" / "python.exe" if os.name == "nt" else folder / "bin" / "python"


def _one_at_a_time() -> AbstractContextManager[object]:
    if os.name == "nt":
        return nullcontext()
    from config.running.locks import lock

    return lock(state_dir() / "set-up.lock", wait=True)


def _is_ready(folder: Path, requirements: str) -> bool:
    installed = _installed(folder)
    return python_of(folder).exists() and installed.get(requirements) == _fingerprint(requirements)


def _installed(folder: Path) -> Mapping[str, str]:
    """Return the files from which this environment was installed, with their hashes; none for another Python."""
    try:
        made = json.loads(_record(folder).read_text())
    except (FileNotFoundError, ValueError):
        return {}
    files: dict[str, str] = made["files"] if made["python"] == THIS_PYTHON else {}
    return files


def _record(folder: Path) -> Path:
    return folder / "installed.json"


def _fingerprint(requirements: str) -> str:
    return hashlib.sha256(_file(requirements).read_bytes()).hexdigest()


def _file(requirements: str) -> Path:
    return REQUIREMENTS / f"{requirements}.txt"


def _install(folder: Path, requirements: str) -> None:
    with step(f"Installing the packages of requirements/{requirements}.txt into {folder} (once)"):
        # The packages of earlier commands are kept, in their current versions.
        names = sorted({requirements, *(name for name in _installed(folder) if _file(name).exists())})
        _record(folder).unlink(missing_ok=True)
        venv.create(folder, with_pip=False, symlinks=os.name != "nt", clear=not _is_this_python(folder))
        sync(python_of(folder), *map(_file, names))
        made = {"python": THIS_PYTHON, "files": {name: _fingerprint(name) for name in names}}
        _record(folder).write_text(json.dumps(made))


def sync(python: Path, *files: Path, uv: Path | None = None) -> None:
    """Install exactly the packages of these files into this environment. Raises Failure that names the package."""
    run_uv("Installing the packages", "sync", "--python", python, "--require-hashes", *files, uv=uv)


def folder_with(name: str, *files: Path) -> Path:
    """Return a folder with the packages of these files, which is created once.

    It is for packages that conflict with the project's own. Raises Failure that names the package.
    """
    fingerprint = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]
    folder = state_dir() / "packages" / f"{name}-py{THIS_PYTHON}-{fingerprint}"
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Renamed when complete, so that a partial folder is never used.
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            draft = Path(scratch) / "draft"
            options: list[str | Path] = ["--python", sys.executable, "--target", draft, "--require-hashes"]
            run_uv(f"Installing {name}", "sync", *options, *files)
            with suppress(OSError):  # another process was faster: a folder that holds something is not replaced
                draft.rename(folder)
    return folder


def _is_this_python(folder: Path) -> bool:
    probe = [str(python_of(folder)), "-c", "import sys; print(*sys.version_info[:2], sep='.')"]
    try:
        found = subprocess.run(probe, capture_output=True, text=True, check=False).stdout
    except OSError:
        return False
    return found.strip() == THIS_PYTHON
