"""Scenario 18: what the package adds to a worker before its first request."""

import json
import subprocess
import sys
from collections.abc import Mapping
from functools import partial
from tempfile import TemporaryDirectory
from typing import Any, Final

from benchmarks.bench import Bench, require, times, typical
from benchmarks.outcome import Mark, Outcome, Row
from benchmarks.processes import OURS, PLAIN, our_environment
from config.running.folders import PROJECT

# What each imports to send a message, and its ASGI application.
MODULES: Final[Mapping[str, tuple[str, str]]] = {
    OURS: ("messages_extends.api", "config.asgi"),
    PLAIN: ("django.contrib.messages.api", "benchmarks.plain.asgi"),
}
PROJECT_ONLY: Final = "import the project: settings, apps, URLs"
WITH_API: Final = "import the project, and the functions that send"
LIMIT: Final = 1.1


def starting(bench: Bench) -> Outcome:
    outcome = Outcome()
    with TemporaryDirectory() as bytecode:
        starts = {name: partial(_start, name, bytecode) for name in MODULES}
        # The first start compiles every module; packages that are installed are compiled when they are installed.
        bench.alternate(starts, 1)
        answers = bench.alternate(starts, bench.pick(15, 5, 1))
    for work, key in ((PROJECT_ONLY, "project"), (WITH_API, "api")):
        for name, found in answers.items():
            outcome.rows.append(Row.of(work, name, times(found, key), note=_memory(found)))
        ratio = typical(answers[OURS], key) / typical(answers[PLAIN], key)
        outcome.marks.append(Mark.at_most(f"{work}: ≤ {LIMIT} × with Django's messages only", ratio, LIMIT))
    ratio = typical(answers[OURS], "memory") / typical(answers[PLAIN], "memory")
    wanted = f"memory of a worker: ≤ {LIMIT} × with Django's messages only"
    outcome.marks.append(Mark.at_most(wanted, ratio, LIMIT))
    outcome.notes.append(
        "Each time is processor time of a new process, from before Django is imported; modules are compiled and "
        "cached by the system. "
        "Memory is what the process alone holds once its ASGI application is imported. Both projects have "
        "django-tenants and guardian."
    )
    outcome.checks.append("Each process imports the application that the production server would serve.")
    return outcome


def _start(name: str, bytecode: str) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.worker", *MODULES[name]]
    # An empty PYTHONDONTWRITEBYTECODE is the same as none.
    environment = {**our_environment(name), "PYTHONPYCACHEPREFIX": bytecode, "PYTHONDONTWRITEBYTECODE": ""}
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    require(done.returncode == 0, f"{name} does not start: {done.stderr[-2000:]}")
    answer: dict[str, float] = json.loads(done.stdout)
    return answer


def _memory(found: list[Any]) -> str:
    return f"{typical(found, 'memory') / 2**20:.0f} MiB"
