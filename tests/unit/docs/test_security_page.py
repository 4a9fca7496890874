"""The page on security promises nothing that no test shows."""

import re

import pytest
from django.conf import settings

from tests.isolation.test_leak_scenarios import is_there

PAGE = settings.BASE_DIR / "docs" / "security.md"
ROW = re.compile(r"^\| (?!who |guarantee |---)(.+?) \| (.+) \| (.+?) \|$", re.MULTILINE)
NAME = re.compile(r"`([\w/]+\.py::[\w:]+)`")
PROMISES = [match for match in ROW.findall(PAGE.read_text("utf-8")) if "::" in match[2] or match[0].endswith(".")]


def test_security_page_has_more_than_25_guarantees() -> None:
    assert len(PROMISES) > 25


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise[0][:60])
def test_security_page_guarantee_names_existing_tests(promise: tuple[str, str, str]) -> None:
    names = NAME.findall(promise[2])
    assert names, "no test shows it"
    assert [name for name in names if not is_there(f"tests/{name}")] == []


def test_security_page_names_tests_only_in_guarantees() -> None:
    assert set(NAME.findall(PAGE.read_text("utf-8"))) == {
        name for promise in PROMISES for name in NAME.findall(promise[2])
    }
