"""Scenarios 14 to 17: one person is written to, again and again; many by a person; and many write at once."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from benchmarks.bench import Bench, require, same, times
from benchmarks.contestants.base import TEXT
from benchmarks.outcome import Mark, Outcome, Row
from benchmarks.processes import OURS

WAYS: Final = {"send": "send(user, text)", "oneself": "add_message to oneself", "key": "send(user, text, key=…)"}
RECIPIENT: Final = 1
# Senders have the keys from here on, a new one for each turn, so that none comes near the limits.
FIRST_SENDER: Final = 50
# Not one of scenario 15, whose records count for the limit.
MANY_SENDER: Final = FIRST_SENDER + 99
RECORDS: Final = {"few": 5, "500": 500}
THREADS: Final = 16
LIMIT: Final = 10
NOT_LIVE: Final = "messages_extends without live updates"
BY_HAND: Final = "SQL by hand, with NOTIFY"
GUARDED: Final = "SQL by hand, guarded as ours"


def as_application(bench: Bench) -> Outcome:
    """The application writes to one person, committed, by the call that each package documents."""
    outcome = Outcome()
    peers = bench.peers()
    _prepare(bench.ours, *peers.values())
    repeat = bench.pick(40, 15, 2)
    values = {"organisation": 1, "user": RECIPIENT, "text": TEXT, "repeat": repeat}
    turns: dict[str, Any] = {way: partial(bench.ours.tell_one, way=way, **values) for way in WAYS}
    turns |= {name: partial(peer.tell_one, **values) for name, peer in peers.items()}
    answers = bench.alternate(turns, bench.pick(15, 5, 1))
    for name, found in answers.items():
        if name in WAYS:
            outcome.rows.append(Row.of(WAYS[name], OURS, times(found), times(found, "database"), _trips(found)))
        else:
            outcome.rows.append(Row.of(WAYS["send"], name, times(found)))
    _check_one(bench, answers, peers, repeat)
    for way, title in WAYS.items():
        _mark_peers(outcome, title, limit=1.5, aim=1.3)
        trips = max(found["trips"] for found in answers[way])
        outcome.marks.append(Mark.at_most(f"{title}: ≤ 2 round trips", trips, 2, ""))
        require(all(found["hints"] == 1 for found in answers[way]), f"{title}: open pages are not told once.")
    outcome.checks.append(
        "The person has as many messages with that text as calls were made, and open pages are told once of each."
    )
    return outcome


def as_person(bench: Bench) -> Outcome:
    """One person writes to another: policy, rate limit, record, message and hint."""
    outcome = Outcome()
    peers = bench.peers()
    _prepare(bench.ours, *peers.values())
    rounds = bench.pick(15, 5, 1)
    work = {records: f"a sender with {records} records" for records in RECORDS}
    first = dict(zip(RECORDS, (FIRST_SENDER, FIRST_SENDER + rounds), strict=True))
    for name, records in RECORDS.items():
        bench.ours.make_senders(
            organisation=1,
            recipient=RECIPIENT,
            first=first[name],
            count=rounds,
            records=bench.pick(records, records, 5),
        )
    bench.ours.make_senders(organisation=1, recipient=RECIPIENT, first=FIRST_SENDER - 1, count=1, records=0)
    senders = {name: iter(range(start, start + rounds)) for name, start in first.items()}
    repeat = bench.pick(25, 15, 2)
    values = {"organisation": 1, "user": RECIPIENT, "text": TEXT, "repeat": repeat}
    turns: dict[str, Any] = {
        name: lambda name=name: bench.ours.tell_as_person(sender=next(senders[name]), **values) for name in RECORDS
    }
    turns |= {name: partial(peer.tell_one, **values) for name, peer in peers.items()}
    answers = bench.alternate(turns, rounds)
    for name, found in answers.items():
        if name in RECORDS:
            row = Row.of(work[name], OURS, times(found), times(found, "database"), _trips(found))
            require(all(each["hints"] == 1 for each in found), "Open pages are not told once.")
        else:
            row = Row.of("without policy, limit and record", name, times(found))
        outcome.rows.append(row)
    _check_one(bench, answers, peers, repeat)
    for name, title in work.items():
        _mark_peers(outcome, title, limit=3.75, aim=3.25)
        row = next(row for row in outcome.rows if row.work == title)
        ratio = row.seconds / (row.database or row.seconds)
        outcome.marks.append(Mark.at_most(f"{title}: ≤ 1.5 × the same statements by psycopg", ratio, 1.5))
        records = bench.pick(RECORDS[name], RECORDS[name], 5)
        found = bench.ours.records_of(organisation=1, sender=first[name])
        acts = answers[name][0]["acts"]
        require(found == records + acts, f"{title}: {found} records instead of {records} + {acts}.")
    written = bench.ours.tell_up_to_limit(
        organisation=1, sender=FIRST_SENDER - 1, user=RECIPIENT, threads=THREADS, limit=LIMIT
    )
    outcome.marks.append(Mark(f"{THREADS} threads at a limit of {LIMIT} write {LIMIT}", str(written), written == LIMIT))
    outcome.checks.append(
        "The person has as many messages with that text as calls were made, there is a record of each, and open pages "
        "are told once of each. The limits are those of the default size."
    )
    return outcome


def to_many(bench: Bench) -> Outcome:
    """One person writes to a group, and to people by a queryset, beside SQL by hand with the same guards."""
    outcome = Outcome()
    some, many = bench.pick((1_000, 10_000), (200, 500), (10, 20))
    bench.ours.prepare(organisations=1, people=max(many, FIRST_SENDER + 100))
    bench.ours.clear()
    bench.ours.make_group_sender(organisation=1, sender=MANY_SENDER, members=some)
    rounds = bench.pick(15, 5, 1)
    for title, people, group in ((f"a group of {some:,}", some, True), (f"{many:,} by a queryset", many, False)):
        values = {"organisation": 1, "people": people, "group": group, "text": TEXT, "sender": MANY_SENDER}
        turns = {
            OURS: partial(bench.ours.tell_many_as_person, **values),
            GUARDED: partial(bench.raw.insert_as_person, **values),
        }
        before = bench.ours.records_of(organisation=1, sender=MANY_SENDER)
        rows = bench.ours.written(organisations=1)
        answers = bench.alternate(turns, rounds)
        for name, seconds in answers.items():
            outcome.rows.append(Row.of(title, name, times(seconds)))
        ratio = outcome.seconds(title, OURS) / outcome.seconds(title, GUARDED)
        outcome.marks.append(Mark.at_most(f"{title}: ≤ 1.3 × the same by hand", ratio, 1.3))
        found = bench.ours.written(organisations=1) - rows
        require(found == 2 * rounds * people, f"{title}: {found} rows instead of 2 × {rounds} × {people}.")
        records = bench.ours.records_of(organisation=1, sender=MANY_SENDER) - before
        require(records == 2 * rounds, f"{title}: {records} records instead of 2 × {rounds}.")
        for user in (1, people):
            newest = bench.ours.newest(organisation=1, user=user)
            require(newest[:1] == [TEXT], f"{title}: person {user} does not see the text.")
        bench.ours.clear()
    outcome.checks.append(
        "By hand there are the same guards: the limit after a lock, the policy about the very people who are locked, "
        "conflicts, the record, and the hint. Each person has as many messages as there were rounds."
    )
    return outcome


def at_once(bench: Bench) -> Outcome:
    """Sixteen processes write, each to a person of its own."""
    outcome = Outcome()
    everybody = {OURS: bench.ours, **bench.peers()}
    _prepare(*everybody.values())
    length = bench.pick(10.0, 2.0, 0.2)
    values = {"organisation": 1, "writers": bench.pick(THREADS, THREADS, 2), "length": length, "text": TEXT}
    turns = {name: partial(each.tell_at_once, **values) for name, each in everybody.items()}
    turns[NOT_LIVE] = partial(bench.ours.tell_at_once, live=False, **values)
    turns[BY_HAND] = partial(bench.raw.tell_at_once, **values)
    answers = bench.alternate(turns, bench.pick(3, 1, 1))
    for name, found in answers.items():
        rate = sorted(each["per_second"] for each in found)[len(found) // 2]
        typical = next(each for each in found if each["per_second"] == rate)
        waits = ", ".join(f"{what} {share:.0%}" for what, share in typical["waits"].items())
        note = f"{rate:,.0f} commits/s; {typical['processor_ms']:.2f} ms of Python each; the server: {waits}"
        per_commit = [1 / each["per_second"] for each in found]
        outcome.rows.append(Row.of("one commit", name, per_commit, note=note))
    for name, contestant in everybody.items():
        rows = contestant.written(organisations=1)
        both = answers[name] + (answers[NOT_LIVE] + answers[BY_HAND] if name == OURS else [])
        commits = sum(each["commits"] for each in both)
        tables = 2 if name == "django-generic-notifications" else 1
        require(rows == tables * commits, f"{name}: {rows} rows instead of {tables} × {commits}.")
        contestant.clear()
    peers = [row.seconds for row in outcome.rows if row.who not in {OURS, NOT_LIVE, BY_HAND}]
    if peers:
        alone = min(peers) / outcome.seconds("one commit", NOT_LIVE)
        outcome.marks.append(Mark.stated("without live updates, which the others have not", f"{alone:.3g} ×"))
        limit = min(peers) / outcome.seconds("one commit", BY_HAND)
        outcome.marks.append(Mark.stated("SQL by hand: INSERT, then NOTIFY", f"{limit:.3g} ×"))
        ratio = min(peers) / outcome.seconds("one commit", OURS)
        outcome.marks.append(Mark.at_least("commits a second ≥ the best peer's", ratio, 1))
    ours = outcome.rows[0]
    outcome.marks.append(Mark.stated("what limits it", ours.note))
    outcome.checks.append("Afterwards there are as many rows as commits were counted.")
    return outcome


def _prepare(*everybody: Any) -> None:
    for contestant in everybody:
        require(not contestant.debugs(), f"{contestant.name} runs with DEBUG.")
        contestant.prepare(organisations=1, people=200)
        contestant.clear()


def _trips(found: list[Any]) -> str:
    same("round trips", {str(number): each["trips"] for number, each in enumerate(found)})
    return f"{found[0]['trips']} round trips"


def _mark_peers(outcome: Outcome, title: str, *, limit: float, aim: float) -> None:
    peers = [row.seconds for row in outcome.rows if row.who != OURS]
    if peers:
        ratio = outcome.seconds(title, OURS) / min(peers)
        outcome.marks.append(Mark.at_most(f"{title}: ≤ {limit} × the best peer (aim {aim})", ratio, limit))
        database = next(row.database for row in outcome.rows if row.who == OURS and row.work == title)
        if database is not None:
            alone = Mark.stated(f"{title}: the same statements by psycopg", f"{database / min(peers):.3g} ×")
            outcome.marks.append(alone)


def _check_one(bench: Bench, answers: Mapping[str, list[Any]], peers: Mapping[str, Any], repeat: int) -> None:
    """Require that the recipient has a message of each call, and sees the text."""
    calls = sum(found["acts"] for answer in answers.values() for found in answer if "acts" in found)
    # With a key, the statements that are sent again by psycopg alone write nothing.
    rows = bench.ours.written(organisations=1)
    repeated = sum((found["acts"] - 4) // 2 for found in answers.get("key", ()))
    require(rows == calls - repeated, f"{rows} rows for {calls} calls, of which {repeated} are repeated with a key.")
    for name, contestant in {OURS: bench.ours, **peers}.items():
        newest = contestant.newest(organisation=1, user=RECIPIENT)
        require(newest[:1] == [TEXT], f"{name}: the person does not see the text.")
    for name, peer in peers.items():
        written = peer.written(organisations=1)
        wanted = len(answers[name]) * (repeat + 1)
        tables = 2 if name == "django-generic-notifications" else 1
        require(written == tables * wanted, f"{name}: {written} rows instead of {tables} × {wanted}.")
