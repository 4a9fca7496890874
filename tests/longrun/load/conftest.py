"""The load test on single connections opens them as the isolation tests do."""

from tests.isolation.conftest import open_connection as open_connection  # noqa: PLC0414 - a fixture
