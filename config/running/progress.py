"""Report the progress of steps that take time."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def step(text: str) -> Iterator[None]:
    """Print the name of a step, and how long it took."""
    started = time.monotonic()
    say(f"{text} ...")
    yield
    say(f"  done in {time.monotonic() - started:.1f} s")


def say(text: str) -> None:
    print(text, flush=True)
