"""Check the locked packages for known vulnerabilities with pip-audit."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from config.running.failures import Failure
from config.running.folders import PROJECT

# The lock file that contains all others.
LOCK = PROJECT / "requirements" / "dev.txt"
# The message if the service cannot be reached; any other error is a failure.
AWAY = re.compile(r"ConnectionError|ProxyError|SSLError|Timeout|ServiceError|Max retries exceeded|Temporary failure")
COMMAND = (sys.executable, "-m", "pip_audit", "--require-hashes", "--disable-pip", "--format=json")


def audit_lock(lock: Path = LOCK, env: Mapping[str, str] = os.environ) -> str:
    """Return the result for the locked versions in one line. Raises Failure if one of them has a known vulnerability.

    Without a network, or with an index that has no such data, the line says that nothing is known.
    """
    command = [*COMMAND, "--progress-spinner=off", f"--requirement={lock}"]
    done = subprocess.run(command, env=dict(env), capture_output=True, text=True, check=False)
    if done.stdout.startswith("{"):
        return verdict(json.loads(done.stdout))
    if AWAY.search(done.stderr):
        return "NOT AUDITED: the list of known weaknesses cannot be reached from here."
    raise Failure(f"pip-audit has failed: {(done.stderr.strip().splitlines() or ['it says nothing'])[-1]}")


def verdict(report: Mapping[str, Any]) -> str:
    """Return the result of a pip-audit report in one line. Raises Failure that names each vulnerability."""
    packages = report["dependencies"]
    weak = [package for package in packages if package.get("vulns")]
    unknown = [package["name"] for package in packages if "skip_reason" in package]
    if weak:
        raise Failure("Known weaknesses: " + "; ".join(map(_wait_message, weak)))
    if len(unknown) == len(packages):
        return "NOT AUDITED: the index that packages come from here knows of no weaknesses at all."
    if unknown:
        return f"No known weakness in {len(packages) - len(unknown)} packages. NOT AUDITED: {', '.join(unknown)}."
    return f"No known weakness in {len(packages)} packages."


def _wait_message(package: Mapping[str, Any]) -> str:
    found = [f"{each['id']} ({_remedy(each)})" for each in package["vulns"]]
    return f"{package['name']} {package['version']}: {', '.join(found)}"


def _remedy(weakness: Mapping[str, Any]) -> str:
    versions = weakness.get("fix_versions")
    return f"fixed in {versions[0]}" if versions else "not fixed yet"
