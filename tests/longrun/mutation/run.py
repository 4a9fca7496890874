"""Takes out one remedy after the other and looks whether a test sees it: `python3 run.py mutate`.

First all tests that are named run with every remedy in place, because one that fails anyway sees nothing. Then each
remedy is taken out in a process of its own, and each test that is named beside it must fail.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from tests.longrun.mutation.mitigations import REMEDIES, Remedy

Outcomes = dict[str, tuple[str, str]]
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
WIDTH: Final = 100


def main(wanted: Sequence[str]) -> int:
    """Report on the remedies whose names hold one of these texts, or on all; 1 if one was missed."""
    remedies = [each for each in REMEDIES if not wanted or any(text in each.name for text in wanted)]
    if not remedies:
        sys.stderr.write(f"No remedy is called {', '.join(wanted)}.\n")
        return 2
    named = {name for remedy in remedies for name in remedy.caught_by}
    broken = _not(outcomes_of(sorted(named)), named, "passed")
    if broken:
        sys.stderr.write("These fail with every remedy in place, so they would show nothing:\n")
        sys.stderr.writelines(f"  {name}\n" for name in broken)
        return 1
    missed = sum(not _report(remedy) for remedy in remedies)
    sys.stdout.write(f"\n{len(remedies)} remedies taken out, {len(remedies) - missed} caught, {missed} missed.\n")
    return 1 if missed else 0


def _report(remedy: Remedy) -> bool:
    """Take one out, say by which tests that was seen, and return whether all saw it."""
    outcomes = outcomes_of(remedy.caught_by, removed=remedy.name)
    blind = _not(outcomes, remedy.caught_by, "failed")
    sys.stdout.write(f"{'MISSED' if blind else 'caught'}  {remedy.name}\n")
    for name in remedy.caught_by:
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


def outcomes_of(names: Iterable[str], *, removed: str = "") -> Outcomes:
    """Run tests, with a remedy taken out if one is named, and return what became of each."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        env = {**os.environ, "REMOVED_REMEDY": removed, "REMOVED_REMEDY_REPORT": str(report)}
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
