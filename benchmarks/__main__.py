"""`python3 run.py bench`: measure, keep the results, write the document."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import machine, results
from benchmarks.bench import Bench, CheckCounter, Size
from benchmarks.failures import BenchmarkError
from benchmarks.outcome import Outcome
from benchmarks.processes import OURS, PLAIN, RAW, contestants
from benchmarks.report import BEGIN, as_markdown, into_document
from benchmarks.scenarios import SCENARIOS
from config.running.progress import say


def main(arguments: Sequence[str]) -> int:
    options = _options(arguments)
    # Unwinds like Ctrl-C, so that processes and databases are cleared away.
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    file = options.results or (results.FULL if options.size is Size.FULL else results.quick_file())
    if not options.write:
        try:
            measure(options.only or list(SCENARIOS), options.size, file)
        except BenchmarkError as error:
            sys.stderr.write(f"run.py: {error}\n")
            return 1
    if options.size is Size.FULL and options.results is None:
        write(file)
    else:
        sys.stdout.write(as_markdown(results.load_results(file)))
    return 0


def measure(numbers: Sequence[int], size: Size, file: Path) -> None:
    """Run scenarios; each is kept as soon as it has ended."""
    with contestants(os.environ["DATABASE_URL"]) as started:
        bench = Bench(started, size)
        for number in numbers:
            scenario = SCENARIOS[number]
            say(f"{number}. {scenario.title} …")
            before, looks = machine.load(), CheckCounter.count
            outcome = scenario.run(bench)
            outcome.notes += list(bench.left_out.values())
            about: dict[str, Any] = {
                "on": machine.today(),
                "load": [before, machine.load()],
                "machine": machine.machine(),
                "looks": CheckCounter.count - looks,
            }
            results.keep(file, number, outcome, about, _versions(bench))
            for mark in outcome.marks:
                sign = {True: "reached", False: "MISSED", None: "stated"}[mark.reached]
                say(f"   {sign:8} {mark.wanted}: {mark.found}")


def _versions(bench: Bench) -> dict[str, Any]:
    names = [name for name in bench.contestants.started() if name not in {RAW, PLAIN}]
    return {name: bench.contestants[name].versions() for name in sorted(names, key=lambda name: name != OURS)}


def write(file: Path) -> None:
    """Write the document and its plots from results that were kept."""
    from benchmarks.plots import write_plots

    found = results.load_results(file)
    document = results.DOCUMENT.read_text() if results.DOCUMENT.exists() else f"# Benchmarks\n\n{BEGIN}\n"
    results.DOCUMENT.write_text(into_document(document, found))
    names = ("rows", "marks", "checks", "plots", "notes")
    outcomes = {
        int(number): Outcome.from_json({name: said[name] for name in names})
        for number, said in found["scenarios"].items()
    }
    write_plots(results.PLOTS, outcomes)
    say(f"Written: {results.DOCUMENT.relative_to(results.DOCUMENT.parents[1])}, and plots beside it.")


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="run.py bench", description=__doc__)
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument("--quick", dest="size", action="store_const", const=Size.QUICK, help="small, in two minutes")
    sizes.add_argument("--tiny", dest="size", action="store_const", const=Size.TINY, help="only to see that it runs")
    parser.add_argument("--only", type=_numbers, help="these scenarios, for example 3,4; the others' results stay")
    parser.add_argument("--write", action="store_true", help="measure nothing, write the document from the results")
    parser.add_argument("--results", type=Path, help="keep the results in this file, and print them")
    parser.set_defaults(size=Size.FULL)
    return parser.parse_args(arguments)


def _numbers(text: str) -> list[int]:
    numbers = [int(each) for each in text.split(",") if each.strip().isdecimal()]
    if not numbers or not set(numbers) <= set(SCENARIOS):
        raise argparse.ArgumentTypeError(f"{text} names no scenarios: use numbers from 1 to {max(SCENARIOS)}")
    return numbers


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
