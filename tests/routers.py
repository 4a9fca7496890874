"""A database router for tests."""

from typing import Any


class ReplicaRouter:
    """Route reads to the database "replica"; a test without that database sees the reads as errors."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return "replica"

    def db_for_write(self, model: Any, **hints: Any) -> str:
        return "default"
