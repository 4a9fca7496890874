"""Write results as Markdown between two marks in the document; the rest of it is written by hand."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from benchmarks.outcome import Mark, Outcome, Row
from benchmarks.processes import OURS
from benchmarks.scenarios import SCENARIOS

BEGIN: Final = "<!-- measured: begin -->"
END: Final = "<!-- measured: end -->"


def into_document(document: str, results: dict[str, Any]) -> str:
    """Return the document with the results in their place."""
    before, _begin, rest = document.partition(BEGIN)
    _old, _end, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{as_markdown(results)}\n{END}{after}"


def as_markdown(results: dict[str, Any]) -> str:
    outcomes = {int(number): said for number, said in results["scenarios"].items()}
    parts = [_about(results), _summary(outcomes)]
    for number, said in outcomes.items():
        parts.append("\n".join(_scenario(number, said)))
    return "\n\n".join(parts) + "\n"


def _about(results: dict[str, Any]) -> str:
    versions = "; ".join(
        f"{name}: {', '.join(f'{package} {version}' for package, version in found.items())}"
        for name, found in results.get("versions", {}).items()
    )
    return f"Versions: {versions}."


def _summary(outcomes: dict[int, dict[str, Any]]) -> str:
    lines = ["| scenario | mark | found | |", "| --- | --- | --- | --- |"]
    for number, said in outcomes.items():
        marks = Outcome.from_json(_bare(said)).marks
        place = f"[{number}](#{_anchor(number)})"
        lines += [f"| {place} | {mark.wanted} | {mark.found} | {_tick(mark)} |" for mark in marks]
    return "\n".join(lines)


def _bare(said: dict[str, Any]) -> dict[str, Any]:
    return {name: said[name] for name in ("rows", "marks", "checks", "plots", "notes")}


def _anchor(number: int) -> str:
    title = SCENARIOS[number].title.lower()
    return f"{number}-{''.join(each for each in title if each.isalnum() or each == ' ').replace(' ', '-')}"


def _tick(mark: Mark) -> str:
    return {True: "✓", False: "**missed**", None: "stated"}[mark.reached]


def _scenario(number: int, said: dict[str, Any]) -> Iterator[str]:
    outcome = Outcome.from_json(_bare(said))
    yield f"### {number}. {SCENARIOS[number].title}"
    yield ""
    yield _circumstances(said)
    yield ""
    if outcome.rows:
        yield from _table(outcome.rows)
        yield ""
    for index, plot in enumerate(outcome.plots):
        yield f"![{plot.title}](images/benchmarks/{plot_name(number, index)})"
        yield ""
    checks = (f"Checked, {said['looks']:,} times in all: {check}" for check in outcome.checks)
    for sentence in (*outcome.notes, *checks):
        yield sentence
        yield ""


def plot_name(number: int, index: int) -> str:
    return f"scenario-{number}-{index + 1}.svg"


def _circumstances(said: dict[str, Any]) -> str:
    machine = said["machine"]
    return (
        f"Measured {said['on']} on {machine['cores']} cores ({machine['processor']}), {machine['memory']}, "
        f"{machine['system']}, Python {machine['python']}; load average {said['load'][0]} before, "
        f"{said['load'][1]} after."
    )


def _table(rows: Iterable[Row]) -> Iterator[str]:
    rows = list(rows)
    yield "| what | who | median | rounds: lowest to highest | in the database | beside us | |"
    yield "| --- | --- | ---: | --- | ---: | ---: | --- |"
    ours = {row.work: row.seconds for row in rows if row.who == OURS and not row.note.startswith("each time")}
    for row in rows:
        spread = f"{time(row.low)} to {time(row.high)} ({row.rounds})" if row.rounds > 1 else "(1)"
        database = "" if row.database is None else time(row.database)
        beside = _beside(row.seconds / ours[row.work]) if row.work in ours and row.who != OURS else ""
        yield f"| {row.work} | {row.who} | {time(row.seconds)} | {spread} | {database} | {beside} | {row.note} |"


def _beside(ratio: float) -> str:
    return f"{ratio:,.0f} ×" if ratio >= 10 else f"{ratio:.2f} ×"


def time(seconds: float) -> str:
    """Return a time in a readable unit."""
    for limit, factor, unit in ((1e-3, 1e6, "µs"), (1.0, 1e3, "ms")):
        if seconds < limit:
            return f"{seconds * factor:.3g} {unit}" if seconds * factor < 100 else f"{seconds * factor:,.0f} {unit}"
    return f"{seconds:.3g} s" if seconds < 100 else f"{seconds:,.0f} s"
