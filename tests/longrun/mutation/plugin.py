"""A plugin that runs tests with one mitigation taken out: `-p tests.longrun.mutation.plugin`.

Its name is in REMOVED_REMEDY.

What became of each test is written to REMOVED_REMEDY_REPORT, as JSON.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest

outcomes: dict[str, tuple[str, str]] = {}


def removed() -> Any:
    from tests.longrun.mutation.mitigations import REMEDIES

    name = os.environ.get("REMOVED_REMEDY", "")
    return next((remedy for remedy in REMEDIES if remedy.name == name), None)


def pytest_sessionstart() -> None:
    """Take it out once Django is set up, and before any test is imported."""
    remedy = removed()
    if remedy is not None:
        remedy.remove()


@pytest.fixture(autouse=True)
def _without_remedy(request: pytest.FixtureRequest) -> None:
    """Take out what lies in the database, within the test's own transaction."""
    remedy = removed()
    if remedy is not None and remedy.sql:
        assert "committing" not in request.fixturenames, "this would be taken out for good"
        request.getfixturevalue("database")
        from django.db import connection

        with connection.cursor() as cursor:
            for statement in remedy.sql:
                cursor.execute(statement)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    # A test whose preparation fails has shown nothing.
    if report.when == "call" or report.failed:
        crash = getattr(report.longrepr, "reprcrash", None)
        outcome = report.outcome if report.when == "call" else f"{report.when} failed"
        outcomes[report.nodeid] = (outcome, crash.message.split("\n")[0] if crash else "")


def pytest_sessionfinish() -> None:
    if path := os.environ.get("REMOVED_REMEDY_REPORT"):
        Path(path).write_text(json.dumps(outcomes))
