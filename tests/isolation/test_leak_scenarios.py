"""Each scenario has its tests, each mitigation one that fails without it; none of them is only a name."""

import ast
from pathlib import Path

import pytest
from django.conf import settings

from tests.isolation.leak_scenarios import LEAK_SCENARIOS
from tests.longrun.mutation.mitigations import MITIGATIONS


def is_there(name: str) -> bool:
    """Tell whether there is a test of this name: file::function or file::Class::method."""
    path, *names = name.split("[", maxsplit=1)[0].split("::")
    node: ast.AST | None = ast.parse((Path(settings.BASE_DIR) / path).read_text("utf-8"))
    for each in names:
        defined = {found.name: found for found in getattr(node, "body", ()) if isinstance(found, KINDS)}
        node = defined.get(each)
    return isinstance(node, ast.FunctionDef) and node.name.startswith("test_")


KINDS = (ast.FunctionDef, ast.ClassDef)


@pytest.mark.parametrize("scenario", LEAK_SCENARIOS, ids=lambda scenario: scenario.what)
def test_every_leak_scenario_has_existing_tests(scenario: object) -> None:
    names = (*scenario.premises, *scenario.mitigations)
    assert scenario.mitigations
    assert [name for name in names if not is_there(name)] == []


def test_leak_scenarios_contain_thirty_distinct_entries() -> None:
    assert len(LEAK_SCENARIOS) == len({scenario.what for scenario in LEAK_SCENARIOS}) == 30


@pytest.mark.parametrize("mitigation", MITIGATIONS, ids=lambda mitigation: mitigation.name)
def test_every_mitigation_names_existing_test(mitigation: object) -> None:
    assert mitigation.caught_by
    assert [name for name in mitigation.caught_by if not is_there(name)] == []


def test_mitigation_names_are_unique() -> None:
    assert len({mitigation.name for mitigation in MITIGATIONS}) == len(MITIGATIONS)


def test_is_there_rejects_unknown_test_name() -> None:
    assert is_there("tests/isolation/test_leak_scenarios.py::test_is_there_rejects_unknown_test_name")
    assert is_there("tests/integration/test_async.py::no_such_test") is False
