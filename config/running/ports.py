"""Check whether a port is free, and name the process that uses it."""

import errno
import socket
import sys
from pathlib import Path

from config.running.children import command_of
from config.running.failures import Failure

LISTENING = "0A"


def check_port(host: str, port: int) -> None:
    """Raise Failure that names the process if the port is in use."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.create_server((host, port), family=family):
            return
    except OSError as error:
        raise _explained(error, host, port) from None


def _explained(error: OSError, host: str, port: int) -> Failure:
    if error.errno == errno.EADDRINUSE:
        return Failure(f"Port {port} is in use by {holder(port)}: stop that, or choose another with --port.")
    if error.errno == errno.EACCES:
        return Failure(f"Port {port} is for administrators only: choose one above 1023 with --port.")
    return Failure(f"Cannot listen on {host}, port {port} ({error.strerror}): choose another with --host or --port.")


def holder(port: int) -> str:
    """Return the name of the process that listens on this port, if the system reveals it."""
    sockets = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    if sys.platform == "linux" and sockets:
        for process in Path("/proc").glob("[0-9]*"):
            if _holds(process, sockets):
                return f"process {process.name} ({command_of(int(process.name))})"
    return "another program"


def _listening_inodes(port: int) -> set[str]:
    inodes = set()
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        for line in table.read_text().splitlines()[1:] if table.exists() else ():
            local, state, inode = (line.split()[column] for column in (1, 3, 9))
            if state == LISTENING and int(local.rpartition(":")[2], 16) == port:
                inodes.add(inode)
    return inodes


def _holds(process: Path, sockets: set[str]) -> bool:
    try:
        return any(str(opened.readlink()) in sockets for opened in (process / "fd").iterdir())
    except OSError:  # somebody else's process, or gone by now
        return False
