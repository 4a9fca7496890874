"""Sets the environment of a test run before Django reads its settings; loaded by `-p tests.rig`."""

import os
from collections.abc import Generator
from contextlib import ExitStack

import pytest

from config.running.database import database_for_tests
from config.running.failures import Failure, explain


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None]:
    """Give the tests a server before pytest-django, whose hook runs inside this wrapper, loads the settings."""
    os.environ.setdefault("SECRET_KEY", "only for tests: " + "0123456789" * 5)
    os.environ.setdefault("SECURE_COOKIES", "false")
    server = ExitStack()
    early_config.add_cleanup(server.close)
    try:
        os.environ["DATABASE_URL"] = server.enter_context(database_for_tests())
    except (Failure, OSError) as error:
        raise pytest.UsageError(str(error if isinstance(error, Failure) else explain(error))) from None
    return (yield)
