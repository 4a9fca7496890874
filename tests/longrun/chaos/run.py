"""Kills, cuts, cancels and fills up what the product stands on, while people use it: `python3 run.py chaos`.

A PostgreSQL of its own, durable, on a disk of its own, and the production server on it. People send, announce,
broadcast and mark, and ask again with the same form until they are told that it is done. Then it is counted: what was
acknowledged and is not there (lost), what is there twice (doubled), what is there by halves; and how long it took after
each fault until requests succeeded again.
"""

import argparse
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from config.running.children import command_of
from tests.longrun.chaos import workers
from tests.longrun.chaos.faults import FAULTS, Fault
from tests.longrun.chaos.load import PLATFORM, Load, Outcome, ask, compare, prepare
from tests.longrun.chaos.server import Database, own_server
from tests.longrun.load import run as load_test
from tests.longrun.load.run import Organisation, Question

THREADS: Final = 6
IN_A_ROW: Final = 10
TIMEOUT_S: Final = 120
KILLED: Final = f"{'killed (-9) in the middle of':<40}{'times':>7}{'nothing':>9}{'some':>7}{'all':>7}  then run again"


@dataclass
class FaultResult:
    """What a fault did to requests."""

    name: str
    done: int = 0
    refused: int = 0
    cut_off: int = 0
    wrong: int = 0
    recovered: float | None = None
    skipped: str = ""


@dataclass
class Result:
    faults: list[FaultResult] = field(default_factory=list)
    outcome: Outcome = field(default_factory=Outcome)
    repeated: int = 0
    wrong: list[str] = field(default_factory=list)
    killed: list[workers.Killed] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        outcome = self.outcome
        bad = (
            *outcome.lost,
            *outcome.doubled,
            *outcome.halves,
            *self.wrong,
            *(k for k in self.killed if not k.is_clean),
        )
        recovered = all(each.recovered is not None or each.skipped for each in self.measured)
        return not bad and recovered and bool(outcome.acknowledged)


@dataclass
class Site:
    """The product on a database of its own."""

    database: Database
    organisations: list[Organisation]
    env: dict[str, str]
    folder: Path


@contextmanager
def site(organisations: int = 3) -> Iterator[Site]:
    made = [Organisation(f"fault_{number}", f"canary{secrets.token_hex(8)}") for number in range(organisations - 1)]
    made.append(Organisation(PLATFORM, f"canary{secrets.token_hex(8)}"))
    with tempfile.TemporaryDirectory() as folder, own_server() as database:
        env = load_test._environment(database.url, Path(folder), load_test.LoadProfile()) | {
            "DATABASE_POOL_MAX": "2",
            "DATABASE_POOL_TIMEOUT": "2",
            "LOG_LEVEL": "ERROR",
        }
        load_test._make(env, made)
        prepare(database, made)
        yield Site(database, made, env, Path(folder))


def inject_faults(site: Site, faults: Sequence[Fault], seconds: float, say: Callable[[str], object]) -> Result:
    """Let people write, and one fault after the other happen."""
    result = Result()
    with (
        load_test.serve(site.env, site.folder, load_test.LoadProfile(workers=2)) as (port),
        Load(port, site.organisations, THREADS) as load,
    ):
        time.sleep(seconds)
        for fault in faults:
            say(fault.name)
            result.faults.append(_measure_fault(site, fault, seconds, port, load))
    site.database.revive()
    result.outcome = compare(load.ledger, site.database, site.organisations)
    result.repeated, result.wrong = load.ledger.repeated, load.ledger.wrong
    return result


def _measure_fault(site: Site, fault: Fault, seconds: float, port: int, load: Load) -> FaultResult:
    measured = FaultResult(fault.name, skipped=fault.reason_to_skip)
    if measured.skipped:
        return measured
    before = load.ledger.statuses.copy()
    fault.happen(site.database, seconds, web_process(port))
    measured.recovered = _seconds_until_all_is_well(port, site.organisations)
    during = load.ledger.statuses - before
    measured.done, measured.refused, measured.cut_off = during["302"] + during["200"], during["503"], during["cut off"]
    measured.wrong = during.total() - measured.done - measured.refused - measured.cut_off
    return measured


def web_process(port: int) -> int:
    """Return the process that started those that answer here."""
    for process in Path("/proc").glob("[0-9]*"):
        command = command_of(int(process.name))
        if "uvicorn" in command and f"--port {port}" in command:
            return int(process.name)
    return 0


def _seconds_until_all_is_well(port: int, organisations: list[Organisation]) -> float | None:
    """Ask until so many in a row succeed; return when the first of them did."""
    start = since = time.monotonic()
    well = 0
    while well < IN_A_ROW and time.monotonic() - start < TIMEOUT_S:
        asked = time.monotonic()
        organisation = organisations[well % len(organisations)]
        status, _text = ask(port, Question("look", organisation, 1, "GET", "/messages/badge/"))
        if status == 200:
            since = asked if well == 0 else since
            well += 1
        else:
            well = 0
            time.sleep(0.02)
    return since - start if well == IN_A_ROW else None


def report(result: Result) -> str:
    outcome = result.outcome
    lines = [f"{'fault':<40}{'done':>7}{'503':>7}{'cut off':>9}{'other':>7}{'well after':>12}"]
    for each in result.faults:
        well = each.skipped or ("never" if each.recovered is None else f"{each.recovered:.1f} s")
        lines.append(f"{each.name:<40}{each.done:>7}{each.refused:>7}{each.cut_off:>9}{each.wrong:>7}{well:>12}")
    done = ", ".join(f"{kind} {count}" for kind, count in sorted(outcome.acknowledged.items()))
    lines += [
        "",
        f"acknowledged: {outcome.acknowledged.total()} ({done}); asked again: {result.repeated}",
        f"lost: {len(outcome.lost)}; doubled: {len(outcome.doubled)}; by halves: {len(outcome.halves)}",
        *(f"  {each}" for each in (*outcome.lost, *outcome.doubled, *outcome.halves, *result.wrong)[:20]),
    ]
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> int:
    """Run all of it; 1 if anything was lost, doubled or done by halves, or did not recover."""
    options = _options(arguments)
    with site() as own:
        result = inject_faults(own, FAULTS, options.seconds, lambda text: sys.stderr.write(f"{text}\n"))
        sys.stdout.write(f"{report(result)}\n\n{KILLED}\n")
        for worker in workers.WORKERS:
            result.killed.append(workers.kill_often(own.env, own.database, worker, options.kills))
            sys.stdout.write(f"{result.killed[-1]}\n")
            sys.stdout.flush()
    return 0 if result.is_clean else 1


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="run.py chaos", description=main.__doc__)
    parser.add_argument("--seconds", type=float, default=6, help="how long each fault lasts (default: 6)")
    parser.add_argument("--kills", type=int, default=5, help="how often each long command is killed (default: 5)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    os.environ.setdefault("SECRET_KEY", secrets.token_hex(32))
    sys.exit(main(sys.argv[1:]))
