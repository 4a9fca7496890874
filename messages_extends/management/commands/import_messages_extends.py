"""Import the shared table of django-messages-extends into the tenants."""

import time
from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand, CommandError, OutputWrapper
from django.utils.module_loading import import_string

from messages_extends.exceptions import MessagesExtendsError
from messages_extends.maintenance import import_people, import_table
from messages_extends.maintenance.import_database import ImportRefused, one_import_at_a_time, public, tenant_schemas
from messages_extends.maintenance.import_rows import first_of, require_tables, transfer
from messages_extends.maintenance.import_table import OldTable
from messages_extends.management.arguments import positive_int
from messages_extends.tenancy.schemas import in_schema


class Command(BaseCommand):
    help = (
        "Imports the table of django-messages-extends 0.6.3 that all tenants shared into the tenants. It can be "
        "interrupted and run again. See docs/how-to/upgrading.md."
    )
    # One of them reports the table that this command imports.
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        how = parser.add_mutually_exclusive_group()
        how.add_argument(
            "--prepare", action="store_true", help="Only rename the old table, so that migrate_schemas can run."
        )
        how.add_argument(
            "--match",
            metavar="FIELD",
            help="Match old users with those of a tenant by a unique field, such as email; pk if users are shared.",
        )
        how.add_argument(
            "--mapping",
            metavar="PATH",
            help="Match them with a callable that takes a schema and returns pairs (old user id, new user id).",
        )
        parser.add_argument(
            "--tenant", action="append", metavar="SCHEMA", help="Limit the import to this tenant; may be repeated."
        )
        parser.add_argument(
            "--several-to", metavar="SCHEMA", help="The tenant that receives the messages of users who are in several."
        )
        parser.add_argument("--dry-run", action="store_true", help="Only report what would be done.")
        parser.add_argument(
            "--batch-size", type=positive_int, default=2000, metavar="N", help="Rows per transaction; 2000 by default."
        )
        parser.add_argument("--drop", action="store_true", help="Drop the old table, if all its rows are imported.")
        parser.add_argument(
            "--discard",
            type=int,
            default=0,
            metavar="N",
            help="With --drop: the number of rows that are deleted with it.",
        )

    def handle(self, **options: Any) -> None:
        if not (options["prepare"] or options["match"] or options["mapping"] or options["drop"]):
            raise CommandError("Specify --prepare, --match FIELD, --mapping PATH or --drop.")
        if options["discard"] and not options["drop"]:
            raise CommandError("--discard requires --drop.")
        try:
            with in_schema(public()), one_import_at_a_time():
                self.run(**options)
        except MessagesExtendsError as error:
            raise CommandError(str(error)) from error

    def run(self, *, dry_run: bool, drop: bool, discard: int, **options: Any) -> None:
        if options["match"] or options["mapping"]:
            self.import_messages(dry_run=dry_run, **options)
        elif options["prepare"]:
            self.prepare(dry_run=dry_run)
        table = import_table.find_old_table()
        if drop and dry_run:
            self.stdout.write(f"Would drop {table} if none of its rows were left.")
        elif drop:
            import_table.drop(discard=discard)
            self.stdout.write(f"{table} has been dropped.")

    def prepare(self, *, dry_run: bool) -> None:
        if not dry_run:
            table = import_table.rename_old_table()
        elif not (table := import_table.find_old_table()).is_renamed:
            self.stdout.write(f"Would rename {table}.")
            return
        self.stdout.write(f"The old table is {table}. Now run migrate_schemas, then this command with a mapping.")

    def import_messages(
        self, *, dry_run: bool, batch_size: int, tenant: list[str] | None, several_to: str | None, **options: Any
    ) -> None:
        # Validate the options before anything is changed.
        table, schemas = import_table.find_old_table(), tenant_schemas()
        for schema in (*(tenant or ()), *([several_to] if several_to else ())):
            if schema not in schemas:
                raise ImportRefused(f"There is no tenant {schema!r}. The tenants are: {first_of(schemas)}.")
        if options["match"]:
            mapping = import_people.mapping_by(options["match"], table)
        else:
            try:
                mapping = import_string(options["mapping"])
            except ImportError as error:
                raise ImportRefused(f"--mapping {options['mapping']}: {error}") from error
            if not callable(mapping):
                raise ImportRefused(
                    f"--mapping {options['mapping']} is {mapping!r}: expected a callable that takes a schema."
                )
        if not dry_run:
            table = import_table.rename_old_table()
        with import_people.pairs_of(mapping, schemas, table, several_to=several_to) as unknown:
            for schema, number in unknown.items():
                self.stderr.write(f"{schema}: the mapping contains {number} unknown users.")
            counts = import_people.count_by_tenant(table)
            wanted = {schema: number for schema, number in counts.items() if not tenant or schema in tenant}
            if dry_run:
                self.report_dry_run(wanted)
            else:
                self.transfer(table, wanted, batch_size)
            self.report(table, import_people.count_remaining(table), sum(wanted.values()) if dry_run else 0)

    def report_dry_run(self, wanted: dict[str, int]) -> None:
        for schema, number in wanted.items():
            self.stdout.write(f"{schema}: would import {number:,}")

    def transfer(self, table: OldTable, wanted: dict[str, int], batch_size: int) -> None:
        require_tables(wanted)
        for schema, number in wanted.items():
            progress = Progress(schema, number, self.stdout)
            progress.end(transfer(table, schema, batch_size=batch_size, on_batch=progress))

    def report(self, table: OldTable, left: import_people.Remaining, planned: int) -> None:
        waiting = left.chosen - planned
        if not (left.unmatched or waiting):
            self.stdout.write(f"Nothing is left in {table}; --drop drops it." if not planned else "Nothing is left.")
            return
        self.stdout.write(f"Left in {table}: {left.unmatched + waiting:,}")
        for number, reason in (
            (waiting, "of tenants that --tenant left out: run it for them as well"),
            (left.several, "of users who are in several tenants: --several-to SCHEMA, or a --mapping that decides"),
            (left.nobody, "of users who are in no tenant: a --mapping that knows them, or --drop --discard"),
            (left.no_user, "without a user: nobody saw them; --drop --discard"),
        ):
            if number:
                self.stdout.write(f"  {number:,} {reason}")


class Progress:
    """Report the progress for one tenant, at most once a second; on a terminal in a single line."""

    def __init__(
        self, schema: str, total: int, stdout: OutputWrapper, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.schema, self.total, self.stdout, self.clock = schema, total, stdout, clock
        self.rewrites = stdout.isatty()
        self.reported_at = clock()

    def __call__(self, done: int) -> None:
        now = self.clock()
        if now - self.reported_at >= 1:
            self.reported_at = now
            self.write(f"{self.schema}: {done:,} of {self.total:,}", ending="\r" if self.rewrites else "\n")

    def end(self, done: int) -> None:
        self.write(f"{self.schema}: {done:,} of {self.total:,} imported", ending="\n")

    def write(self, line: str, ending: str) -> None:
        self.stdout.write(line, ending=ending)
        self.stdout.flush()
