"""One run: its sizes, its contestants, and their alternation."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from functools import partial
from statistics import median
from typing import Any, TypeVar

from benchmarks.failures import BenchmarkError, Unavailable
from benchmarks.processes import OURS, PEERS, RAW, Contestant, Contestants

Value = TypeVar("Value")
# Called with nothing; returns what a contestant's process has answered, or seconds.
Turn = Callable[[], Any]


class Size(IntEnum):
    FULL = 0
    QUICK = 1
    TINY = 2


@dataclass
class Bench:
    contestants: Contestants
    size: Size
    left_out: dict[str, str] = field(default_factory=dict)

    def pick(self, *sizes: Value) -> Value:
        """Return what is for this run of what is given for a full, a quick and a tiny one."""
        return sizes[min(self.size, len(sizes) - 1)]

    @property
    def ours(self) -> Contestant:
        return self.contestants[OURS]

    @property
    def raw(self) -> Contestant:
        return self.contestants[RAW]

    def peers(self, *names: str) -> Mapping[str, Contestant]:
        """Return the peers of these names, or all, but for those that cannot be installed here."""
        found = {}
        for name in names or PEERS:
            if name in self.left_out:
                continue
            try:
                found[name] = self.contestants[name]
            except Unavailable as reason:
                self.left_out[name] = str(reason)
        return found

    def alternate(self, turns: Mapping[str, Turn], rounds: int | None = None) -> dict[str, list[Any]]:
        """Run each contestant once per round; the first of a round is the last of the next."""
        answers: dict[str, list[Any]] = {name: [] for name in turns}
        order = list(turns)
        for _ in range(rounds or self.rounds):
            for name in order:
                answers[name].append(turns[name]())
            order = [*order[1:], order[0]]
        return answers

    @property
    def rounds(self) -> int:
        return self.pick(7, 3, 1)

    @property
    def short_rounds(self) -> int:
        """Return how many more rounds there are of what takes milliseconds: machines have slower seconds."""
        return self.pick(24, 2, 1)

    @property
    def repeat(self) -> int:
        return self.pick(40, 10, 2)


def turns(among: Mapping[str, Contestant], method: str, **arguments: Any) -> dict[str, Turn]:
    """Return a turn for each of them: the same call."""
    return {name: partial(getattr(each, method), **arguments) for name, each in among.items()}


def times(answers: Iterable[Any], key: str = "seconds") -> list[float]:
    """Return the seconds of what contestants have answered."""
    return [float(answer[key] if isinstance(answer, dict) else answer) for answer in answers]


def typical(answers: Iterable[Any], key: str = "seconds") -> float:
    return median(times(answers, key))


class CheckCounter:
    """The number of checks that all contestants have done the same work."""

    count = 0


def same(what: str, values: Mapping[str, Any]) -> None:
    """Raise BenchmarkError unless all have found the same."""
    first = next(iter(values.values()))
    for name, value in values.items():
        require(value == first, f"{what}: {name} found {_short(value)}, the first {_short(first)}.")


def require(holds: bool, what: str) -> None:
    """Raise BenchmarkError, which says `what` is wrong, unless it holds."""
    CheckCounter.count += 1
    if not holds:
        raise BenchmarkError(what)


def _short(value: Any) -> str:
    return repr(value)[:300]
