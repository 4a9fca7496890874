"""Scenario 10: live streams, on one process of the production server."""

import asyncio
from typing import Any, Final

from benchmarks.bench import Bench, require
from benchmarks.outcome import Mark, Outcome, Row
from benchmarks.processes import OURS
from benchmarks.streams.measure import change_events, product, restart, writers
from benchmarks.streams.measure import streams as measure_streams
from benchmarks.streams.outages import outages, pages_beside_streams

STATED: Final = ("processor share of all, idle", "to all: median ms", "to all: last ms")


def streams(bench: Bench) -> Outcome:
    """Hold so many open streams, write to one reader and to everybody."""
    outcome = Outcome()
    sizes = bench.pick((1_000, 5_000), (200,), (20,))
    # It makes our database anew.
    bench.contestants.stop(OURS)
    with product(bench.contestants.url, max(sizes)) as (server, sender, people):
        for size in sizes:
            messages = bench.pick(200, 20, 3)
            found = asyncio.run(measure_streams(server, sender, people[:size], messages))
            _add(outcome, size, found)
        clients = bench.pick(1_500, 200, 20)
        back = asyncio.run(restart(server, people[: clients + 1]))
        rates = writers(sender, people, bench.pick(3.0, 0.5, 0.1))
    gone = outages(bench.pick(5_000, 200, 20))
    beside = pages_beside_streams(bench.contestants.url, rounds=bench.pick(5, 2, 1), pages=bench.pick(25, 25, 2))
    taken = change_events(bench.contestants.url, bench.pick(3.0, 0.5, 0.1))
    outcome.marks += [
        *_reconnecting(back),
        *(_back(name, found) for name, found in gone.items()),
        Mark.at_most("20 streams on a pool of 4 connections: a page takes as long as without", beside, 1.15),
        *(Mark.stated(f"messages committed a second: {name}", f"{rate:.0f}") for name, rate in rates.items()),
        *(Mark.stated(f"change events per second, 16 writers, {name}", f"{rate:.0f}") for name, rate in taken.items()),
    ]
    outcome.checks.append(
        "Every message was heard by its reader and by nobody else; what was announced was heard on every stream, and "
        "all streams were open at the end."
    )
    return outcome


def _add(outcome: Outcome, size: int, found: dict[str, Any]) -> None:
    require(found["to one: told"] == 1, f"{size} streams: not every reader was told.")
    name = f"{size:,} streams"
    one = found["to one: median ms"]
    outcome.rows += [
        _row(f"{name}: commit to receipt, one reader", one, found["to one: 99 % ms"], "99 % within the highest"),
        _row(
            f"{name}: commit to receipt, everybody", found["to all: median ms"], found["to all: last ms"], "to the last"
        ),
    ]
    more = found["threads with all"] - found["threads before"]
    lost, told = size - found["still open"], found["to all: told"]
    outcome.marks += [
        Mark.at_most(f"{name}: ≤ 20 kB each in the process", found["kB a stream"], 20, " kB"),
        Mark.at_most(f"{name}: threads constant", more, 0, " more"),
        Mark.at_most(f"{name}: one reader hears within 5 ms (median)", one, 5, " ms"),
        Mark(f"{name}: none lost when all are told", f"{lost:.0f} lost, {told:.0%} told", lost == 0 and told == 1),
        Mark.at_most(f"{name}: ≤ 6 ms of processor to open one", found["processor ms to open one"], 6, " ms"),
        Mark.at_most(
            f"{name}: ≤ 6 ms of processor to open one again, by its token",
            found["processor ms to open one again"],
            6,
            " ms",
        ),
        *_memory(name, found),
        *(Mark.stated(f"{name}: {stated}", f"{found[stated]:.3g}") for stated in STATED),
    ]


def _memory(name: str, found: dict[str, float]) -> list[Mark]:
    """Mark that what closed streams took is free for others, and state how much of it the system has got back."""
    taken, left, more = found["kB of all"], found["kB after all have gone"], found["kB more with all again"]
    return [
        Mark.stated(
            f"{name}: memory while all are open; after all have closed",
            f"{taken / 1000:.1f} MB; {left / 1000:.1f} MB (the rest has been given back)",
        ),
        Mark(
            f"{name}: all opened again, they take at most 5% or 1 MB more memory than the first time",
            f"{more / 1000:.1f} MB",
            more <= max(taken * 0.05, 1_000),
        ),
    ]


def _reconnecting(found: dict[str, float]) -> list[Mark]:
    name = f"{found['clients']:,.0f} streams reconnect when the web process is killed and restarted"
    before, meanwhile, most = (
        found[f"a page {each} ms"] for each in ("before: median", "meanwhile: median", "meanwhile: highest")
    )
    return [
        Mark.at_most(f"{name}: all back within 6 s", found["seconds until all are back"], 6, " s"),
        Mark.at_most(f"{name}: pages meanwhile ≤ 250 ms (median; {before:.0f} ms before)", meanwhile, 250, " ms"),
        Mark.at_most(f"{name}: no page meanwhile takes over 2 s", most / 1000, 2, " s"),
    ]


def _back(name: str, found: dict[str, float]) -> Mark:
    """State how soon all have been counted for again, after what they stand on was away."""
    streams = f"{found['streams']:,.0f}"
    wanted = f"{name} killed and started again under {streams} streams: all are told within 10 s of its return"
    told = f"{found['seconds']:.1f} s; {found['told']:,.0f} told, {found['still open']:,.0f} still open"
    return Mark(wanted, told, found["seconds"] <= 10 and found["told"] == found["still open"] == found["streams"])


def _row(work: str, middle: float, high: float, note: str) -> Row:
    return Row(work, OURS, middle / 1000, middle / 1000, high / 1000, 2, note=note)
