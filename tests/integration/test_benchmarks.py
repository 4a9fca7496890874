"""The benchmarks keep running, at a tiny size; no time is asserted here."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import report, results
from benchmarks.bench import Bench, Size, require, same
from benchmarks.failures import BenchmarkError
from benchmarks.outcome import Mark, Outcome, Plot, Row
from benchmarks.processes import OURS, PEERS, PLAIN, RAW, Contestants
from benchmarks.scenarios import SCENARIOS
from benchmarks.scenarios.reading import SAME_CONNECTION
from config.running.database import ensure_database
from config.running.folders import PROJECT
from config.running.locks import lock

# Who has to be there, by scenario; the rest is ours alone.
EVERYBODY = {OURS, *PEERS}
TAKE_PART = {
    1: EVERYBODY,
    2: {*EVERYBODY, RAW, "COPY by hand", "SQL by hand, guarded as ours", "Django's bulk_create"},
    3: {*EVERYBODY, RAW, SAME_CONNECTION},
    4: {*EVERYBODY, RAW, SAME_CONNECTION},
    5: {OURS, RAW, "django-notifications-hq", "django-generic-notifications"},
    6: {*EVERYBODY, RAW} - {"django-user-messages"},
    7: {OURS, "Django's FallbackStorage"},
    9: {OURS, RAW},
    11: {OURS, PLAIN},
    12: {OURS, PLAIN},
    18: {OURS, PLAIN},
    13: {"path set once (default)", "TENANT_LIMIT_SET_CALLS = False"},
    14: EVERYBODY,
    15: EVERYBODY,
    16: {OURS, "SQL by hand, guarded as ours"},
    17: {*EVERYBODY, "messages_extends without live updates", "SQL by hand, with NOTIFY"},
}


@pytest.fixture(scope="session")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return the results of all scenarios at their tiny size, which one process of a test run measures for all."""
    folder = tmp_path_factory.mktemp("bench")
    if run := os.environ.get("PYTEST_XDIST_TESTRUNUID"):
        folder = tmp_path_factory.getbasetemp().parent / f"bench-{run}"
    file = folder / "results.json"
    with lock(folder / "lock", wait=True):
        if not file.exists():
            _measure(file)
    found: dict[str, Any] = json.loads(file.read_text())["scenarios"]
    return found


def _measure(file: Path) -> None:
    ensure_database(os.environ["DATABASE_URL"])
    draft = file.with_name("draft.json")
    command = [sys.executable, "-m", "benchmarks", "--tiny", "--results", str(draft)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    draft.rename(file)


def _left_out(said: dict[str, Any]) -> str:
    return next((note for note in said["notes"] if "could not be installed" in note or "is not installed" in note), "")


@pytest.mark.longrun
@pytest.mark.parametrize("number", SCENARIOS)
def test_scenario_measures_every_contestant_and_checks_results(number: int, measured: dict[str, Any]) -> None:
    said = measured[str(number)]
    if reason := _left_out(said):
        assert os.environ.get("CI") != "true", reason
        pytest.skip(reason)
    assert {row["who"] for row in said["rows"]} == TAKE_PART.get(number, {OURS})
    assert said["checks"]
    assert said["looks"] or number in {12, 13}


@pytest.mark.longrun
def test_report_update_replaces_results_and_is_idempotent(measured: dict[str, Any]) -> None:
    found = {"scenarios": measured, "versions": {OURS: {"django": "5.2"}}}
    document = f"By hand before.\n\n{report.BEGIN}\nold\n{report.END}\n\nBy hand after.\n"
    written = report.into_document(document, found)
    assert written.startswith("By hand before.\n")
    assert written.endswith("By hand after.\n")
    assert "\nold\n" not in written
    assert all(scenario.title in written for scenario in SCENARIOS.values())
    assert report.into_document(written, found) == written


def test_results_keep_replaces_scenario_and_keeps_others(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    about = {"on": "2026-01-01"}
    for number, note in ((4, "first"), (3, "other"), (4, "second")):
        results.keep(file, number, Outcome(notes=[note]), about, {OURS: {"django": "5.2"}})
    kept = results.load_results(file)["scenarios"]
    assert {number: said["notes"] for number, said in kept.items()} == {"3": ["other"], "4": ["second"]}


def test_outcome_survives_json_round_trip() -> None:
    outcome = Outcome([Row.of("work", OURS, [1.0, 3.0], [0.5])], [Mark.at_most("≤ 2", 3, 2)], ["checked"])
    outcome.plots.append(Plot("title", "people", {OURS: [(1.0, 2.0)]}))
    again = Outcome.from_json(json.loads(json.dumps(outcome.as_json())))
    assert again.rows == outcome.rows
    assert again.marks == outcome.marks
    assert again.marks[0].reached is False


def test_benchmark_with_unequal_work_raises_benchmark_error() -> None:
    same("counts", {"one": 1, "other": 1})
    with pytest.raises(BenchmarkError, match="counts: other found 2, the first 1"):
        same("counts", {"one": 1, "other": 2})
    with pytest.raises(BenchmarkError, match="nobody sees it"):
        require(False, "nobody sees it")


def test_alternate_rotates_order_of_contestants() -> None:
    order: list[str] = []
    turns = {name: lambda name=name: order.append(name) for name in "abc"}
    Bench(Contestants(""), Size.TINY).alternate(turns, 3)
    assert "".join(order) == "abcbcacab"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.0000123, "12.3 µs"), (0.00123, "1.23 ms"), (0.5, "500 ms"), (12.34, "12.3 s"), (150.0, "150 s")],
)
def test_report_time_uses_readable_unit(seconds: float, shown: str) -> None:
    assert report.time(seconds) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.92333, "0.923 times"), (30.114, "30.1 times"), (871.4, "871 times"), (11_663.4, "11,663 times")],
)
def test_mark_found_shows_factor_without_exponent(value: float, shown: str) -> None:
    assert Mark.at_least("", value, 1, " times").found == shown


def test_write_plots_is_deterministic(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="plots need the dependency group bench")
    from benchmarks.plots import write_plots

    outcome = Outcome(plots=[Plot("title", "people", {OURS: [(0.0, 2.0), (10.0, 3.0)]})])
    for folder in ("one", "other"):
        write_plots(tmp_path / folder, {3: outcome})
    one, other = ((tmp_path / folder / report.plot_name(3, 0)).read_bytes() for folder in ("one", "other"))
    assert one == other
    assert b"<svg" in one


def test_benchmark_document_matches_stored_results() -> None:
    found = results.load_results(results.FULL)
    document = results.DOCUMENT.read_text()
    assert report.into_document(document, found) == document
