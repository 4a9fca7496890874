"""Whether "not yours" and "not there" can be told apart by how long they take: for `python3 run.py fuzz` only.

Both are asked for in turn, in an order that chance decides, and compared within the one run by their ranks: of a pair,
the one for what is there takes longer in half of the cases, if nothing can be learnt from it.
"""

import logging
import os
import random
import statistics
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from typing import Any, Final
from uuid import uuid4

import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher, make_password
from django.test import Client
from django_tenants.utils import schema_context

from messages_extends.models import Message
from tenants.models import Tenant
from tenants.people.models import User
from tests.longrun.fuzz.targets import FAR, Targets, make_targets, taken_back
from tests.longrun.fuzz.test_entry_points import note_down

pytestmark = pytest.mark.django_db

INPUTS: Final = int(os.environ.get("FUZZ_INPUTS", "0"))
# Of each of two: a difference of a tenth is four standard errors then.
TIMES: Final = 300
USABLE: Final = 0.1

Ask = Callable[[Client, str], Any]


def post(path: str, **fields: Any) -> Ask:
    return lambda client, key: client.post(
        path.replace("KEY", key), {n: v.replace("KEY", key) for n, v in fields.items()}
    )


def get(path: str) -> Ask:
    return lambda client, key: client.get(path.replace("KEY", key))


COMPOSED: Final = {"message": "Hello", "level": "19", "step": "look"}
# What is asked for, as whom, the key of what is there, and one of what is not.
CASES: Final[dict[str, tuple[Ask, str, str, str]]] = {
    "a message of globex": (post("/messages/mark_read/KEY/"), "reader", str(FAR), "404404"),
    "somebody else's message": (post("/messages/mark_read/KEY/"), "reader", "2", "404404"),
    "a message that somebody else has sent": (post("/messages/sent/KEY/recall/"), "reader", "2", "404404"),
    "an announcement of globex": (post("/messages/mark_read/KEY/"), "reader", "THEIRS", uuid4().hex + "-1"),
    "a retracted broadcast": (post("/messages/mark_read/KEY/"), "reader", "WITHDRAWN", uuid4().hex + "-1"),
    "the page of an announcement of globex": (get("/messages/announcements/KEY/"), "reader", "THEIRS_ID", str(uuid4())),
    "somebody one may not write to": (post("/messages/compose/", people="KEY", **COMPOSED), "reader", "2", "404404"),
    "somebody of globex": (post("/messages/compose/", people="KEY", **COMPOSED), "reader", str(FAR), "404404"),
    "a name in a search": (get("/messages/compose/recipients/?q=KEY"), "reader", "Ada", "Zoe"),
    "an account, by asking for a link": (
        post("/password/forgotten/", email="KEY"),
        "stranger",
        "other@acme.example",
        "nobody@acme.example",
    ),
    "an account, by logging in": (
        post("/login/", username="KEY", password="wrong horse battery"),
        "stranger",
        "other@acme.example",
        "nobody@acme.example",
    ),
}


@pytest.fixture
def targets(acme: Tenant, globex: Tenant, settings: Any) -> Iterator[Targets]:
    settings.LOGIN_FAILURES_PER_ACCOUNT = settings.LOGIN_FAILURES_PER_ADDRESS = 10**6
    settings.EMAILS_PER_ACCOUNT = settings.EMAILS_PER_ADDRESS = 10**6
    # Cheap ones, beside which any other difference would be seen.
    settings.PASSWORD_HASHERS = ["tests.longrun.fuzz.test_timing.CheapHasher"]
    logging.disable(logging.CRITICAL)
    targets = make_targets()
    with schema_context("acme"):
        # Others keep theirs: it is in the hash that their session was made with.
        User.objects.filter(pk=5).update(password=make_password("correct horse battery"))
        assert Message.objects.get(pk=2).user_id == 5
    yield targets
    logging.disable(logging.NOTSET)


class CheapHasher(PBKDF2PasswordHasher):
    iterations = 10_000


@pytest.mark.skipif(INPUTS < 10_000, reason="no time is asserted in the suite: python3 run.py fuzz")
@pytest.mark.parametrize("case", CASES)
def test_response_time_is_independent_of_existence(case: str, targets: Targets) -> None:
    ask, person, there, nowhere = CASES[case]
    references = targets.keys["str"]
    names = {"THEIRS_ID": targets.keys["uuid"][0], "THEIRS": references[0], "WITHDRAWN": references[2]}
    there = names.get(there, there)
    first, second = (_measured(ask, targets, person, there, nowhere) for _ in range(2))
    share = (_share(*first) + _share(*second)) / 2
    difference = statistics.median(first[0] + second[0]) - statistics.median(first[1] + second[1])
    usual = statistics.median(first[1] + second[1])
    note_down(f"time: {case}: longer in {share:.0%} of pairs, {difference * 1e6:+.0f} µs of {usual * 1e6:.0f}")
    # In both halves, or it was something else on this machine.
    assert min(abs(_share(*each) - 0.5) for each in (first, second)) < USABLE


def _measured(ask: Ask, targets: Targets, person: str, there: str, nowhere: str) -> tuple[list[float], list[float]]:
    dice, taken = random.Random(), {there: list[float](), nowhere: list[float]()}
    for key in (there, nowhere) * 5:
        _time(ask, targets, person, key)
    for _ in range(TIMES // 2):
        for key in dice.sample((there, nowhere), 2):
            taken[key].append(_time(ask, targets, person, key))
    return taken[there], taken[nowhere]


def _time(ask: Ask, targets: Targets, person: str, key: str) -> float:
    with taken_back():
        client = targets.client(person)
        start = time.perf_counter()
        ask(client, key)
        return time.perf_counter() - start


def _share(some: list[float], others: list[float]) -> float:
    """Return in which share of all pairs the one of `some` took longer: the rank statistic of Mann and Whitney."""
    ordered = sorted(others)
    wins = sum(bisect_left(ordered, each) + bisect_right(ordered, each) for each in some)
    return wins / (2 * len(some) * len(others))


def test_rank_share_detects_timing_difference() -> None:
    assert _share([2.0, 3.0], [1.0, 1.5]) == 1.0
    assert _share([1.0, 2.0], [1.0, 2.0]) == 0.5
