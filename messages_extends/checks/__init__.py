"""System checks: every misconfiguration that would lose messages or show them to another organisation.

Each has an id and a remedy, docs/checks.md lists them, and a host silences one with SILENCED_SYSTEM_CHECKS. Importing
this package registers them; `messages_extends.apps` does so.
"""

from messages_extends.checks import database, distributions, isolation, layout, own, requests

__all__ = ["database", "distributions", "isolation", "layout", "own", "requests"]
