"""Many connections under load, with cancelled statements and cut connections: none may read another tenant's row.

Each worker switches tenants, fails, rolls back and reads, in an order that its seed decides, while its statements are
cancelled and its connections are cut. A statement may fail; a row that is returned must be of the worker's tenant.
"""

import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from threading import Event
from typing import Any

import pytest
from django.db import DatabaseError, InterfaceError, connection, connections, transaction
from django_tenants.utils import schema_context

from tests.factories import MakeUser
from tests.isolation.conftest import OURS, THEIRS, OpenConnection
from tests.isolation.test_search_path import set_calls_limited

# Where its CLOSE is cancelled, psycopg says that a named cursor was left open.
pytestmark = pytest.mark.filterwarnings("ignore:.*ServerCursorMixin:pytest.PytestUnraisableExceptionWarning")

SCHEMAS = ("acme", "globex")
WORKERS = 6
STEPS_PER_WORKER = 150
ERRORS = (DatabaseError, InterfaceError)


class RollBack(Exception):
    """Leaves a block, so that it is rolled back."""


@dataclass
class Worker:
    wrapper: Any
    random: random.Random
    reads: int = 0
    wrong: int = 0
    refused: int = 0
    done: set[str] = field(default_factory=set)

    def run(self) -> None:
        # A thread knows only the connections that are its own: `atomic` asks for this one by its alias.
        connections[self.wrapper.alias] = self.wrapper
        try:
            self._enter()
            for _ in range(STEPS_PER_WORKER):
                step = self.random.choice(STEPS)
                self._try(partial(step, self))
                self.done.add(step.__name__)
                self._try(self.read)
        finally:
            self.wrapper.close()

    def _try(self, act: Callable[[], None]) -> None:
        try:
            act()
        except RollBack:
            pass
        except ERRORS:
            self.refused += 1
            # As Django does at the end of a request that failed.
            with suppress(*ERRORS):
                self.wrapper.close_if_unusable_or_obsolete()

    def _enter(self) -> None:
        self.wrapper.set_schema(self.random.choice(SCHEMAS))

    def execute(self, sql: str) -> Any:
        with self.wrapper.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchone() if cursor.description else None

    def read(self) -> None:
        schema = self.wrapper.schema_name
        (found,) = self.execute("SELECT name FROM people_user WHERE id = 1")
        self.reads += 1
        self.wrong += found != schema

    def atomic(self) -> Any:
        return transaction.atomic(using=self.wrapper.alias)


def switch(worker: Worker) -> None:
    worker._enter()


def rest(worker: Worker) -> None:
    worker.execute("SELECT pg_sleep(0.001)")


def abort_a_commit(worker: Worker) -> None:
    with worker.atomic():
        worker._enter()
        worker.read()
        with suppress(DatabaseError):
            worker.execute("SELECT 1 / 0")


def fail_a_commit(worker: Worker) -> None:
    with worker.atomic():
        worker._enter()
        worker.execute("CREATE TEMPORARY TABLE IF NOT EXISTS target (id int PRIMARY KEY)")
        worker.execute(
            "CREATE TEMPORARY TABLE IF NOT EXISTS source (id int REFERENCES target DEFERRABLE INITIALLY DEFERRED)"
        )
        worker.execute("INSERT INTO source VALUES (1)")


def roll_back(worker: Worker) -> None:
    with worker.atomic():
        worker._enter()
        worker.read()
        raise RollBack


def roll_back_to_a_savepoint(worker: Worker) -> None:
    with worker.atomic():
        worker._enter()
        with suppress(RollBack), worker.atomic():
            worker._enter()
            worker.read()
            raise RollBack
        worker.read()


def fail_in_a_savepoint(worker: Worker) -> None:
    with worker.atomic():
        with suppress(DatabaseError), worker.atomic():
            worker._enter()
            worker.execute("SELECT 1 / 0")
        worker.read()


def reconnect(worker: Worker) -> None:
    worker.wrapper.close()


def read_by_a_named_cursor(worker: Worker) -> None:
    with worker.atomic(), worker.wrapper.chunked_cursor() as cursor:
        cursor.execute("SELECT name FROM people_user WHERE id = 1")
        worker.wrong += cursor.fetchone() != (worker.wrapper.schema_name,)


STEPS = (
    *(switch, rest, abort_a_commit, fail_a_commit, roll_back, roll_back_to_a_savepoint),
    *(fail_in_a_savepoint, reconnect, read_by_a_named_cursor),
)


@pytest.fixture
def _two_tenants(committing: None, make_user: MakeUser) -> None:
    for schema in SCHEMAS:
        with schema_context(schema):
            make_user(schema, pk=1)


@pytest.fixture(params=[True, None, False], ids=["limited", "unset", "not limited"])
def limit(request: pytest.FixtureRequest) -> Iterator[bool | None]:
    with set_calls_limited(request.param):
        yield request.param


def run_workers(open_connection: OpenConnection, backend: str) -> list[Worker]:
    """Run the workers on connections of `backend`, while another one cancels their statements and cuts connections."""
    name = f"load test of {backend}"
    workers = [Worker(open_connection(backend, application_name=name), random.Random(seed)) for seed in range(WORKERS)]
    for worker in workers:
        worker.wrapper.inc_thread_sharing()
    finished = Event()
    with ThreadPoolExecutor(WORKERS + 1) as pool:
        disturbance = pool.submit(_disturb, name, finished)
        try:
            for done in [pool.submit(worker.run) for worker in workers]:
                done.result()
        finally:
            finished.set()
        disturbance.result()
    return workers


def _disturb(name: str, finished: Event) -> None:
    chance = random.Random(0)
    try:
        while not finished.wait(chance.random() * 0.01):
            function = "pg_terminate_backend" if chance.random() < 0.1 else "pg_cancel_backend"
            with connection.cursor() as cursor:
                cursor.execute(
                    f"SELECT {function}(pid) FROM pg_stat_activity WHERE application_name = %s "
                    "ORDER BY random() LIMIT 1",
                    [name],
                )
    finally:
        connection.close()


def total(workers: list[Worker], what: str) -> int:
    return sum(getattr(worker, what) for worker in workers)


@pytest.mark.usefixtures("_two_tenants", "limit")
def test_package_backend_under_load_reads_no_row_of_other_tenant(open_connection: OpenConnection) -> None:
    workers = run_workers(open_connection, OURS)
    steps = {step.__name__ for step in STEPS}
    assert set.union(*(worker.done for worker in workers)) == steps
    assert total(workers, "refused") > 0, "no statement was cancelled and no connection was cut"
    assert total(workers, "reads") > WORKERS * STEPS_PER_WORKER / 2
    assert total(workers, "wrong") == 0


@pytest.mark.usefixtures("_two_tenants")
def test_django_tenants_backend_under_load_reads_rows_of_other_tenant(
    open_connection: OpenConnection,
) -> None:
    with set_calls_limited(True):
        assert total(run_workers(open_connection, THEIRS), "wrong") > 0
