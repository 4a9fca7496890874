"""Scenario 7: the cost of a page that shows no messages."""

from typing import Final

from benchmarks.bench import Bench, require, times, typical
from benchmarks.outcome import Mark, Outcome, Row
from benchmarks.processes import OURS

DJANGO: Final = "Django's FallbackStorage"


def silent_request(bench: Bench) -> Outcome:
    outcome = Outcome()
    ours = bench.ours
    ours.prepare(organisations=1, people=2)
    storages = {OURS: "messages_extends.storages.FallbackStorage", DJANGO: DJANGO_PATH}
    turns = {
        name: lambda path=path: ours.silent_request(organisation=1, user=1, storage=path, repeat=bench.pick(300, 60, 3))
        for name, path in storages.items()
    }
    answers = bench.alternate(turns, bench.pick(9, 5, 2))
    for name, found in answers.items():
        outcome.rows.append(Row.of("a request of somebody who is logged in, whole", name, times(found)))
        outcome.rows.append(Row.of("the middleware alone", name, times(found, "middleware")))
        require(found[0]["queries"] == 0, f"{name}: {found[0]['queries']} queries for messages.")
    outcome.marks.append(Mark("0 queries of ours", "0", reached=True))
    own = typical(answers[OURS]) / typical(answers[DJANGO])
    spread = [max(times(found)) / min(times(found)) for found in answers.values()]
    outcome.marks.append(
        Mark(
            "within the noise of Django's own storage",
            f"{own:.3f} ×, where rounds of one storage differ by {min(spread):.2f} ×",
            reached=own <= max(1.02, min(spread)),
        )
    )
    outcome.checks.append("Both answer 200 with the same body, to somebody whose session and user were loaded.")
    return outcome


DJANGO_PATH: Final = "django.contrib.messages.storage.fallback.FallbackStorage"
