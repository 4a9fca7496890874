"""Sends malicious input to every address, and counts it: `python3 run.py fuzz --inputs 100000`.

First in process, to the real database, at every address (test_entry_points.py); then, as bytes that no client
library would send, to a real server; then it looks whether "not yours" and "not there" differ in time. At last whatever
reads a text from outside is tried by itself, with texts that lead along its branches (tests/longrun/fuzz/readers.py).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

OPTIONS: Final = (
    "-p",
    "no:randomly",
    "-p",
    "no:cacheprovider",
    "-q",
    "--tb=short",
    "--show-capture=no",
    "--with-longrun",
)
FILES: Final = (
    "tests/longrun/fuzz/test_entry_points.py",
    "tests/longrun/fuzz/test_raw_requests.py",
    "tests/longrun/fuzz/test_timing.py",
    "tests/longrun/fuzz/test_readers.py",
)
WIDTH: Final = 140


def main(arguments: Sequence[str]) -> int:
    """Run it, and report; 1 if anything was found."""
    options = _options(arguments)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report"
        env = {
            **os.environ,
            "FUZZ_INPUTS": str(options.inputs),
            "FUZZ_SEED": str(options.seed),
            "FUZZ_REPORT": str(report),
        }
        command = [sys.executable, "-m", "pytest", *OPTIONS, *FILES]
        done = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=False)
        lines = [json.loads(line) for line in report.read_text().splitlines()] if report.exists() else []
    sys.stdout.write(_table(lines))
    sys.stdout.write(f"\nseed {options.seed}, {time.monotonic() - started:.0f} s\n")
    if done.returncode:
        sys.stdout.write(f"\n{done.stdout}")
    return done.returncode


def _table(lines: list[dict[str, Any]]) -> str:
    """Return what was sent and answered, by kind; then whatever was found."""
    sent: Counter[str] = Counter()
    statuses: Counter[tuple[str, int]] = Counter()
    found: dict[str, str] = {}
    notes = [note for line in lines for note in line.get("notes", ())]
    for line in lines:
        sent.update(line.get("sent", {}))
        statuses.update({(kind, status): count for kind, status, count in line.get("statuses", ())})
        found |= line.get("found", {})
    rows = [f"{'kind':<12}{'inputs':>9}  answers"]
    for kind, count in sent.items():
        answers = sorted((status, number) for (name, status), number in statuses.items() if name == kind)
        rows.append(f"{kind:<12}{count:>9}  {', '.join(f'{status}: {number}' for status, number in answers)}")
    rows.append(f"{'all':<12}{sent.total():>9}  found: {len(found)}")
    rows += [f"  {fault[:WIDTH]}\n    {what[: 3 * WIDTH]}" for fault, what in found.items()]
    return "\n".join([*rows, *notes]) + "\n"


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="run.py fuzz", description=main.__doc__)
    parser.add_argument("--inputs", type=int, default=100_000, help="how many, roughly (default: 100,000)")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="the same one sends the same inputs")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
