"""Code written for django-messages-extends 0.6.3 does with our package what it did with the real one."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.upgrade.hosts import HOST, Host

# What is different, as docs/how-to/upgrading.md says: there, here.
DIFFERENT = {
    "a text of 150,000 characters": (
        [None, [["alice", "info persistent", 150_000, "", False]]],
        [None, [["alice", "info persistent", 100_000, "", False]]],
    ),
    "a blank text": ([None, [["alice", "info persistent", 2, "", False]]], [None, []]),
}


@pytest.fixture
def outcomes(published: Path, per_tenant: Host, migrated: Host) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what each piece of code has done with 0.6.3, and with ours."""
    theirs, ours = per_tenant, migrated
    command = [sys.executable, "-S", "-P", "-W", "ignore", "-m", "django", "old_code", "acme"]
    environment = theirs.environment([HOST, published])
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), json.loads(ours.manage("old_code", "acme"))


def test_old_code_behaves_as_with_0_6_3_except_documented_differences(
    outcomes: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    before, now = outcomes
    assert len(before) > 20
    different = {name: (before[name], now[name]) for name in before if before[name] != now[name]}
    assert different == DIFFERENT
