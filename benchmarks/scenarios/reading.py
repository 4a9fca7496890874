"""Scenarios 3, 4, 5 and 8: reading."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from benchmarks.bench import Bench, require, same, times, turns, typical
from benchmarks.outcome import Mark, Outcome, Plot, Row
from benchmarks.processes import OURS, PLAIN, RAW

USER: Final = 1
ONE_IN_TEN: Final = "mod(n, 10) = 0"
ALL: Final = "true"
PAGE_SIZE: Final = 20
# Seconds; what takes less is measured in more rounds.
LONG: Final = 0.02
SAME_CONNECTION: Final = "SQL by hand, through our connection"
# What an exact count of many messages may take beside SQL by hand, and, in seconds, one of few.
FEW_TIMES: Final = 1.15
MANY: Final = 100_000
LITTLE: Final = 0.0003
# What the database may take for banners beside SQL by hand, in each of so many runs.
BANNERS_TIMES: Final = 1.25
RUNS: Final = 3


def _one(bench: Bench, everybody: Mapping[str, Any], count: int, unread: str, publications: int) -> None:
    """Have one reader with so many messages, beside others'; the peers have a message for each publication."""
    for name, contestant in everybody.items():
        contestant.prepare(organisations=1, people=bench.pick(1_000, 100, 10))
        contestant.clear()
        if count:
            contestant.fill(organisation=1, user=USER, count=count, unread=unread)
        for user in range(2, bench.pick(200, 20, 3)):
            contestant.fill(organisation=1, user=user, count=10, unread=ONE_IN_TEN)
        if publications and name == OURS:
            contestant.publish(organisation=1, count=publications)
        elif publications:
            contestant.fill(organisation=1, user=USER, count=publications, unread=ALL)
        contestant.settle()


def _read(bench: Bench, everybody: Mapping[str, Any], what: str, **options: Any) -> dict[str, list[Any]]:
    values = {"organisation": 1, "user": USER, "repeat": bench.repeat, **options}
    every = turns(everybody, what, **values)
    answers = bench.alternate(every)
    short = {name: turn for name, turn in every.items() if typical(answers[name]) < LONG}
    for name, more in bench.alternate(short, bench.short_rounds).items():
        answers[name] += more
    return answers


def _add(outcome: Outcome, work: str, name: str, answers: list[Any], note: str = "") -> None:
    database = times(answers, "database") if "database" in answers[0] else []
    outcome.rows.append(Row.of(work, name, times(answers), database, note))
    if "by_hand" in answers[0]:
        outcome.rows.append(Row.of(work, SAME_CONNECTION, times(answers, "by_hand")))


def _database(answers: list[Any]) -> float:
    return typical(answers, "database")


def unread_count(bench: Bench) -> Outcome:
    """Count what is unread, up to 100 and exactly."""
    outcome = Outcome()
    publications = bench.pick(50, 10, 4)
    sizes = bench.pick((10, 1_000, 100_000), (10, 1_000, 5_000), (10, 30))
    peers = bench.peers()
    capped: list[float] = []
    for count in sizes:
        work = f"{count:,} messages, 90 % read"
        _one(bench, {OURS: bench.ours, **peers}, count, ONE_IN_TEN, publications)
        exact = _read(bench, {OURS: bench.ours, RAW: bench.raw, **peers}, "count")
        same(f"exact count of {work}", {name: answers[0]["value"] for name, answers in exact.items()})
        require(exact[OURS][0]["value"] == count // 10 + publications, f"{work}: not the number that was written.")
        few = _read(bench, {OURS: bench.ours, RAW: bench.raw}, "count", exact=False)
        same(f"capped count of {work}", {name: answers[0]["value"] for name, answers in few.items()})
        for name, answers in few.items():
            _add(outcome, f"{work}: up to 99+", name, answers)
        for name, answers in exact.items():
            _add(outcome, f"{work}: exact", name, answers)
        capped.append(typical(few[OURS]))
        limit = {"times": FEW_TIMES} if count >= MANY else {"more": LITTLE}
        wanted = f"≤ {FEW_TIMES} ×" if count >= MANY else f"≤ {LITTLE * 1000:g} ms more than"
        ours, by_hand = typical(exact[OURS]), typical(exact[OURS], "by_hand")
        said = f"exact, {count:,} messages: {wanted} SQL by hand through the same connection"
        outcome.marks.append(Mark.near(said, ours, by_hand, **limit))
        if peers:
            best = min(typical(exact[name]) for name in peers)
            outcome.marks.append(
                Mark.stated(f"exact, {count:,} messages: beside the best peer", f"{ours / best:.2f} ×")
            )
            beside = f"{typical(exact[RAW]) / best:.2f} ×"
            outcome.marks.append(Mark.stated(f"exact, {count:,} messages: SQL by hand beside the best peer", beside))
    outcome.marks.insert(0, Mark.at_most(f"99+: {sizes[-1]:,} ≤ 1.3 × {sizes[0]}", capped[-1] / capped[0], 1.3))
    lines = {f"{OURS}, 99+": [(float(x), y * 1000) for x, y in zip(sizes, capped, strict=True)]}
    for name in (OURS, *peers):
        label = f"{name}, exact" if name == OURS else name
        lines[label] = [(x, outcome.seconds(f"{x:,} messages, 90 % read: exact", name) * 1000) for x in sizes]
    outcome.plots.append(Plot("Count what is unread", "messages of the reader", lines))
    outcome.checks.append(
        f"All counts were the same number: a tenth of the messages and {publications} live publications, for which the "
        "peers, who know none, have a message each."
    )
    outcome.notes.append(
        "The limit of an exact count is SQL by hand: what is for everybody lies in two more tables, and whether one "
        "has read it in a third; the others count rows of one table. Most of the time of a short list goes into "
        "planning that statement, not into running it."
    )
    return outcome


def banners(bench: Bench) -> Outcome:
    """Load what is shown on a page: ten at most, and how many more there are."""
    outcome = Outcome()
    sizes = bench.pick((0, 5, 10_000), (0, 5, 1_000), (0, 5, 20))
    peers = bench.peers()
    medians: list[float] = []
    for unread in sizes:
        work = f"{unread:,} unread"
        _one(bench, {OURS: bench.ours, **peers}, unread, ALL, 0)
        answers = _read(bench, {OURS: bench.ours, RAW: bench.raw, **peers}, "banners")
        shown = bench.ours.banner_texts(organisation=1, user=USER)
        require(len(shown) == min(unread, 10) + (unread > 10), f"{work}: {len(shown)} banners are shown.")
        texts = {name: each.newest(organisation=1, user=USER) for name, each in peers.items()}
        same(f"the newest of {work}", {OURS: shown[:10], **texts})
        for name, found in answers.items():
            _add(outcome, work, name, found, note=_shown(name, found[0]["value"]))
        one = answers[OURS][0]
        require(one["statements"] == 1, f"{work}: {one['statements']} statements instead of one.")
        outcome.marks += _beside_by_hand(work, answers[OURS])
        ratio = _database(answers[OURS]) / typical(answers[RAW])
        outcome.marks.append(Mark.stated(f"{work}: in the database, beside SQL by hand on its own", f"{ratio:.2f} ×"))
        medians.append(typical(answers[OURS]))
        outcome.marks.append(Mark.stated(f"{work}: Django's share", _share(answers[OURS])))
    flat = medians[-1] / medians[1]
    outcome.marks.insert(0, Mark.at_most(f"flat: {sizes[-1]:,} unread ≤ 1.3 × 5", flat, 1.3))
    outcome.marks.insert(1, Mark("one query", "1", reached=True))
    outcome.checks.append("With 0, 5 and many unread, all show the same newest ten; some packages load all others too.")
    return outcome


def _beside_by_hand(work: str, answers: list[Any]) -> list[Mark]:
    """Return a mark for each third of the rounds: the time in the database beside that of SQL by hand."""
    marks, runs = [], min(RUNS, len(answers))
    for run in range(runs):
        rounds = answers[len(answers) * run // runs : len(answers) * (run + 1) // runs]
        wanted = f"{work}: in the database ≤ {BANNERS_TIMES} × SQL by hand, or + {LITTLE * 1000:g} ms; run {run + 1}"
        by_hand = typical(rounds, "by_hand")
        marks.append(Mark.near(wanted, _database(rounds), by_hand, times=BANNERS_TIMES, more=LITTLE))
    return marks


def _shown(name: str, value: int) -> str:
    return "" if name in {OURS, RAW} else f"loads {value:,}"


def _share(answers: list[Any]) -> str:
    whole, database = typical(answers), _database(answers)
    return f"{(whole - database) * 1000:.2f} of {whole * 1000:.2f} ms"


def inbox_pages(bench: Bench) -> Outcome:
    """Load twenty entries of a list of many, near its start and near its end."""
    outcome = Outcome()
    count = bench.pick(100_000, 2_000, 100)
    pages = bench.pick((1, 100, 5_000), (1, 20, 100), (1, 3, 5))
    peers = bench.peers("django-notifications-hq", "django-generic-notifications")
    _one(bench, {OURS: bench.ours, **peers}, count, ONE_IN_TEN, 0)
    medians, firsts = [], []
    for page in pages:
        work = f"page {page:,} of {count // PAGE_SIZE:,}"
        answers = _read(bench, {OURS: bench.ours, RAW: bench.raw, **peers}, "page", number=page)
        same(work, {name: found[0]["value"] for name, found in answers.items()})
        for name, found in answers.items():
            _add(outcome, work, name, found)
        statements = answers[OURS][0]["statements"]
        require(statements <= 2, f"{work}: {statements} statements instead of two at most.")
        medians.append(typical(answers[OURS]))
        if page == 1 and peers:
            firsts = [typical(answers[name]) for name in peers]
        outcome.marks.append(Mark.stated(f"{work}: Django's share", _share(answers[OURS])))
    flat = max(medians) / min(medians)
    outcome.marks.insert(0, Mark.at_most("flat: the slowest page ≤ 1.3 × the fastest", flat, 1.3))
    outcome.marks.insert(1, Mark("≤ 2 queries", str(statements), reached=True))
    if firsts:
        outcome.marks.insert(2, Mark.at_most("faster than every peer's page 1", medians[0] / min(firsts), 1))
    lines = {
        name: [
            (float(page), outcome.seconds(f"page {page:,} of {count // PAGE_SIZE:,}", name) * 1000) for page in pages
        ]
        for name in (OURS, *peers)
    }
    outcome.plots.append(Plot(f"A page of {count:,} messages", "page", lines))
    outcome.checks.append("On each page all show the same twenty texts in the same order.")
    return outcome


def many_organisations(bench: Bench) -> Outcome:
    """Read as in 3, 4 and 5 where the database holds ever more organisations."""
    outcome = Outcome()
    numbers = bench.pick((1, 100, 1_000), (1, 10, 30), (1, 3))
    messages = bench.pick(200, 50, 20)
    ours, control = bench.ours, bench.contestants[PLAIN]
    for contestant in (ours, control):
        contestant.prepare(organisations=1, people=2)
    ours.clear()
    names = {"count": "3: unread count, 99+", "banners": "4: banners", "page": "5: page 1"}
    unread = messages // 10
    expected = {"count": min(unread, 100), "banners": min(unread, 10) + (unread > 10), "page": PAGE_SIZE}
    medians: dict[str, list[float]] = {name: [] for name in names.values()}
    beside: dict[str, list[float]] = {name: [] for name in names.values()}
    page = {"organisation": 1, "user": USER, "limit": True, "repeat": bench.pick(5, 2, 1)}
    for number in numbers:
        ours.prepare(organisations=number, people=2)
        ours.fill_each(organisations=number, user=USER, count=messages, unread=ONE_IN_TEN)
        for what, name in names.items():
            read = {"what": what, "user": USER, "repeat": bench.repeat}
            both = {OURS: partial(ours.in_one, organisation=number, **read), PLAIN: partial(control.home_page, **page)}
            answers = bench.alternate(both, bench.short_rounds)
            one = answers[OURS]
            medians[name].append(typical(one))
            beside[name].append(typical(one) / typical(answers[PLAIN]))
            same(f"{number} organisations; {name}", {"expected": expected[what], "found": one[0]["value"]})
            _add(outcome, f"{number:,} organisations; {name}", OURS, one, note="always the same organisation")
            if number > 1:
                visits = {"what": what, "user": USER, "rounds": bench.pick(3, 2, 1)}
                each = ours.in_each(organisations=number, **visits)
                same(f"each of {number}; {name}", {"expected": [expected[what]], "found": each["values"]})
                _add(outcome, f"{number:,} organisations; {name}", OURS, [each], note="each time another organisation")
    for name, found in beside.items():
        flat = found[-1] / found[0]
        outcome.marks.append(Mark.at_most(f"{name}: {numbers[-1]:,} organisations ≤ 1.2 × 1", flat, 1.2))
    lines = {
        name: [(float(number), value * 1000) for number, value in zip(numbers, found, strict=True)]
        for name, found in medians.items()
    }
    outcome.plots.append(Plot("Reading beside other organisations", "organisations", lines))
    outcome.notes.append(
        "Between the first and the last of them lie minutes, and a machine has slow ones. So what is compared is how "
        "many times as long it takes as the start page of the product without us, in a database of its own that stays "
        "as it is, in turn with it."
    )
    outcome.checks.append("Each organisation's reader has the number that was written for them, in every organisation.")
    # The other scenarios shall not have to go through a thousand organisations.
    bench.contestants.stop(OURS)
    return outcome
