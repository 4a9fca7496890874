"""Run tests with one rule broken at a time, and report whether they fail: `python3 run.py mutate`.

There are two lists. `mitigations` takes out what keeps organisations apart; `mutations` changes the source text of
sending, inbox, access and live updates. First all tests that are named run with nothing changed, because one that fails
anyway shows nothing. Then each change is made in a process of its own, and each test that is named beside it must fail.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from tests.databases import drop_templates
from tests.longrun.mutation.changed_source import VARIABLE, environment_for
from tests.longrun.mutation.mitigations import MITIGATIONS, Mitigation
from tests.longrun.mutation.mutations import MUTATIONS, Mutation

Outcomes = dict[str, tuple[str, str]]
ALL: Final[tuple[Mitigation | Mutation, ...]] = (*MITIGATIONS, *MUTATIONS)
REPORT: Final = "MUTATION_REPORT"
OPTIONS: Final = (
    "-p",
    "tests.longrun.mutation.plugin",
    "-p",
    "no:randomly",
    "-p",
    "no:cacheprovider",
    "-q",
    "--tb=no",
    "--with-longrun",
)
# How many run at the same time: most of them wait for a server or a lock.
PROCESSES: Final = 2
WIDTH: Final = 100


def main(wanted: Sequence[str]) -> int:
    """Report on the changes whose names hold one of these texts, or on all; 1 if one was missed."""
    chosen = [each for each in ALL if not wanted or any(text in each.name for text in wanted)]
    if not chosen:
        sys.stderr.write(f"No mitigation or mutation is called {', '.join(wanted)}.\n")
        return 2
    try:
        return _run(chosen)
    finally:
        if "DATABASE_URL" in os.environ and "OUTER_TEST_RUN" not in os.environ:
            drop_templates()


def _run(chosen: Sequence[Mitigation | Mutation]) -> int:
    began = time.monotonic()
    named = {name for each in chosen for name in each.caught_by}
    broken = _not(outcomes_of(sorted(named)), named, "passed")
    if broken:
        sys.stderr.write("These fail with nothing changed, so they would show nothing:\n")
        sys.stderr.writelines(f"  {name}\n" for name in broken)
        return 1
    with ThreadPoolExecutor(PROCESSES) as pool:
        caught = 0
        for each, outcomes in zip(chosen, pool.map(_outcomes_with, chosen), strict=True):
            caught += _report(each, outcomes)
    for kind, what in ((Mitigation, "mitigations taken out"), (Mutation, "mutations")):
        number = sum(isinstance(each, kind) for each in chosen)
        sys.stdout.write(f"{number} {what}\n" if number else "")
    minutes = (time.monotonic() - began) / 60
    sys.stdout.write(f"{caught} of {len(chosen)} caught, {len(chosen) - caught} missed, in {minutes:.1f} minutes.\n")
    return 0 if caught == len(chosen) else 1


def _outcomes_with(change: Mitigation | Mutation) -> Outcomes:
    return outcomes_of(change.caught_by, change=change)


def _report(change: Mitigation | Mutation, outcomes: Outcomes) -> bool:
    """Say by which tests a change was seen, and return whether all saw it."""
    blind = _not(outcomes, change.caught_by, "failed")
    sys.stdout.write(f"{'MISSED' if blind else 'caught'}  {change.name}\n")
    for name in change.caught_by:
        test = name.rpartition("::")[2]
        runs = [outcome for _node, outcome in _of(outcomes, name)]
        if name in blind:
            became = ", ".join(sorted({f"{outcome} {message}".strip() for outcome, message in runs})) or "not run"
            sys.stdout.write(f"        {test} does not see it: {became[:WIDTH]}\n")
        else:
            seen = next(message for outcome, message in runs if outcome == "failed")
            sys.stdout.write(f"        {test}\n            {seen[:WIDTH]}\n")
    sys.stdout.flush()
    return not blind


def outcomes_of(names: Iterable[str], *, change: Mitigation | Mutation | None = None) -> Outcomes:
    """Run tests, with one change if it is given, and return what became of each."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        # All share the template database that the first run makes, with nothing changed: none of them may drop it.
        env = {**os.environ, VARIABLE: "", REPORT: str(report), "OUTER_TEST_RUN": "1"}
        if isinstance(change, Mutation):
            env |= environment_for(change)
        elif change is not None:
            env[VARIABLE] = change.name
        command = [sys.executable, "-m", "pytest", *OPTIONS, *names]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        if not report.exists():
            raise SystemExit(done.stdout + done.stderr)
        return {name: (outcome, message) for name, (outcome, message) in json.loads(report.read_text()).items()}


def _of(outcomes: Outcomes, name: str) -> list[tuple[str, tuple[str, str]]]:
    """Return the outcomes of a test, with each of its parameters."""
    return [(node, outcome) for node, outcome in outcomes.items() if node.split("[")[0] == name]


def _not(outcomes: Outcomes, names: Iterable[str], wanted: str) -> list[str]:
    """Return the names none of whose runs has this outcome, or, of "passed", not all."""
    enough = all if wanted == "passed" else any
    runs = {name: [outcome for _, (outcome, _message) in _of(outcomes, name)] for name in names}
    return [name for name, found in runs.items() if not found or not enough(each == wanted for each in found)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
