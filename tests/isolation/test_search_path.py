"""Facts 2 and 3: our database backend beside django-tenants' own, on connections to the same server.

Where theirs reads another tenant's schema, that is the premise; where it is right, both must be.
"""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from django.conf import settings
from django.db import DatabaseError, DataError, IntegrityError, OperationalError, ProgrammingError, transaction
from django.test import override_settings
from django_tenants.postgresql_backend import base

from tests.isolation.conftest import OURS, THEIRS, OpenConnection

BOTH = pytest.mark.parametrize("backend", [OURS, THEIRS])


@pytest.fixture(params=[True, False, None], ids=["limited", "not limited", "unset"])
def limit(request: pytest.FixtureRequest) -> Iterator[bool | None]:
    """Run the test with TENANT_LIMIT_SET_CALLS on, off and not set."""
    with set_calls_limited(request.param):
        yield request.param


@contextmanager
def set_calls_limited(limit: bool | None) -> Iterator[None]:
    with override_settings(TENANT_LIMIT_SET_CALLS=limit):
        if limit is None:
            delattr(settings, "TENANT_LIMIT_SET_CALLS")
        yield


@pytest.fixture
def limited() -> Iterator[None]:
    with override_settings(TENANT_LIMIT_SET_CALLS=True):
        yield


def schema_in_force(wrapper: Any) -> Any:
    with wrapper.cursor() as cursor:
        cursor.execute("SELECT current_schema()")
        return cursor.fetchone()[0]


def in_tenant(wrapper: Any, schema: str) -> Any:
    """Put the connection into a tenant for good: the path is sent and committed."""
    wrapper.set_schema(schema)
    assert schema_in_force(wrapper) == schema
    return wrapper


def fail(wrapper: Any) -> None:
    with suppress(DataError), wrapper.cursor() as cursor:
        cursor.execute("SELECT 1 / 0")


# Fact 2: a transaction that ends otherwise than Django thinks --------------------------------------------------------


def after_an_error_caught_inside_atomic(wrapper: Any) -> Any:
    in_tenant(wrapper, "acme")
    wrapper.set_schema("globex")
    with transaction.atomic(using=wrapper.alias):
        schema_in_force(wrapper)
        fail(wrapper)
    # Django has sent COMMIT; the server has rolled back, the SET included.
    return schema_in_force(wrapper)


@pytest.mark.usefixtures("limited")
def test_django_tenants_backend_reads_previous_schema_after_caught_error(open_connection: OpenConnection) -> None:
    assert after_an_error_caught_inside_atomic(open_connection(THEIRS)) == "acme"


@pytest.mark.usefixtures("limit")
def test_package_backend_reads_current_schema_after_caught_error(open_connection: OpenConnection) -> None:
    assert after_an_error_caught_inside_atomic(open_connection(OURS)) == "globex"


def after_a_commit_that_failed(wrapper: Any) -> str:
    """Return the schema in force after a COMMIT that a deferred constraint turned into a rollback."""
    in_tenant(wrapper, "acme")
    with wrapper.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE target (id int PRIMARY KEY)")
        cursor.execute("CREATE TEMPORARY TABLE source (id int REFERENCES target DEFERRABLE INITIALLY DEFERRED)")
    wrapper.set_autocommit(False)
    wrapper.set_schema("globex")
    with wrapper.cursor() as cursor:
        cursor.execute("INSERT INTO source VALUES (1)")
    with suppress(IntegrityError):
        wrapper.commit()
    return schema_in_force(wrapper)


@pytest.mark.usefixtures("limited")
def test_django_tenants_backend_reads_previous_schema_after_failed_commit(open_connection: OpenConnection) -> None:
    assert after_a_commit_that_failed(open_connection(THEIRS)) == "acme"


@pytest.mark.usefixtures("limit")
def test_package_backend_reads_current_schema_after_failed_commit(open_connection: OpenConnection) -> None:
    assert after_a_commit_that_failed(open_connection(OURS)) == "globex"


@BOTH
@pytest.mark.usefixtures("limit")
def test_transaction_rollback_before_first_cursor_keeps_schema(backend: str, open_connection: OpenConnection) -> None:
    wrapper = in_tenant(open_connection(backend), "acme")
    wrapper.set_schema("globex")
    with suppress(ZeroDivisionError), transaction.atomic(using=wrapper.alias):
        assert schema_in_force(wrapper) == "globex"
        raise ZeroDivisionError
    assert schema_in_force(wrapper) == "globex"


@BOTH
@pytest.mark.usefixtures("limit")
def test_savepoint_rollback_keeps_schema(backend: str, open_connection: OpenConnection) -> None:
    wrapper = in_tenant(open_connection(backend), "acme")
    with transaction.atomic(using=wrapper.alias):
        wrapper.set_schema("globex")
        with suppress(ZeroDivisionError), transaction.atomic(using=wrapper.alias):
            assert schema_in_force(wrapper) == "globex"
            raise ZeroDivisionError
        assert schema_in_force(wrapper) == "globex"
    assert schema_in_force(wrapper) == "globex"


@BOTH
@pytest.mark.usefixtures("limit")
def test_savepoint_rollback_after_server_error_keeps_schema(backend: str, open_connection: OpenConnection) -> None:
    wrapper = in_tenant(open_connection(backend), "acme")
    with transaction.atomic(using=wrapper.alias):
        wrapper.set_schema("globex")
        with suppress(ProgrammingError), transaction.atomic(using=wrapper.alias), wrapper.cursor() as cursor:
            cursor.execute("SELECT * FROM no_such_table")
        assert schema_in_force(wrapper) == "globex"
    assert schema_in_force(wrapper) == "globex"


@pytest.mark.usefixtures("limit")
def test_package_backend_allows_rollback_of_aborted_transaction(open_connection: OpenConnection) -> None:
    wrapper = in_tenant(open_connection(OURS), "acme")
    with transaction.atomic(using=wrapper.alias):
        fail(wrapper)
        wrapper.set_schema("globex")
        with pytest.raises(DatabaseError, match="aborted"):
            schema_in_force(wrapper)
    assert schema_in_force(wrapper) == "globex"


@pytest.mark.parametrize(("limit", "sent"), [(True, 0), (None, 0), (False, 3)], ids=["limited", "unset", "not limited"])
def test_package_backend_sends_search_path_once_when_set_calls_limited(
    limit: bool | None, sent: int, open_connection: OpenConnection
) -> None:
    with set_calls_limited(limit):
        wrapper = in_tenant(open_connection(OURS), "acme")
        wrapper.force_debug_cursor = True
        for _ in range(3):
            schema_in_force(wrapper)
    statements = [query["sql"] for query in wrapper.queries]
    assert [sql for sql in statements if not sql.startswith("SET")] == ["SELECT current_schema()"] * 3
    assert len(statements) == 3 + sent


# Fact 3: a SET that the server cancels ------------------------------------------------------------------------------

# So long that parsing alone outlasts the time allowed for a statement: the server cancels it before it takes effect.
NAMES = 200_000
TIME_ALLOWED = "25ms"


@pytest.fixture
def cancel_set(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], Any]:
    """Have the server cancel the next `SET search_path` of a connection, and that statement only."""

    def while_opening_a_cursor(wrapper: Any, open_cursor: str = "cursor") -> Any:
        wrapper.connection.execute(f"SET statement_timeout = '{TIME_ALLOWED}'")
        with monkeypatch.context() as patch:
            patch.setattr(base, "EXTRA_SEARCH_PATHS", [f"extra_{number}_{'x' * 40}" for number in range(NAMES)])
            try:
                return getattr(wrapper, open_cursor)()
            finally:
                _allow_any_time(wrapper)

    return while_opening_a_cursor


def _allow_any_time(wrapper: Any) -> None:
    if not wrapper.in_atomic_block:
        wrapper.connection.execute("SET statement_timeout = 0")


@pytest.mark.usefixtures("limit")
def test_django_tenants_backend_reads_previous_schema_after_cancelled_set(
    open_connection: OpenConnection, cancel_set: Callable[..., Any]
) -> None:
    wrapper = in_tenant(open_connection(THEIRS), "acme")
    wrapper.set_schema("globex")
    with cancel_set(wrapper) as cursor:
        cursor.execute("SELECT current_schema()")
        assert cursor.fetchone() == ("acme",)


@pytest.mark.usefixtures("limit")
def test_package_backend_raises_after_cancelled_set_then_reads_schema(
    open_connection: OpenConnection, cancel_set: Callable[..., Any]
) -> None:
    wrapper = in_tenant(open_connection(OURS), "acme")
    wrapper.set_schema("globex")
    with pytest.raises(OperationalError, match="canceling statement"):
        cancel_set(wrapper)
    assert schema_in_force(wrapper) == "globex"


@pytest.mark.usefixtures("limit")
def test_package_backend_raises_after_cancelled_set_in_atomic(
    open_connection: OpenConnection, cancel_set: Callable[..., Any]
) -> None:
    wrapper = in_tenant(open_connection(OURS), "acme")
    wrapper.set_schema("globex")
    with pytest.raises(OperationalError, match="canceling statement"), transaction.atomic(using=wrapper.alias):
        cancel_set(wrapper)
    _allow_any_time(wrapper)
    assert schema_in_force(wrapper) == "globex"


@pytest.mark.usefixtures("limit")
def test_package_backend_raises_django_error_after_cancelled_named_cursor(
    open_connection: OpenConnection, cancel_set: Callable[..., Any]
) -> None:
    wrapper = in_tenant(open_connection(OURS), "acme")
    wrapper.set_schema("globex")
    with pytest.raises(OperationalError, match="canceling statement"):
        cancel_set(wrapper, "chunked_cursor")
    # A cursor that was left open says so when it is collected.
    gc.collect()
    assert schema_in_force(wrapper) == "globex"


# Cursors and connections that were opened before --------------------------------------------------------------------


@BOTH
@pytest.mark.usefixtures("limit")
def test_named_cursor_reads_schema_current_at_opening(backend: str, open_connection: OpenConnection) -> None:
    wrapper = in_tenant(open_connection(backend), "acme")
    wrapper.set_schema("globex")
    with transaction.atomic(using=wrapper.alias), wrapper.chunked_cursor() as cursor:
        cursor.execute("SELECT current_schema()")
        assert cursor.fetchone() == ("globex",)


@BOTH
@pytest.mark.usefixtures("limit")
def test_pooled_connection_after_other_tenant_reads_current_schema(
    backend: str, open_connection: OpenConnection
) -> None:
    wrapper = open_connection(backend, pool={"min_size": 1, "max_size": 1})
    try:
        in_tenant(wrapper, "acme")
        wrapper.close()
        with wrapper.pool.connection() as raw:
            assert raw.execute("SELECT current_schema()").fetchone() == ("acme",), "the pool has cleaned it"
        wrapper.set_schema("globex")
        assert schema_in_force(wrapper) == "globex"
    finally:
        wrapper.close()
        wrapper.close_pool()


@pytest.mark.usefixtures("limited")
@pytest.mark.parametrize(("backend", "found"), [(THEIRS, "public"), (OURS, "acme")])
def test_package_backend_sets_search_path_on_replaced_raw_connection(
    backend: str, found: str, open_connection: OpenConnection
) -> None:
    wrapper = in_tenant(open_connection(backend), "acme")
    wrapper.connection.close()
    wrapper.connection = None
    assert schema_in_force(wrapper) == found
