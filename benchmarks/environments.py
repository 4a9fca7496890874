"""Install the packages of each peer into a folder of its own, since one of them has this package's name."""

import os
import sys
from pathlib import Path

from benchmarks.failures import Unavailable
from config.running.failures import Failure
from config.running.folders import PROJECT
from config.running.packages import folder_with

REQUIREMENTS = Path(__file__).with_name("requirements")


def packages_of(peer: str) -> Path:
    """Return a folder that holds a peer and what it needs, and nothing of this repository; made once.

    Raises Unavailable where it cannot be fetched.
    """
    try:
        return folder_with(peer, REQUIREMENTS / f"{peer}.txt")
    except Failure as failure:
        raise Unavailable(f"{peer} could not be installed: {failure}") from None


def environment_of(peer: str) -> tuple[list[str], dict[str, str]]:
    """Return the start of a command that sees a peer's packages and then this project, and its environment.

    -S leaves out the packages of the Python that we run in.
    """
    path = os.pathsep.join([str(packages_of(peer)), str(PROJECT)])
    return [sys.executable, "-S", "-P"], {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
