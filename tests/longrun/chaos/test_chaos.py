"""Small versions of what `python3 run.py chaos` does at length: no time is looked at here, only what is there."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.longrun.chaos import workers
from tests.longrun.chaos.faults import Fault, cancelled, cut, killed
from tests.longrun.chaos.load import ROWS, Ledger, Work, compare
from tests.longrun.chaos.run import Site, inject_faults, site
from tests.longrun.load.run import Question

pytestmark = pytest.mark.longrun

FAULTS = {"killed": killed, "cut": cut, "cancelled": cancelled}


@pytest.fixture(scope="module")
def place() -> Iterator[Site]:
    with site() as made:
        yield made


def test_acknowledged_writes_exist_once_after_database_faults(place: Site) -> None:
    faults = [Fault(name, happen) for name, happen in FAULTS.items()]
    result = inject_faults(place, faults, 1, lambda _text: None)
    assert [each.name for each in result.faults if each.recovered is None] == []
    # What comes between is 503, which people ask again after: nothing else, and nobody is cut off.
    assert result.wrong == []
    assert sum(each.refused for each in result.faults) > 0, "no request measured any of it"
    assert sum(each.cut_off for each in result.faults) == 0
    outcome = result.outcome
    assert outcome.acknowledged.keys() == ROWS.keys()
    assert (outcome.lost, outcome.doubled, outcome.halves) == ([], [], [])


@pytest.mark.parametrize("worker", workers.WORKERS, ids=lambda worker: worker.name)
def test_killed_worker_is_atomic_and_completed_by_next_run(place: Site, worker: workers.Worker) -> None:
    result = workers.kill_often(place.env, place.database, worker, 1)
    assert result.problems == []
    assert result.found.total() == 1


class TestComparison:
    """It would be of no use if it saw nothing."""

    @pytest.fixture
    def ledger(self, place: Site) -> Ledger:
        ledger, organisation = Ledger(), place.organisations[0]
        question = Question("write", organisation, 1, "POST", "/")
        for kind in ("send", "announce"):
            work = Work(kind, organisation.schema, f"token of {kind}", question)
            ledger.note(work, 302, "", again=False)
        return ledger

    def test_compare_detects_lost_writes(self, ledger: Ledger, place: Site) -> None:
        assert len(compare(ledger, place.database, place.organisations).lost) == 2

    @pytest.mark.parametrize(("people", "what"), [((1, 2), "halves"), ((1, 1, 2, 3, 4, 5), "doubled")])
    def test_compare_detects_partial_and_duplicate_writes(
        self, ledger: Ledger, place: Site, people: tuple[int, ...], what: str
    ) -> None:
        schema = place.organisations[0].schema
        for person in people:
            place.database.execute(
                f"INSERT INTO {schema}.messages_extends_message (user_id, level, message, url, key, extra_tags, "
                f"is_safe, created, modified) VALUES ({person}, 19, 'token of send', '', '', '', false, now(), now())"
            )
        try:
            outcome = compare(ledger, place.database, place.organisations)
        finally:
            place.database.execute(f"DELETE FROM {schema}.messages_extends_message WHERE message = 'token of send'")
        assert getattr(outcome, what) == [f"{schema} token of send"]

    def test_kill_often_detects_partial_result_of_worker(self, place: Site) -> None:
        half = replace(workers.WORKERS[0], name="half", whole=workers.MANY + 1)
        assert workers.kill_often(place.env, place.database, half, 0).problems != []
