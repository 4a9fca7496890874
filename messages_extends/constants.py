"""The fifteen message levels and their CSS classes.

The numbers are those in the README of django-messages-extends; its released code used 11, 12, 21, ... instead.
A persistent level is one below its base level, a sticky level two below.
"""

from enum import Enum
from typing import Final

DEBUG: Final = 10
INFO: Final = 20
SUCCESS: Final = 25
WARNING: Final = 30
ERROR: Final = 40

DEBUG_PERSISTENT: Final = 9
INFO_PERSISTENT: Final = 19
SUCCESS_PERSISTENT: Final = 24
WARNING_PERSISTENT: Final = 29
ERROR_PERSISTENT: Final = 39

DEBUG_STICKY: Final = 8
INFO_STICKY: Final = 18
SUCCESS_STICKY: Final = 23
WARNING_STICKY: Final = 28
ERROR_STICKY: Final = 38

PERSISTENT_MESSAGE_LEVELS: Final = (
    DEBUG_PERSISTENT,
    INFO_PERSISTENT,
    SUCCESS_PERSISTENT,
    WARNING_PERSISTENT,
    ERROR_PERSISTENT,
)
STICKY_MESSAGE_LEVELS: Final = (
    DEBUG_STICKY,
    INFO_STICKY,
    SUCCESS_STICKY,
    WARNING_STICKY,
    ERROR_STICKY,
)

DEFAULT_TAGS: Final = {
    DEBUG_PERSISTENT: "debug persistent",
    INFO_PERSISTENT: "info persistent",
    SUCCESS_PERSISTENT: "success persistent",
    WARNING_PERSISTENT: "warning persistent",
    ERROR_PERSISTENT: "error persistent",
    DEBUG_STICKY: "debug sticky",
    INFO_STICKY: "info sticky",
    SUCCESS_STICKY: "success sticky",
    WARNING_STICKY: "warning sticky",
    ERROR_STICKY: "error sticky",
}


class To(Enum):
    """The two audiences that must be named explicitly: no default and no empty list selects them."""

    EVERYONE = "everyone"
    ALL_TENANTS = "all organisations"


EVERYONE: Final = To.EVERYONE
ALL_TENANTS: Final = To.ALL_TENANTS

_BASE_LEVELS: Final = {level: level + 1 for level in PERSISTENT_MESSAGE_LEVELS} | {
    level: level + 2 for level in STICKY_MESSAGE_LEVELS
}


def base_level(level: int) -> int:
    """Return the ordinary level that `level` belongs to, for comparing levels."""
    return _BASE_LEVELS.get(level, level)


_NAMES: Final = {value: name for name, value in dict(vars()).items() if name.isupper() and isinstance(value, int)}


def describe_level(level: object) -> str:
    """Return a level for error messages: `INFO_PERSISTENT (19)`, or its `repr()` if it has no constant."""
    return f"{_NAMES[level]} ({level})" if isinstance(level, int) and level in _NAMES else repr(level)
