"""Messages for multi-tenant Django projects; the public interface is `messages_extends.api`."""

from typing import TYPE_CHECKING

from messages_extends.deprecation import renamed

if not TYPE_CHECKING:
    _LEVELS = ("DEBUG", "INFO", "SUCCESS", "WARNING", "ERROR")
    _CONSTANTS = (
        *_LEVELS,
        *(f"{level}_{kind}" for level in _LEVELS for kind in ("PERSISTENT", "STICKY")),
        "DEFAULT_TAGS",
        "PERSISTENT_MESSAGE_LEVELS",
        "STICKY_MESSAGE_LEVELS",
    )
    _FUNCTIONS = ("MessageFailure", "add_message", *(f"persistant_{level.lower()}" for level in _LEVELS))
    __getattr__ = renamed(
        __name__,
        {name: f"messages_extends.constants.{name}" for name in _CONSTANTS}
        | {name: f"messages_extends.api.{name}" for name in _FUNCTIONS},
    )
