"""The suite of the host with a read replica, on two servers of PostgreSQL that stream."""

from collections.abc import Iterator

import pytest

from tests.integration.hosts.replicated import primary_and_replica
from tests.integration.hosts.test_hosts import run_suite
from tests.processes import open_folder


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, str]]:
    with open_folder() as folder, primary_and_replica(folder) as (primary, replica):
        yield {"DATABASE_URL": primary, "REPLICA_URL": replica}


@pytest.mark.longrun
def test_replica_host_suite_passes(servers: dict[str, str]) -> None:
    run_suite("replica", **servers)
