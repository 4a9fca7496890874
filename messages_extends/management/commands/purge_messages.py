"""Delete expired messages and publications, one tenant at a time."""

import time
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand, CommandError, OutputWrapper
from django.db import connections
from django_tenants.utils import get_public_schema_name

from messages_extends.maintenance.import_database import tenant_schemas
from messages_extends.maintenance.purge import BATCH_SIZE, count_expired, purge
from messages_extends.management.arguments import positive_int
from messages_extends.tenancy.databases import write_database
from messages_extends.tenancy.schemas import in_schema


class Command(BaseCommand):
    help = (
        "Deletes messages that were read or have expired, and announcements and broadcasts that have ended, more than "
        "RETENTION_DAYS ago. It can be interrupted and run again. See docs/how-to/lifecycle.md."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--schema",
            action="append",
            help="Limit it to this organisation, or public for broadcasts; may be repeated.",
        )
        parser.add_argument("--days", type=positive_int, help="The number of days to keep; RETENTION_DAYS by default.")
        parser.add_argument(
            "--batch-size",
            type=positive_int,
            default=BATCH_SIZE,
            metavar="N",
            help="Rows per transaction; 1000 by default.",
        )
        parser.add_argument("--dry-run", action="store_true", help="Only report what would be deleted.")

    def handle(self, *, schema: list[str] | None, **options: Any) -> None:
        # Broadcasts first, so that their receipts are deleted in the tenants.
        every = [get_public_schema_name(), *tenant_schemas()]
        if unknown := sorted(set(schema or ()) - set(every)):
            raise CommandError(f"There is no organisation {unknown[0]!r}.")
        chosen = [each for each in every if schema is None or each in schema]
        failed = [each for each in chosen if not self.try_one(each, public_too=chosen[0] == every[0], **options)]
        if failed:
            raise CommandError(f"{len(failed)} of {len(chosen)} could not be purged completely: {', '.join(failed)}.")

    def try_one(self, schema: str, **options: Any) -> bool:
        """Purge one schema. An error is reported, and the command continues with the others."""
        try:
            with in_schema(schema):
                self.one(schema, **options)
        except Exception as error:
            self.stderr.write(f"{schema}: {str(error).strip() or type(error).__name__}")
            # The connection may be lost.
            connections[write_database()].close_if_unusable_or_obsolete()
            return False
        return True

    def one(
        self, schema: str, *, days: int | None, batch_size: int, dry_run: bool, public_too: bool, **_: object
    ) -> None:
        if dry_run:
            self.stdout.write(f"{schema}: would delete {_summary(count_expired(days, with_broadcasts=public_too))}")
            return
        deleted = purge(days, batch_size=batch_size, progress=Progress(schema, self.stdout))
        self.stdout.write(f"{schema}: deleted {_summary(deleted)}")


class Progress:
    """Report the progress for one schema, at most once a second; on a terminal in a single line."""

    def __init__(self, schema: str, stdout: OutputWrapper, clock: Callable[[], float] = time.monotonic) -> None:
        self.schema, self.stdout, self.clock = schema, stdout, clock
        self.ending = "\r" if stdout.isatty() else "\n"
        self.reported_at = clock()

    def __call__(self, kind: str, count: int) -> None:
        if self.clock() - self.reported_at >= 1:
            self.reported_at = self.clock()
            self.stdout.write(f"{self.schema}: {count:,} {kind} so far", ending=self.ending)
            self.stdout.flush()


def _summary(counts: Counter[str]) -> str:
    return ", ".join(f"{count:,} {kind}" for kind, count in counts.items()) or "nothing"
