"""The checks of this package, which Django runs through two functions of the application configuration.

Their modules are imported when checks run, because a worker that serves requests never runs them.
"""

from collections.abc import Sequence
from typing import Final

from django.apps import AppConfig
from django.core.checks import CheckMessage, Tags
from django.core.checks.registry import CheckRegistry

registry: Final = CheckRegistry()
register: Final = registry.register


def run_registered(
    of_databases: bool, app_configs: Sequence[AppConfig] | None, databases: Sequence[str] | None
) -> list[CheckMessage]:
    """Run the registered checks, either those of databases or the others."""
    return [
        message
        for check in registry.get_checks()
        if (Tags.database in check.tags) is of_databases
        for message in check(app_configs=app_configs, databases=databases)
    ]
