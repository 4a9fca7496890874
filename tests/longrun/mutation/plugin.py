"""A plugin that runs tests with one rule broken: `-p tests.longrun.mutation.plugin`.

MUTATION holds the name of the change. A mitigation is taken out here; a mutation is installed when Python starts, and
is only verified here. What became of each test is written to MUTATION_REPORT, as JSON.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest

outcomes: dict[str, tuple[str, str]] = {}


def removed() -> Any:
    from tests.longrun.mutation.mitigations import MITIGATIONS

    name = os.environ.get("MUTATION", "")
    return next((mitigation for mitigation in MITIGATIONS if mitigation.name == name), None)


def _require_mutation() -> None:
    from tests.longrun.mutation.changed_source import named, require_installed

    mutation = named(os.environ.get("MUTATION", ""))
    if mutation is not None:
        require_installed(mutation)


def pytest_sessionstart() -> None:
    """Take a mitigation out once Django is set up, and before any test is imported."""
    _require_mutation()
    mitigation = removed()
    if mitigation is not None:
        mitigation.remove()


@pytest.fixture(autouse=True)
def _without_remedy(request: pytest.FixtureRequest) -> None:
    """Take out what lies in the database, within the test's own transaction."""
    mitigation = removed()
    if mitigation is not None and mitigation.sql:
        assert "committing" not in request.fixturenames, "this would be taken out for good"
        request.getfixturevalue("database")
        from django.db import connection

        with connection.cursor() as cursor:
            for statement in mitigation.sql:
                cursor.execute(statement)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    # A test whose preparation fails has shown nothing.
    if report.when == "call" or report.failed:
        crash = getattr(report.longrepr, "reprcrash", None)
        outcome = report.outcome if report.when == "call" else f"{report.when} failed"
        outcomes[report.nodeid] = (outcome, crash.message.split("\n")[0] if crash else "")


def pytest_sessionfinish() -> None:
    _require_mutation()
    if path := os.environ.get("MUTATION_REPORT"):
        Path(path).write_text(json.dumps(outcomes))
