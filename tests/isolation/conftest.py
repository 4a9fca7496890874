"""Fixtures of the isolation tests: connections and threads beside the test's own."""

import copy
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Any

import pytest
from django.db import connection, connections
from django_tenants.utils import schema_context
from pytest_django import DjangoDbBlocker

from tenants.people.models import User
from tests.factories import MakeUser

OURS = "messages_extends.tenancy.backend"
THEIRS = "django_tenants.postgresql_backend"

OpenConnection = Callable[..., Any]


@pytest.fixture
def open_connection(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[OpenConnection]:
    """Open connections of a named backend to the test database; `transaction.atomic(using=it.alias)` works on them."""
    opened: list[Any] = []

    def make(backend: str, **options: Any) -> Any:
        values = {**copy.deepcopy(connection.settings_dict), "OPTIONS": options}
        alias = f"{backend}_{len(opened)}"
        connections[alias] = import_module(f"{backend}.base").DatabaseWrapper(values, alias)
        opened.append(connections[alias])
        return connections[alias]

    with django_db_blocker.unblock():
        yield make
        for wrapper in opened:
            wrapper.close()
            del connections[wrapper.alias]


@pytest.fixture
def in_threads(committing: None) -> Callable[..., list[Any]]:
    """Run functions at the same time, each in a thread and with a connection of its own; return what they return."""

    def run(*functions: Callable[[], Any]) -> list[Any]:
        def closing(function: Callable[[], Any]) -> Any:
            try:
                return function()
            finally:
                connections.close_all()

        with ThreadPoolExecutor(len(functions)) as pool:
            return list(pool.map(closing, functions))

    return run


@pytest.fixture
def twins(make_user: MakeUser) -> dict[str, User]:
    """Two people with the same primary key, of acme and of globex."""
    found = {}
    for schema in ("acme", "globex"):
        with schema_context(schema):
            found[schema] = make_user(pk=1)
    return found
