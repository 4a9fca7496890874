"""Scenario 9: whom one person may write to."""

from typing import Final

from benchmarks.bench import Bench, require, same, times, turns, typical
from benchmarks.outcome import Mark, Outcome, Row
from benchmarks.processes import OURS, RAW

USER: Final = 1
SHARE_MS: Final = 3


def recipients(bench: Bench) -> Outcome:
    outcome = Outcome()
    people, groups, grants = bench.pick((10_000, 50, 500), (1_000, 20, 100), (60, 5, 20))
    # In an organisation of its own: the others have no grants.
    ours = bench.ours
    ours.prepare(organisations=2, people=people)
    ours.grant(organisation=2, groups=groups, grants=grants)
    scale = f"{people:,} people, {groups} groups, {grants} grants"
    reachable = ours.recipients(organisation=2, user=USER, repeat=1)["value"]
    others = sorted({*reachable[-2:], *sorted({*range(2, people)} - {*reachable})[:2]})
    for what, work, options in (
        ("recipients", "whom may one write to", {}),
        ("search", "search among them", {"text": "person 1"}),
        ("may_message", "may one write to another", {"others": others}),
    ):
        values = {"organisation": 2, "user": USER, "repeat": bench.repeat, **options}
        answers = bench.alternate(turns({OURS: ours, RAW: bench.raw}, what, **values), bench.short_rounds)
        same(f"{work}: {scale}", {name: found[0]["value"] for name, found in answers.items()})
        require(len(set(answers[OURS][0]["value"])) > 1, f"{work}: nobody, or only themselves.")
        for name, found in answers.items():
            database = times(found, "database") if name == OURS else []
            note = f"{sum(map(bool, found[0]['value']))} found"
            outcome.rows.append(Row.of(f"{work}: {scale}", name, times(found), database, note))
        ratio = typical(answers[OURS], "database") / typical(answers[RAW])
        outcome.marks.append(Mark.at_most(f"{work}: in the database < 2 × SQL by hand", ratio, 2))
        outcome.marks.append(Mark.at_most(f"{work}: ≤ 2 queries", answers[OURS][0]["statements"], 2, " queries"))
        whole, database_time = typical(answers[OURS]), typical(answers[OURS], "database")
        share = (whole - database_time) * 1000
        outcome.marks.append(Mark.at_most(f"{work}: Django's share ≤ {SHARE_MS} ms", share, SHARE_MS, " ms"))
    outcome.checks.append("Both find the same people in the same order: by persons', groups' and others' grants.")
    return outcome
