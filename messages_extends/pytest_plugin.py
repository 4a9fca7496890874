"""Fixtures for pytest. They import the models only when a test requests them."""

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture
def sent_messages(db: None) -> ModuleType:
    """Return `messages_extends.testing`: sent_to, assert_sent_to, assert_nothing_sent."""
    from messages_extends import testing

    return testing


@pytest.fixture(scope="session")
def keep_tenants(django_db_setup: None) -> Iterator[None]:
    """Keep the tenants when tests with `transactional_db`, and Django's TransactionTestCase, flush the database.

    It applies the mixin `messages_extends.testing.KeepTenants` to all of them until the end of the session.
    """
    from django import test

    from messages_extends.testing import CommittingTestCase, KeepTenants, set_up

    case: Any = test.TransactionTestCase
    original = case._fixture_setup

    def setup(cls: type[CommittingTestCase]) -> None:
        set_up(cls, lambda: original.__func__(cls))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(case, "_fixture_setup", classmethod(setup))
        patch.setattr(case, "_fixture_teardown", KeepTenants._fixture_teardown)
        yield
