"""The folders in which run.py keeps the Python environment, the databases and their secrets."""

import os
import secrets
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent.parent


def run_dir() -> Path:
    """Return the folder that contains .run: RUN_DIR, or the project's."""
    return Path(os.environ.get("RUN_DIR") or PROJECT).absolute()


def state_dir() -> Path:
    return run_dir() / ".run"


def kept_secret(path: Path) -> str:
    """Return the secret in this file, which is created at first use and readable by its owner only."""
    if not path.exists():
        replace_private(path, secrets.token_urlsafe(50))
    return path.read_text()


def replace_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)
