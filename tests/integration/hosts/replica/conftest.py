"""Fixtures of the host with a replica: what a test commits, and a replica that is up to date, or behind."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.signals import request_started
from django.db import connections
from django_tenants.utils import schema_context
from pytest_django import DjangoDbBlocker

from tests.integration.hosts.replica.routers import ReplicaRouter
from tests.processes import eventually

EMPTIED = """
TRUNCATE t1.auth_user, t1.auth_group, t2.auth_user, t2.auth_group, t1.messages_extends_announcement,
    t1.messages_extends_auditrecord, t1.messages_extends_submission, public.broadcasts_broadcast
    RESTART IDENTITY CASCADE
"""


def value(alias: str, statement: str) -> Any:
    with connections[alias].cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()[0]


def catch_up() -> None:
    """Wait until the replica has all that is committed."""
    written = value("default", "SELECT pg_current_wal_lsn()")
    assert eventually(lambda: bool(value("replica", f"SELECT pg_last_wal_replay_lsn() >= '{written}'")))


def begin_request() -> None:
    """Have what follows count as a request of its own."""
    request_started.send(sender=None)


@contextmanager
def paused() -> Iterator[None]:
    """Keep the replica, in a block, from learning anything more; and begin a request."""
    catch_up()
    value("replica", "SELECT pg_wal_replay_pause()")
    assert eventually(lambda: value("replica", "SELECT pg_get_wal_replay_pause_state()") == "paused")
    begin_request()
    try:
        yield
    finally:
        value("replica", "SELECT pg_wal_replay_resume()")


@pytest.fixture(autouse=True)
def in_t1(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Let the test commit, inside an organisation that is empty."""
    ReplicaRouter.is_ready = True
    with django_db_blocker.unblock():
        with connections["default"].cursor() as cursor:
            cursor.execute(EMPTIED)
        with schema_context("t1"):
            yield


@pytest.fixture
def db(in_t1: None) -> None:
    """Take the place of pytest-django's own, whose transaction the replica would never see."""


@pytest.fixture
def alice() -> User:
    return User.objects.create_user("alice")


@pytest.fixture
def bob() -> User:
    return User.objects.create_user("bob")


@pytest.fixture
def behind(alice: User, bob: User) -> Iterator[Callable[[], Any]]:
    """Have a replica that knows the people, and nothing that the test writes."""
    with paused():
        yield begin_request
