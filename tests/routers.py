"""A database router for tests."""

from typing import Any


class ReplicaRouter:
    """Send reads to a database of the name "replica", which a test makes, or does without to see what asks for it."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return "replica"

    def db_for_write(self, model: Any, **hints: Any) -> str:
        return "default"
