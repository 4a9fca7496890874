"""A small load test: no organisation's request is answered with another's data. `python3 run.py load` is the whole."""

import os
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from tests.longrun.load.run import (
    Findings,
    LoadProfile,
    Organisation,
    Question,
    look_through_cache,
    look_through_log,
    look_through_tables,
    own_database,
    report,
    run,
)

OWN, OTHER = "canary" + "1" * 16, "canary" + "2" * 16
ORGANISATIONS = [Organisation("one", OWN), Organisation("two", OTHER)]
QUESTION = Question("home", ORGANISATIONS[0], 1, "GET", "/")
SMALL = LoadProfile(organisations=3, requests=250, threads=3, clients=12)


@pytest.fixture
def findings() -> Findings:
    return Findings()


def test_concurrent_load_leaks_nothing_between_tenants() -> None:
    outcome = run(SMALL, os.environ["DATABASE_URL"])
    assert outcome.is_clean, report(outcome)
    assert outcome.findings.total >= SMALL.requests
    assert outcome.rows > 100
    assert outcome.cached == 0
    assert outcome.log_lines >= SMALL.requests


@pytest.mark.parametrize(("text", "leaks"), [(f"<p>{OWN}</p>", 0), (f"Set-Cookie: x={OTHER}", 1), (OWN + OTHER, 1)])
def test_findings_detect_leak_in_response(findings: Findings, text: str, leaks: int) -> None:
    findings.answer(QUESTION, 200, text)
    assert len(findings.leaks) == leaks


@pytest.mark.parametrize(
    ("line", "leaks"),
    [
        (f"2026-01-01 12:00:00,000 INFO [one] uvicorn.access: /?trace={OWN}", 0),
        (f"2026-01-01 12:00:00,000 INFO [one] uvicorn.access: /?trace={OTHER}", 1),
        (f"2026-01-01 12:00:00,000 INFO [-] uvicorn.access: /?trace={OTHER}", 0),
        (f"Traceback: {OWN} and {OTHER}", 2),
    ],
)
def test_log_search_detects_leaks(findings: Findings, tmp_path: Path, line: str, leaks: int) -> None:
    (tmp_path / "log").write_text(line)
    assert look_through_log(tmp_path / "log", ORGANISATIONS, findings) == 1
    assert bool(findings.leaks) == bool(leaks)


@pytest.mark.parametrize(("line", "leaks"), [("one::1:key 'value'", 0), ("public::1:key 'value'", 1), (f"x {OWN}", 1)])
def test_cache_search_detects_leaks(findings: Findings, tmp_path: Path, line: str, leaks: int) -> None:
    (tmp_path / "cache").write_text(line)
    assert look_through_cache(tmp_path / "cache", findings) == 1
    assert len(findings.leaks) == leaks


def test_table_search_detects_leaks(findings: Findings) -> None:
    with own_database(os.environ["DATABASE_URL"]) as url:
        with psycopg.connect(url, autocommit=True) as connection:
            for organisation in ORGANISATIONS:
                name = sql.Identifier(organisation.schema)
                connection.execute(sql.SQL("CREATE SCHEMA {}").format(name))
                connection.execute(sql.SQL("CREATE TABLE {}.notes AS SELECT {} AS text").format(name, OTHER))
        assert look_through_tables(url, ORGANISATIONS, findings) == 2
    assert [leak.split(":")[0] for leak in findings.leaks] == ["table one.notes"]
