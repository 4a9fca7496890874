"""Deletes what has outlived its retention, organisation by organisation."""

import time
from argparse import ArgumentParser, ArgumentTypeError
from collections import Counter
from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand, CommandError, OutputWrapper
from django.db import connections
from django_tenants.utils import get_public_schema_name

from messages_extends.maintenance.import_database import tenant_schemas
from messages_extends.maintenance.purge import BATCH_SIZE, count_expired, purge
from messages_extends.tenancy.databases import write_database
from messages_extends.tenancy.schemas import inside


class Command(BaseCommand):
    help = (
        "Deletes messages that were read or have expired, and announcements and broadcasts that have ended, more than "
        "RETENTION_DAYS ago. It may be stopped at any moment and run again. docs/how-to/lifecycle.md explains it."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--schema", action="append", help="Only this organisation, or public for broadcasts; may be repeated."
        )
        parser.add_argument("--days", type=_positive, help="Keep for so many days; by default RETENTION_DAYS.")
        parser.add_argument(
            "--batch-size", type=_positive, default=BATCH_SIZE, metavar="N", help="Rows a transaction; 1000 by default."
        )
        parser.add_argument("--dry-run", action="store_true", help="Only say what would be deleted.")

    def handle(self, *, schema: list[str] | None, **options: Any) -> None:
        # Broadcasts first, so that their receipts are found in the organisations.
        every = [get_public_schema_name(), *tenant_schemas()]
        if unknown := sorted(set(schema or ()) - set(every)):
            raise CommandError(f"There is no organisation {unknown[0]!r}.")
        chosen = [each for each in every if schema is None or each in schema]
        failed = [each for each in chosen if not self.try_one(each, public_too=chosen[0] == every[0], **options)]
        if failed:
            raise CommandError(f"{len(failed)} of {len(chosen)} could not be purged to the end: {', '.join(failed)}.")

    def try_one(self, schema: str, **options: Any) -> bool:
        """Purge one schema; whatever goes wrong there is said, and is no reason to leave the others out."""
        try:
            with inside(schema):
                self.one(schema, **options)
        except Exception as error:
            self.stderr.write(f"{schema}: {str(error).strip() or type(error).__name__}")
            # It may have been lost.
            connections[write_database()].close_if_unusable_or_obsolete()
            return False
        return True

    def one(
        self, schema: str, *, days: int | None, batch_size: int, dry_run: bool, public_too: bool, **_: object
    ) -> None:
        if dry_run:
            self.stdout.write(f"{schema}: would delete {_summary(count_expired(days, with_broadcasts=public_too))}")
            return
        gone = purge(days, batch_size=batch_size, progress=Progress(schema, self.stdout))
        self.stdout.write(f"{schema}: deleted {_summary(gone)}")


class Progress:
    """Say how far one schema is, at most once a second; on a terminal always in the same line."""

    def __init__(self, schema: str, stdout: OutputWrapper, clock: Callable[[], float] = time.monotonic) -> None:
        self.schema, self.stdout, self.clock = schema, stdout, clock
        self.ending = "\r" if stdout.isatty() else "\n"
        self.said_at = clock()

    def __call__(self, kind: str, count: int) -> None:
        if self.clock() - self.said_at >= 1:
            self.said_at = self.clock()
            self.stdout.write(f"{self.schema}: {count:,} {kind} so far", ending=self.ending)
            self.stdout.flush()


def _summary(counts: Counter[str]) -> str:
    return ", ".join(f"{count:,} {kind}" for kind, count in counts.items()) or "nothing"


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise ArgumentTypeError(f"{text!r} is no number above 0")
    return int(text)
