"""What the person at the terminal sees of steps that take time."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def step(text: str) -> Iterator[None]:
    """Say what begins, and how long it took."""
    started = time.monotonic()
    say(f"{text} ...")
    yield
    say(f"  done in {time.monotonic() - started:.1f} s")


def say(text: str) -> None:
    print(text, flush=True)
