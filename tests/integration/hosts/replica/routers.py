"""The router of the documentation, which begins once there is something to read."""

from typing import Any

from tests.documentation import all_blocks

[DOCUMENTED] = [block.code for block in all_blocks() if block.is_titled("routers.py")]
names: dict[str, Any] = {}
exec(compile(DOCUMENTED, "documentation", "exec"), names)


Documented: Any = names["ReplicaRouter"]


class ReplicaRouter(Documented):  # type: ignore[misc]
    is_ready = False

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return str(super().db_for_read(model, **hints)) if type(self).is_ready else "default"
