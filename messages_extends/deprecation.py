"""Support for names of django-messages-extends, and logging of their use.

A use is logged once per line of calling code. The warnings module is not used, because many test suites turn warnings
into errors.
"""

import logging
import sys
from collections.abc import Callable, Mapping
from typing import Final

from django.utils.module_loading import import_string

logger = logging.getLogger("messages_extends")

# Packages that are skipped when looking for the line that calls this package.
SKIPPED_PACKAGES: Final = ("messages_extends", "django.contrib.messages", "importlib")
_logged: dict[tuple[str, str, int], object] = {}


def log_once(text: str, *args: object) -> None:
    """Log a warning with the line of the host project's code that caused it, once for each such line."""
    frame, depth = sys._getframe(), 1
    # A dot is added, so that a prefix matches whole names.
    skipped = tuple(f"{name}." for name in SKIPPED_PACKAGES)
    while frame.f_back is not None and f"{frame.f_globals.get('__name__', '')}.".startswith(skipped):
        frame, depth = frame.f_back, depth + 1
    first = object()
    # setdefault is atomic: two threads may execute the same line.
    if _logged.setdefault((text, frame.f_code.co_filename, frame.f_lineno), first) is first:
        logger.warning(text, *args, stacklevel=depth)


def renamed(module: str, names: Mapping[str, str]) -> Callable[[str], object]:
    """Return a `__getattr__` for `module` that resolves old names to the dotted paths of their replacements."""

    def find(name: str) -> object:
        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        log_once(f"{module}.{name} is deprecated: use {names[name]}.")
        found: object = import_string(names[name])
        return found

    return find
