"""Scenario 6: mark all as read, and undo it."""

from functools import partial
from typing import Any, Final

from benchmarks.bench import Bench, Turn, require, times, typical
from benchmarks.outcome import Mark, Outcome, Row
from benchmarks.processes import OURS, RAW

USER: Final = 1


def mark_all(bench: Bench) -> Outcome:
    outcome = Outcome()
    count = bench.pick(10_000, 500, 20)
    peers = bench.peers("django-messages-extends", "django-notifications-hq", "django-generic-notifications")
    for contestant in (bench.ours, *peers.values()):
        contestant.prepare(organisations=1, people=10)
    turns: dict[str, Turn] = {
        OURS: lambda: _mark_and_undo(bench, bench.ours, count),
        RAW: lambda: _mark_and_undo(bench, bench.raw, count),
        **{name: partial(_mark_by_peer, peer, count) for name, peer in peers.items()},
    }
    answers = bench.alternate(turns)
    for step, work in (("mark", f"mark {count:,} as read"), ("undo", "undo it")):
        for name, found in answers.items():
            if step in found[0]:
                done = [each[step] for each in found]
                note = "not exactly those: all that were ever read" if name in peers and step == "undo" else ""
                outcome.rows.append(Row.of(work, name, times(done), note=note))
        ratio = typical(each[step] for each in answers[OURS]) / typical(each[step] for each in answers[RAW])
        outcome.marks.append(Mark.at_most(f"{work}: ≤ 1.3 × SQL by hand", ratio, 1.3))
        statements = answers[OURS][0][step]["writes"]
        outcome.marks.append(Mark.at_most(f"{work}: two statements", statements, 2, " statements"))
    outcome.checks.append(
        "After marking nothing is unread; after undoing exactly as much as before, and what had been read earlier "
        "stays read. Every round starts from rows that have just been written."
    )
    for contestant in (bench.ours, *peers.values()):
        contestant.clear()
    return outcome


def _start(contestant: Any, count: int) -> None:
    contestant.clear()
    contestant.fill(organisation=1, user=USER, count=count, unread="true")
    # Read before: undoing must leave it alone.
    contestant.fill(organisation=1, user=USER, count=count // 10, unread="false")
    contestant.settle()


def _mark_and_undo(bench: Bench, contestant: Any, count: int) -> dict[str, Any]:
    _start(bench.ours, count)
    bench.ours.publish(organisation=1, count=4)
    marked = contestant.mark_all(organisation=1, user=USER)
    require(marked["changed"] == count + 4, f"{marked['changed']} instead of {count + 4} were marked.")
    require(bench.ours.unread(organisation=1, user=USER) == 0, "Something is unread after all was marked.")
    undone = contestant.undo(organisation=1, user=USER, at=marked["at"])
    require(bench.ours.unread(organisation=1, user=USER) == count + 4, "Undoing has not restored what was unread.")
    return {"mark": marked, "undo": undone}


def _mark_by_peer(peer: Any, count: int) -> dict[str, Any]:
    _start(peer, count)
    answers = {"mark": peer.mark_all(organisation=1, user=USER)}
    left = peer.count(organisation=1, user=USER, repeat=1)["value"]
    require(left == 0, f"{peer.name}: {left} are unread after all was marked.")
    if peer.name == "django-notifications-hq":
        answers["undo"] = peer.mark_all_back(organisation=1, user=USER)
    return answers
