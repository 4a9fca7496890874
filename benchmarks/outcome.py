"""The outcome of a scenario: times, targets, and the checks that all did the same work."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any, Self

Point = tuple[float, float]


@dataclass(frozen=True)
class Row:
    """How long some work took somebody, in seconds: the median of the rounds, and how far they lie apart."""

    work: str
    who: str
    seconds: float
    low: float
    high: float
    rounds: int
    # Of which in the database: the same statements by psycopg alone.
    database: float | None = None
    note: str = ""

    @classmethod
    def of(cls, work: str, who: str, times: Sequence[float], database: Sequence[float] = (), note: str = "") -> Self:
        within = median(database) if database else None
        return cls(work, who, median(times), min(times), max(times), len(times), within, note)


@dataclass(frozen=True)
class Mark:
    """A target and the measured value. `reached` is None for a value without a target."""

    wanted: str
    found: str
    reached: bool | None

    @classmethod
    def at_most(cls, wanted: str, value: float, limit: float, unit: str = " ×") -> Self:
        return cls(wanted, f"{value:.3g}{unit}", value <= limit)

    @classmethod
    def near(cls, wanted: str, seconds: float, limit: float, *, times: float = 0, more: float = 0) -> Self:
        """At most so many times the seconds of `limit`, or, where that is less, so many more seconds."""
        allowed = max(limit * times, limit + more)
        said = f"{seconds / limit:.3g} × ({(seconds - limit) * 1000:+.2f} ms)"
        return cls(wanted, said, seconds <= allowed)

    @classmethod
    def at_least(cls, wanted: str, value: float, limit: float, unit: str = " ×") -> Self:
        said = f"{value:,.0f}" if value >= 1_000 else f"{value:.3g}"
        return cls(wanted, said + unit, value >= limit)

    @classmethod
    def stated(cls, wanted: str, found: str) -> Self:
        return cls(wanted, found, None)


@dataclass(frozen=True)
class Plot:
    """Lines, one for each of `lines`; both axes grow by factors. `y`: milliseconds unless it says otherwise."""

    title: str
    x: str
    lines: dict[str, list[Point]]
    y: str = "milliseconds"


@dataclass
class Outcome:
    rows: list[Row] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    # Sentences: what was asserted of what a reader sees afterwards.
    checks: list[str] = field(default_factory=list)
    plots: list[Plot] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, said: dict[str, Any]) -> Self:
        return cls(
            rows=[Row(**row) for row in said["rows"]],
            marks=[Mark(**mark) for mark in said["marks"]],
            checks=said["checks"],
            plots=[Plot(**plot) for plot in said["plots"]],
            notes=said["notes"],
        )

    def seconds(self, work: str, who: str) -> float:
        return next(row.seconds for row in self.rows if (row.work, row.who) == (work, who))
