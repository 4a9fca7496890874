"""Scenario 12: making organisations, and migrating many."""

import os
import subprocess
import sys
from time import perf_counter
from typing import Any

from benchmarks.bench import Bench, require, times, turns, typical
from benchmarks.outcome import Mark, Outcome, Row
from benchmarks.processes import OURS, PLAIN, database_settings, our_environment
from config.running.folders import PROJECT


def making(bench: Bench) -> Outcome:
    outcome = Outcome()
    both = {OURS: bench.ours, PLAIN: bench.contestants[PLAIN]}
    for contestant in both.values():
        contestant.prepare(organisations=1, people=1)
    create = turns(both, "create", name="newcomer")
    bench.alternate(create, 1)
    answers = bench.alternate(create, bench.pick(7, 2, 1))
    for name, found in answers.items():
        outcome.rows.append(Row.of("make one organisation, with its first administrator", name, times(found)))
    share = 1 - typical(answers[PLAIN]) / typical(answers[OURS])
    outcome.marks.append(Mark.at_most("messages_extends's own share ≤ 15 %", share * 100, 15, " %"))
    by_database = typical(answers[OURS], "database") / typical(answers[OURS])
    outcome.marks.append(Mark.stated("of which in the database, for our tables", f"{by_database * 100:.1f} %"))
    outcome.notes.append(
        "Our share beyond the database's is Django's: for each migration it makes its models of that time anew. One "
        "migration in place of ours would take less; but no organisation made by it could go back to an older release."
    )
    _migrate_many(bench, outcome, both[PLAIN])
    outcome.checks.append("What was migrated later has the same tables, constraints and triggers as one that is new.")
    return outcome


def _migrate_many(bench: Bench, outcome: Outcome, plain: Any) -> None:
    """Add this package to a product that has many organisations already."""
    number = bench.pick(100, 3, 2)
    plain.prepare(organisations=number, people=1)
    environment = our_environment(OURS) | database_settings(bench.contestants.database_of(PLAIN))
    took = _migrate(environment)
    outcome.rows.append(Row.of(f"add our tables to {number} organisations that there are", OURS, [took]))
    again = _migrate(environment)
    outcome.rows.append(Row.of(f"migrate {number} organisations where nothing has changed", OURS, [again]))
    outcome.marks.append(
        Mark.stated(f"migrating {number} organisations", f"{took:.1f} s, {again:.1f} s with nothing to do")
    )
    shapes = plain.parts(organisation=number), bench.ours.parts(organisation=1)
    require(shapes[0] == shapes[1], "An organisation that was migrated is not what a new one is.")


def _migrate(environment: dict[str, str]) -> float:
    command = [sys.executable, str(PROJECT / "manage.py"), "migrate_schemas", "--verbosity", "0"]
    start = perf_counter()
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    require(done.returncode == 0, f"migrate_schemas failed: {done.stderr[-2000:]}")
    return perf_counter() - start
