"""People who write while the ground shakes: each asks again until an answer says that it is done, as a page does.

What was acknowledged is noted, and compared in the end with what is in the tables.
"""

import random
import threading
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from typing import Any, Final, Self

from tests.longrun.chaos.server import Database
from tests.longrun.load.run import PEOPLE, Organisation, Question

TIMEOUT_S: Final = 30
PLATFORM: Final = "platform"
MARKS: Final = 4_000
# How many of what each leads to: one message for each person, or one publication.
ROWS: Final = {"send": PEOPLE, "announce": 1, "broadcast": 1, "mark": 1}
COUNT: Final = {
    "send": "SELECT message, count(*) FROM {schema}.messages_extends_message WHERE message LIKE 'token%' GROUP BY 1",
    "announce": (
        "SELECT message, count(*) FROM {schema}.messages_extends_announcement WHERE message LIKE 'token%' GROUP BY 1"
    ),
    "broadcast": "SELECT message, count(*) FROM public.broadcasts_broadcast WHERE message LIKE 'token%' GROUP BY 1",
    "mark": "SELECT 'mark ' || id, 1 FROM {schema}.messages_extends_message WHERE id > 1000 AND read_at IS NOT NULL",
}


@dataclass(frozen=True)
class Work:
    """One thing to do, and the words by which it is found afterwards."""

    kind: str
    schema: str
    token: str
    question: Question


@dataclass
class Ledger:
    """What was asked for, and what was said to be done."""

    tried: dict[str, Work] = field(default_factory=dict)
    acknowledged: set[str] = field(default_factory=set)
    statuses: Counter[str] = field(default_factory=Counter)
    repeated: int = 0
    wrong: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, work: Work, status: int, text: str, *, again: bool) -> bool:
        """Write an answer down; tell whether it says that all is done."""
        with self.lock:
            self.tried[f"{work.schema} {work.token}"] = work
            self.statuses[str(status or "cut off")] += 1
            self.repeated += again
            # A message that was marked before is marked: asked again, it is the same.
            done = status in (200, 302)
            if done:
                self.acknowledged.add(f"{work.schema} {work.token}")
            elif status not in (0, 503):
                self.wrong.append(f"{work.kind}: {status}: {text[:300]}")
            return done


@dataclass
class Outcome:
    """The comparison."""

    acknowledged: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    halves: list[str] = field(default_factory=list)


class Load:
    """Some people in some organisations, each in a thread of its own."""

    def __init__(self, port: int, organisations: list[Organisation], threads: int) -> None:
        self.port, self.organisations, self.ledger = port, organisations, Ledger()
        self._marks = {each.schema: iter(range(1001, 1001 + MARKS)) for each in organisations}
        self._calm = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(number,)) for number in range(threads)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._calm.set()
        for thread in self._threads:
            thread.join()

    def _work(self, number: int) -> None:
        dice = random.Random(number)
        while not self._calm.is_set():
            work = self._next(dice)
            again = False
            while not self._calm.is_set():
                if self.ledger.note(work, *ask(self.port, work.question), again=again):
                    break
                again = True
                time.sleep(0.05)

    def _next(self, dice: random.Random) -> Work:
        organisation = dice.choice(self.organisations)
        token = f"token {uuid.uuid4().hex}"
        kind = dice.choice(("send", "send", "announce", "mark", "broadcast"))
        if kind == "broadcast":
            organisation = next(each for each in self.organisations if each.schema == PLATFORM)
        if kind == "mark":
            with self.ledger.lock:
                key = next(self._marks[organisation.schema])
            token = f"mark {key}"
            return Work(kind, organisation.schema, token, _post(organisation, f"/messages/mark_read/{key}/"))
        return Work(kind, organisation.schema, token, _writing(kind, organisation, token))


def _writing(kind: str, organisation: Organisation, token: str) -> Question:
    number = ("number", str(uuid.uuid4()))
    text = (("message", token), ("level", "19"), number)
    if kind == "send":
        people = tuple(("people", str(pk)) for pk in range(1, PEOPLE + 1))
        return _post(organisation, "/messages/compose/", ("step", "send"), *text, *people)
    path = "/messages/announcements/new/" if kind == "announce" else "/messages/broadcasts/new/"
    return _post(organisation, path, ("step", "publish"), ("to", "everybody"), ("author", "The team"), *text)


def _post(organisation: Organisation, path: str, *fields: tuple[str, str]) -> Question:
    return Question("write", organisation, 1, "POST", path, fields)


def ask(port: int, question: Question) -> tuple[int, str]:
    """Ask once; 0 where there was no answer."""
    connection = HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    try:
        connection.request(question.method, question.path, question.body(), question.all_headers())
        answer = connection.getresponse()
        return answer.status, answer.read().decode("utf-8", "replace")
    except (OSError, HTTPException):
        return 0, ""
    finally:
        connection.close()


def prepare(database: Database, organisations: list[Organisation]) -> None:
    """Give the first person of each what the load needs: messages to mark, and all rights."""
    for organisation in organisations:
        database.execute(f"UPDATE {organisation.schema}.people_user SET is_superuser = true WHERE id = 1")
        database.execute(
            f"INSERT INTO {organisation.schema}.messages_extends_message "
            "(id, user_id, level, message, url, key, extra_tags, is_safe, created, modified) "
            f"SELECT 1000 + n, 1, 19, 'to mark', '', '', '', false, now(), now() FROM generate_series(1, {MARKS}) n"
        )
        # Beyond those that were given out.
        database.execute(
            f"SELECT setval(pg_get_serial_sequence('{organisation.schema}.messages_extends_message', 'id'), 100000)"
        )


def compare(ledger: Ledger, database: Database, organisations: list[Organisation]) -> Outcome:
    """Look for each thing that was tried: what was acknowledged is there, once; nothing is there by halves."""
    outcome, there = Outcome(), _in_tables(database, organisations)
    for name, work in ledger.tried.items():
        count, wanted = there.get((work.kind, name), 0), ROWS[work.kind]
        if name in ledger.acknowledged:
            outcome.acknowledged[work.kind] += 1
            if not count:
                outcome.lost.append(name)
        if count > wanted:
            outcome.doubled.append(name)
        elif 0 < count < wanted:
            outcome.halves.append(name)
    return outcome


def _in_tables(database: Database, organisations: list[Organisation]) -> dict[tuple[str, str], int]:
    there: dict[tuple[str, str], int] = {}
    for organisation in organisations:
        for kind, query in COUNT.items():
            if kind != "broadcast" or organisation.schema == PLATFORM:
                rows: Any = database.execute(query.format(schema=organisation.schema))
                there |= {(kind, f"{organisation.schema} {text}"): int(count) for text, count in rows}
    return there
