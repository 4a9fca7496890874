"""What code written for django-messages-extends still finds, and what is logged where there is a better way.

It is logged once for each line of the host's code. The warnings module is not used, because test suites turn warnings
into errors.
"""

import logging
import sys
from collections.abc import Callable, Mapping
from typing import Final

from django.utils.module_loading import import_string

logger = logging.getLogger("messages_extends")

# The packages between the host's code and ours, also where a name is imported from a module.
PASSED_THROUGH: Final = ("messages_extends", "django.contrib.messages", "importlib")
_logged: dict[tuple[str, str, int], object] = {}


def log_once(text: str, *args: object) -> None:
    """Log `text` at WARNING with the line of the host's code that has led here; nothing if it has been logged there."""
    frame, depth = sys._getframe(), 1
    while frame.f_back is not None and _is_passed_through(str(frame.f_globals.get("__name__", ""))):
        frame, depth = frame.f_back, depth + 1
    first = object()
    # In one step, because two threads may be at the same line.
    if _logged.setdefault((text, frame.f_code.co_filename, frame.f_lineno), first) is first:
        logger.warning(text, *args, stacklevel=depth)


def _is_passed_through(module: str) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in PASSED_THROUGH)


def renamed(module: str, names: Mapping[str, str]) -> Callable[[str], object]:
    """Return a `__getattr__` for `module`: old names are found, each with the path of what takes its place."""

    def find(name: str) -> object:
        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        log_once(f"{module}.{name} is deprecated: use {names[name]}.")
        found: object = import_string(names[name])
        return found

    return find
