"""The suites of the host projects, each under its own settings and thus in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.hosts.conftest import HOSTS

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("host", HOSTS)
def test_host_suite_passes(host: str) -> None:
    run_suite(host)


@pytest.mark.parametrize("key", ["uuid", "text"])
def test_compiled_queries_work_with_non_numeric_primary_keys(key: str) -> None:
    run_suite("keys", KEY=key)


def run_suite(host: str, **env: str) -> None:
    """Run the suite of one host project in a process of its own; AssertionError, with what it says, if it fails."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "--color=no",
        "--create-db",
        "--confcutdir=tests/integration/hosts",
    ]
    settings = f"tests.integration.hosts.{host}.settings"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    run = subprocess.run(
        [*command, f"--ds={settings}", f"tests/integration/hosts/{host}"],
        cwd=ROOT,
        env={**environment, **env, "DJANGO_SETTINGS_MODULE": settings},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
