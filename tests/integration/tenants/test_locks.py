"""One migration at a time."""

import io
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import psycopg
import pytest
from django.core.management import call_command, get_commands
from django.db import connection
from pytest_django import DjangoDbBlocker

from tenants import locks
from tenants.locks import migration_lock
from tenants.models import Tenant

pytestmark = pytest.mark.integration


@pytest.fixture
def unblocked(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    with django_db_blocker.unblock():
        yield


@pytest.fixture
def other_migration(unblocked: None) -> Iterator[psycopg.Connection[Any]]:
    """Another process' migration; it ends when the connection is closed."""
    other = locks._own_connection()
    # The server may still be ending the connection of the test before.
    other.execute("SET statement_timeout = '10s'")
    other.execute("SELECT pg_advisory_lock(%s)", [locks._KEY])
    yield other
    with suppress(psycopg.Error):
        other.close()


def can_be_taken() -> bool:
    with locks._own_connection() as other:
        return locks._try(other)


def becomes_free() -> bool:
    """Tell whether it is released, as the server does a moment after a connection has been closed."""
    for _ in range(200):
        if can_be_taken():
            return True
        time.sleep(0.05)
    return False


def test_migration_lock_waits_for_other_migration_and_continues(
    other_migration: psycopg.Connection[Any],
) -> None:
    said: list[str] = []

    def on_wait() -> None:
        said.append("waiting")
        other_migration.close()

    with migration_lock(on_wait):
        assert said == ["waiting"]


@pytest.mark.usefixtures("unblocked")
def test_migration_lock_survives_closed_django_connection() -> None:
    with migration_lock():
        connection.close()
        assert not can_be_taken()
    assert becomes_free()


@pytest.mark.usefixtures("unblocked")
def test_migration_lock_is_released_after_error() -> None:
    with pytest.raises(ZeroDivisionError), migration_lock():
        raise ZeroDivisionError
    assert becomes_free()


@pytest.mark.usefixtures("unblocked")
def test_migration_lock_is_reentrant() -> None:
    with migration_lock(), migration_lock():
        assert not can_be_taken()
    assert becomes_free()


@pytest.mark.usefixtures("unblocked")
def test_migration_lock_blocks_other_thread() -> None:
    waits = threading.Event()

    def migrate() -> None:
        with migration_lock(waits.set):
            pass

    with migration_lock():
        thread = threading.Thread(target=migrate)
        thread.start()
        assert waits.wait(5)
    thread.join(5)
    assert not thread.is_alive()


@pytest.mark.usefixtures("unblocked")
def test_migration_lock_does_not_block_child_process_of_holder(environment: dict[str, str]) -> None:
    child = (
        "import django; django.setup(); from tenants.locks import migration_lock\nwith migration_lock(): print('in')"
    )
    with migration_lock():
        own = {**environment, locks._VARIABLE: str(__import__("os").getpid())}
        done = subprocess.run(
            [sys.executable, "-c", child], env=own, capture_output=True, text=True, timeout=20, check=True
        )
    assert done.stdout == "in\n"


@pytest.mark.parametrize("command", ["migrate", "migrate_schemas"])
def test_migrate_commands_come_from_tenants_app(command: str) -> None:
    assert get_commands()[command] == "tenants"


@pytest.mark.parametrize("command", ["migrate", "migrate_schemas"])
def test_migrate_commands_print_waiting_message(other_migration: psycopg.Connection[Any], command: str) -> None:
    class Screen(io.StringIO):
        def write(self, text: str) -> int:
            other_migration.close()
            return super().write(text)

    screen = Screen()
    call_command(command, schema_name="acme", verbosity=0, stderr=screen)
    assert "Another migration is running" in screen.getvalue()


def test_migrate_schemas_check_does_not_wait_for_lock(other_migration: psycopg.Connection[Any]) -> None:
    call_command("migrate_schemas", schema_name="acme", check_unapplied=True, verbosity=0)


def test_create_organisation_waits_for_running_migration(
    other_migration: psycopg.Connection[Any], make_organisation: Callable[..., Tenant]
) -> None:
    steps: list[str] = []

    def progress(step: str) -> None:
        steps.append(step)
        other_migration.close()

    make_organisation(progress=progress)
    assert steps[0] == "Waiting for another migration to finish"
