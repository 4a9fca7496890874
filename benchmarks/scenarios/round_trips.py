"""Beside the scenarios: what setting the search path once saves."""

from functools import partial

from benchmarks.bench import Bench, times
from benchmarks.outcome import Mark, Outcome, Row

ONCE = "path set once (default)"
ALWAYS = "TENANT_LIMIT_SET_CALLS = False"


def search_path(bench: Bench) -> Outcome:
    outcome = Outcome()
    ours = bench.ours
    ours.prepare(organisations=1, people=2)
    ours.clear()
    ours.fill(organisation=1, user=1, count=5, unread="true")
    repeat = bench.pick(40, 10, 2)
    answers = bench.alternate(
        {
            name: partial(ours.home_page, organisation=1, user=1, limit=limit, repeat=repeat)
            for name, limit in ((ONCE, True), (ALWAYS, False))
        }
    )
    for name, found in answers.items():
        note = f"{found[0]['statements']} round trips, of which {found[0]['paths']} for the path"
        outcome.rows.append(Row.of("the start page with bell and banners", name, times(found), note=note))
    before, after = answers[ALWAYS][0]["statements"], answers[ONCE][0]["statements"]
    outcome.marks.append(Mark.stated("round trips of the start page", f"{before} → {after}"))
    outcome.checks.append("Both answer the same page; a test covers cancelled statements and cut connections.")
    return outcome
