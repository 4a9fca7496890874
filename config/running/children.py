"""Child processes that end with this process."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

PR_SET_PDEATHSIG = 1
PATIENCE = 30


@contextmanager
def child(command: Sequence[str], env: Mapping[str, str], *, last: signal.Signals) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program for the block; it receives the signal `last` after the block, or when this process is killed."""
    process = subprocess.Popen(command, env=env, preexec_fn=tie_to_us(last))
    try:
        yield process
    finally:
        end(process, last)


def end(process: subprocess.Popen[bytes], *signals: signal.Signals) -> None:
    """Stop a child with increasingly forceful signals, and wait for its end. Ctrl-C does not interrupt this."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        for rude in (*signals, signal.SIGKILL):
            if process.poll() is None:
                process.send_signal(rude)
            with suppress(subprocess.TimeoutExpired):
                process.wait(PATIENCE)
                break
    finally:
        signal.signal(signal.SIGINT, before)


def tie_to_us(last: signal.Signals) -> Callable[[], None] | None:
    """Return a function for the child to call, with which Linux sends it `last` when this process dies.

    Other systems have nothing like it: there, a server that remains after `kill -9` is ended at the next start. It is
    bound to the calling thread, so that only the main thread may start children.
    """
    if sys.platform != "linux":
        return None
    libc, parent = ctypes.CDLL(None), os.getpid()

    def tie() -> None:
        libc.prctl(PR_SET_PDEATHSIG, last)
        if os.getppid() != parent:  # we died in between
            os._exit(1)

    return tie


def command_of(pid: int) -> str:
    """Return the command line of a process; an empty one if the process does not exist."""
    if sys.platform == "linux":
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            return ""
    listed = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return listed.stdout.strip()
