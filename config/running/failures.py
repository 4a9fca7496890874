"""Failures that the user can resolve, reported in one line with a remedy."""

import errno

MOVE = "set RUN_DIR to a folder that you may write to, on a disk with room"


class Failure(Exception):
    """A failure that is reported in one line on stderr, without a traceback."""


def explain(error: OSError) -> Failure:
    """Return an error of the operating system as one line with a remedy."""
    where = error.filename or "the project's folder"
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return disk_full()
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return Failure(f"Cannot use {where} ({error.strerror}): {MOVE}.")
    return Failure(f"{where}: {error.strerror or error}.")


def explain_output(task: str, output: str, *, remedy: str) -> Failure:
    """Return the output of a failed program as one line."""
    if tells_of_full_disk(output):
        return disk_full()
    if "Read-only file system" in output:
        return Failure(f"{task} failed, the file system is read-only: {MOVE}.")
    return Failure(f"{task} failed: {_telling_line(output)} {remedy}".rstrip())


def tells_of_full_disk(output: str) -> bool:
    return any(words in output for words in ("No space left on device", "Disk quota exceeded", "Check free disk space"))


def disk_full() -> Failure:
    return Failure(f"The disk is full: make room (about 500 MB), or {MOVE}.")


def _telling_line(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    telling = [line for line in lines if line.startswith(("ERROR", "FATAL", "error:", "initdb: error"))]
    line = (telling or lines or ["it said nothing"])[-1]
    return line if line.endswith(".") else f"{line}."
