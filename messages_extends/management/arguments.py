"""Types of command-line arguments."""

from argparse import ArgumentTypeError


def positive_int(text: str) -> int:
    """Return `text` as a number of at least 1. Raises ArgumentTypeError for anything else."""
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise ArgumentTypeError(f"{text!r} is not a positive number")
    return int(text)
