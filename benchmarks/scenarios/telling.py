"""Scenarios 1 and 2: writing."""

import random
from typing import Any, Final

from benchmarks.bench import Bench, require, times
from benchmarks.contestants.base import TEXT
from benchmarks.outcome import Mark, Outcome, Plot, Row
from benchmarks.processes import OURS, RAW

READERS: Final = 200
BULK: Final = "Django's bulk_create"
COPY: Final = "COPY by hand"
GUARDED: Final = "SQL by hand, guarded as ours"


def everyone(bench: Bench) -> Outcome:
    """Write to all people of one organisation and of many; this package writes one row."""
    outcome = Outcome()
    crowds = [(1, users) for users in bench.pick((100, 1_000, 10_000), (100, 1_000), (10, 20))]
    crowds.append((bench.pick(100, 5, 2), bench.pick(1_000, 100, 5)))
    for organisations, users in crowds:
        _tell(bench, outcome, organisations, users)
    _mark_everyone(outcome, crowds)
    outcome.plots.append(_plot(outcome, crowds[:-1]))
    outcome.checks.append(
        "Each round starts from empty tables and ends with a look at what readers have unread: up to 200 of them, "
        "chosen at random in random organisations, each of whom has to see the text first. Ours: exactly one row, "
        "and one audit record."
    )
    outcome.notes.append(
        "The slower packages are left out of the last row: they would take minutes and be no best peer."
    )
    return outcome


def _name(organisations: int, users: int) -> str:
    return f"{organisations:,} × {users:,} people"


def _tell(bench: Bench, outcome: Outcome, organisations: int, users: int) -> None:
    everybody = {OURS: bench.ours, **bench.peers()}
    if organisations > 1:
        everybody = {name: each for name, each in everybody.items() if name in _fast_enough(outcome)}
    for contestant in everybody.values():
        contestant.prepare(organisations=organisations, people=users)
    turns = {
        name: lambda name=name, contestant=contestant: _tell_once(contestant, name, organisations, users)
        for name, contestant in everybody.items()
    }
    # Writing ten thousand rows one by one takes minutes, a hundred thousand a quarter of an hour.
    rounds = 1 if organisations * users >= 10_000 else bench.pick(3, 1, 1)
    answers = bench.alternate(turns, rounds)
    answers[OURS] += bench.alternate({OURS: turns[OURS]}, bench.rounds)[OURS]
    for name, seconds in answers.items():
        rows = everybody[name].written(organisations=organisations)
        outcome.rows.append(Row.of(_name(organisations, users), name, seconds, note=f"{rows:,} rows"))
        everybody[name].clear()


def _fast_enough(outcome: Outcome) -> set[str]:
    """Return who is asked for a hundred thousand: nobody who took more than twice as long as the best peer before."""
    work = outcome.rows[-1].work
    peers = [row.seconds for row in outcome.rows if row.work == work and row.who != OURS]
    limit = 2 * min(peers, default=0)
    return {OURS} | {row.who for row in outcome.rows if row.work == work and row.seconds <= limit}


def _tell_once(contestant: Any, name: str, organisations: int, users: int) -> float:
    text = f"{random.random()} {TEXT}"
    contestant.clear()
    records = contestant.records() if name == OURS else 0
    seconds: float = contestant.tell_everyone(organisations=organisations, text=text)
    if name == OURS:
        require(contestant.written(organisations=organisations) == 1, "We have not written exactly one row.")
        require(contestant.records() - records == 1, "We have not written exactly one audit record.")
    chosen = random.Random(1)
    for _ in range(min(READERS, users)):
        organisation, user = chosen.randint(1, organisations), chosen.randint(1, users)
        newest = contestant.newest(organisation=organisation, user=user)
        require(newest[:1] == [text], f"{name}: person {user} of organisation {organisation} does not see the text.")
    return seconds


def _best_peer(outcome: Outcome, work: str) -> float:
    return min(
        row.seconds for row in outcome.rows if row.work == work and row.who not in {OURS, RAW, GUARDED, BULK, COPY}
    )


def _mark_everyone(outcome: Outcome, crowds: list[tuple[int, int]]) -> None:
    outcome.marks.append(Mark("1 row and 1 audit record, however many read it", "1 and 1", reached=True))
    few, most, many = (_name(*crowds[index]) for index in (0, -2, -1))
    if {row.who for row in outcome.rows} != {OURS}:
        for work, limit in ((most, 500), (many, 5_000)):
            ratio = _best_peer(outcome, work) / outcome.seconds(work, OURS)
            outcome.marks.append(Mark.at_least(f"{work}: ≤ 1/{limit:,} of the best peer", ratio, limit, " times less"))
    in_users = outcome.seconds(most, OURS) / outcome.seconds(few, OURS)
    outcome.marks.append(Mark.at_most(f"flat in users ({few} → {most})", in_users, 1.3))
    in_organisations = outcome.seconds(many, OURS) / outcome.seconds(most, OURS)
    outcome.marks.append(Mark.at_most(f"flat in organisations ({most} → {many})", in_organisations, 1.3))


def _plot(outcome: Outcome, crowds: list[tuple[int, int]]) -> Plot:
    names = list(dict.fromkeys(row.who for row in outcome.rows))
    lines = {
        name: [(float(users), outcome.seconds(_name(number, users), name) * 1000) for number, users in crowds]
        for name in names
    }
    return Plot("Tell everyone in one organisation", "people", lines)


def chosen(bench: Bench) -> Outcome:
    """Write one message to each person of a queryset."""
    outcome = Outcome()
    people = bench.pick(10_000, 500, 20)
    work = f"{people:,} people"
    everybody = {OURS: bench.ours, **bench.peers()}
    for contestant in everybody.values():
        contestant.prepare(organisations=1, people=people)
        contestant.clear()
    values = {"organisation": 1, "people": people, "text": TEXT}
    turns = {
        name: lambda contestant=contestant: contestant.tell_chosen(**values) for name, contestant in everybody.items()
    }
    by_hand = {
        BULK: lambda: bench.ours.tell_by_bulk_create(**values),
        RAW: lambda: bench.raw.insert_select(**values),
        GUARDED: lambda: bench.raw.insert_guarded(**values),
        COPY: lambda: bench.raw.copy(**values),
    }
    answers = bench.alternate(turns | by_hand, bench.pick(3, 1, 1))
    for name, more in bench.alternate({OURS: turns[OURS], **by_hand}, bench.rounds).items():
        answers[name] += more
    for name, seconds in answers.items():
        outcome.rows.append(Row.of(work, name, times(seconds)))
    _check_chosen(everybody, people, {name: len(answers[name]) for name in answers})
    if len(everybody) > 1:
        ratio = _best_peer(outcome, work) / outcome.seconds(work, OURS)
        outcome.marks.append(Mark.at_least("≥ 10 × faster than the best peer's documented way", ratio, 10))
    guarded = outcome.seconds(work, OURS) / outcome.seconds(work, GUARDED)
    limit = outcome.seconds(work, OURS) / outcome.seconds(work, RAW)
    outcome.marks.append(Mark.at_most("≤ 1.5 × INSERT … SELECT by hand", limit, 1.5))
    outcome.marks.append(Mark.at_most("≤ 1.5 × the same with locks, conflicts and who got one", guarded, 1.5))
    copied = outcome.seconds(work, OURS) / outcome.seconds(work, COPY)
    outcome.marks.append(Mark.stated("beside COPY by hand", f"{copied:.2f} ×"))
    outcome.checks.append(
        "Afterwards each of ten people asked has as many unread messages with that text as there were rounds, and "
        "nobody else has any: the number of rows is rounds × people."
    )
    for contestant in everybody.values():
        contestant.clear()
    return outcome


def _check_chosen(everybody: dict[str, Any], people: int, rounds: dict[str, int]) -> None:
    for name, contestant in everybody.items():
        wrote = sum(rounds[each] for each in (OURS, BULK, RAW, GUARDED, COPY)) if name == OURS else rounds[name]
        rows = contestant.written(organisations=1)
        per_message = 2 if name == "django-generic-notifications" else 1
        require(rows == wrote * people * per_message, f"{name} has written {rows} rows for {wrote} × {people} people.")
        for user in range(1, people + 1, max(1, people // 10)):
            newest = contestant.newest(organisation=1, user=user)
            require(newest == [TEXT] * min(wrote, 10), f"{name}: person {user} does not see {wrote} messages.")
