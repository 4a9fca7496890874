"""The command of django-tenants, with a lock.

This app precedes django_tenants in INSTALLED_APPS, so that its commands are used.
"""

from typing import Any

from django_tenants.management.commands.migrate_schemas import MigrateSchemasCommand

from tenants.locks import migration_lock


class Command(MigrateSchemasCommand):  # type: ignore[misc]
    def handle(self, *args: Any, **options: Any) -> None:
        if options.get("plan") or options.get("check_unapplied"):
            super().handle(*args, **options)
            return
        with migration_lock(self._say_that_we_wait):
            super().handle(*args, **options)

    def _say_that_we_wait(self) -> None:
        self.stderr.write("Another migration is running in this database; waiting for it to end.")
