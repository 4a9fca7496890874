"""Databases that the real django-messages-extends 0.6.3 filled: made once, copied for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.upgrade.hosts import Host, database
from tests.upgrade.peers import published_package

# The second name has all that must be quoted, or doubled where SQL takes parameters.
SCHEMAS = ("acme", "Größe 100%.x")


@pytest.fixture(scope="session")
def published() -> Path:
    return published_package()


@pytest.fixture(scope="session")
def filled_tenants(published: Path) -> Iterator[Host]:
    yield from _filled("published-tenants", published)


@pytest.fixture(scope="session")
def filled_public(published: Path) -> Iterator[Host]:
    yield from _filled("published-shared", published)


def _filled(layout: str, published: Path) -> Iterator[Host]:
    with database() as name:
        host = Host(name, layout)
        host.fill(published, SCHEMAS)
        yield host


@pytest.fixture
def per_tenant(filled_tenants: Host) -> Iterator[Host]:
    """A host whose tenants each have a table of 0.6.3."""
    with database(filled_tenants.database) as name:
        yield Host(name, filled_tenants.layout)


@pytest.fixture(scope="session")
def migrated_tenants(filled_tenants: Host) -> Iterator[Host]:
    with database(filled_tenants.database) as name:
        ours = Host(name, "tenants")
        ours.manage("migrate_schemas")
        yield ours


@pytest.fixture
def migrated(migrated_tenants: Host) -> Iterator[Host]:
    """The host of `per_tenant` after our migrations."""
    with database(migrated_tenants.database) as name:
        yield Host(name, migrated_tenants.layout)


@pytest.fixture
def shared(filled_public: Host) -> Iterator[Host]:
    """A host whose tenants share one table of 0.6.3, in public, and their users."""
    with database(filled_public.database) as name:
        yield Host(name, filled_public.layout)
