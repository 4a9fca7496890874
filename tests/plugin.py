"""Set the environment of a test run before Django reads its settings; loaded by `-p tests.plugin`."""

import os
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path

import hypothesis
import pytest

from config.running.database import database_for_tests
from config.running.failures import Failure, explain

TESTS = Path(__file__).parent
# A health check of Hypothesis that depends on the load of the machine.
hypothesis.settings.register_profile("tests", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("tests")

# All other folders contain tests that need browsers, servers, databases of their own or threads.
UNIT_TESTS = "unit"

# Tests that commit, or request whole pages, are more than unit tests.
WIDER_FIXTURES = {"committing", "browser_of"}


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None]:
    """Start a server before pytest-django, whose hook runs inside this wrapper, loads the settings."""
    os.environ.setdefault("SECRET_KEY", "only for tests: " + "0123456789" * 5)
    os.environ.setdefault("SECURE_COOKIES", "false")
    server = ExitStack()
    early_config.add_cleanup(server.close)
    if "DATABASE_URL" in os.environ and "OUTER_TEST_RUN" not in os.environ:
        server.callback(_drop_templates)
    # The processes of this run, and runs that tests start, use its server.
    os.environ["OUTER_TEST_RUN"] = "1"
    try:
        os.environ["DATABASE_URL"] = server.enter_context(database_for_tests())
    except (Failure, OSError) as error:
        raise pytest.UsageError(str(error if isinstance(error, Failure) else explain(error))) from None
    return (yield)


def _drop_templates() -> None:
    from tests.databases import drop_templates

    drop_templates()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("messages_extends")
    group.addoption("--quick", action="store_true", help="run unit tests only: no other programs, commits or pages")
    group.addoption("--longrun", action="store_true", help="run what takes long by its nature, and nothing else")
    group.addoption("--with-longrun", action="store_true", help="run everything")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not import files that --quick excludes as a whole."""
    if config.getoption("--quick") and collection_path.parent == TESTS and collection_path.name != UNIT_TESTS:
        return True
    return None


@pytest.hookimpl(trylast=True)  # after the order has been made random
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect long tests and others that options exclude; move unit tests to the end.

    They are short, so that no process waits long for the last test of another one.
    """
    left_out = [item for item in items if not _is_wanted(item, config)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
    items[:] = sorted((item for item in items if _is_wanted(item, config)), key=_is_unit_test)


def _is_wanted(item: pytest.Item, config: pytest.Config) -> bool:
    takes_long = item.get_closest_marker("longrun") is not None
    if takes_long != config.getoption("--longrun") and not config.getoption("--with-longrun"):
        return False
    return not config.getoption("--quick") or _is_unit_test(item)


def _is_unit_test(item: pytest.Item) -> bool:
    folder = item.path.relative_to(TESTS).parts[0]
    wider = WIDER_FIXTURES.intersection(getattr(item, "fixturenames", ()))
    return folder == UNIT_TESTS and not wider and not item.get_closest_marker("integration")
