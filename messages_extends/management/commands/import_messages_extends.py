"""Brings the messages that all tenants of a django-messages-extends project shared into the tenants."""

import time
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable, Collection
from typing import Any

from django.core.management.base import BaseCommand, CommandError, OutputWrapper
from django.utils.module_loading import import_string

from messages_extends.exceptions import MessagesExtendsError
from messages_extends.maintenance import import_people, import_table
from messages_extends.maintenance.import_database import ImportRefused, one_import_at_a_time, public, tenant_schemas
from messages_extends.maintenance.import_rows import first_of, require_tables, transfer
from messages_extends.maintenance.import_table import OldTable
from messages_extends.tenancy.schemas import inside


class Command(BaseCommand):
    help = (
        "Brings the messages of a table of django-messages-extends 0.6.3 that all tenants shared into the tenants. "
        "It may be stopped at any moment and run again. docs/how-to/upgrading.md explains it."
    )
    # One of ours refuses the very table that this command is for.
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        how = parser.add_mutually_exclusive_group()
        how.add_argument(
            "--prepare", action="store_true", help="Only move the old table out of the way, for migrate_schemas."
        )
        how.add_argument(
            "--match",
            metavar="FIELD",
            help="Match old users with those of a tenant by a field that is unique, such as email; where users are "
            "shared, by pk.",
        )
        how.add_argument(
            "--mapping",
            metavar="PATH",
            help="Match them by your own callable: given a schema, it returns pairs (old user id, id in that tenant).",
        )
        parser.add_argument(
            "--tenant", action="append", metavar="SCHEMA", help="Import only into this tenant; may be repeated."
        )
        parser.add_argument(
            "--several-to", metavar="SCHEMA", help="The tenant that gets the messages of users who are in several."
        )
        parser.add_argument("--dry-run", action="store_true", help="Only say what would be done.")
        parser.add_argument(
            "--batch-size", type=_positive, default=2000, metavar="N", help="Rows a transaction; 2000 by default."
        )
        parser.add_argument("--drop", action="store_true", help="Drop the old table, if all its rows are imported.")
        parser.add_argument(
            "--discard", type=int, default=0, metavar="N", help="With --drop: the number of rows to lose with it."
        )

    def handle(self, **options: Any) -> None:
        if not (options["prepare"] or options["match"] or options["mapping"] or options["drop"]):
            raise CommandError("Say what to do: --prepare, --match FIELD, --mapping PATH or --drop.")
        if options["discard"] and not options["drop"]:
            raise CommandError("--discard is for --drop only.")
        try:
            with inside(public()), one_import_at_a_time():
                self.run(**options)
        except MessagesExtendsError as error:
            raise CommandError(str(error)) from error

    def run(self, *, dry_run: bool, drop: bool, discard: int, **options: Any) -> None:
        if options["match"] or options["mapping"]:
            self.bring(dry_run=dry_run, **options)
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
            table = import_table.move_aside()
        elif not (table := import_table.find_old_table()).is_aside:
            self.stdout.write(f"Would rename {table}.")
            return
        self.stdout.write(f"The old table is {table}. Now run migrate_schemas, then this command with a mapping.")

    def bring(
        self, *, dry_run: bool, batch_size: int, tenant: list[str] | None, several_to: str | None, **options: Any
    ) -> None:
        # Before anything is changed: what was mistyped is refused.
        table, schemas = import_table.find_old_table(), tenant_schemas()
        _require_known([*(tenant or ()), *([several_to] if several_to else ())], schemas)
        mapping = _mapping(options["match"], options["mapping"], table)
        if not dry_run:
            table = import_table.move_aside()
        with import_people.pairs_of(mapping, schemas, table, several_to=several_to) as strangers:
            for schema, number in strangers.items():
                self.stderr.write(f"{schema}: the mapping names {number} people who are not there.")
            counts = import_people.count_by_tenant(table)
            wanted = {schema: number for schema, number in counts.items() if not tenant or schema in tenant}
            if dry_run:
                self.foretell(wanted)
            else:
                self.transfer(table, wanted, batch_size)
            self.report(table, import_people.count_left(table), sum(wanted.values()) if dry_run else 0)

    def foretell(self, wanted: dict[str, int]) -> None:
        for schema, number in wanted.items():
            self.stdout.write(f"{schema}: would import {number:,}")

    def transfer(self, table: OldTable, wanted: dict[str, int], batch_size: int) -> None:
        require_tables(wanted)
        for schema, number in wanted.items():
            progress = Progress(schema, number, self.stdout)
            progress.end(transfer(table, schema, batch_size=batch_size, on_batch=progress))

    def report(self, table: OldTable, left: import_people.Left, foretold: int) -> None:
        waiting = left.chosen - foretold
        if not (left.unmatched or waiting):
            self.stdout.write(f"Nothing is left in {table}; --drop drops it." if not foretold else "Nothing is left.")
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
    """Say how far one tenant is, at most once a second; on a terminal always in the same line."""

    def __init__(
        self, schema: str, total: int, stdout: OutputWrapper, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.schema, self.total, self.stdout, self.clock = schema, total, stdout, clock
        self.rewrites = stdout.isatty()
        self.said_at = clock()

    def __call__(self, done: int) -> None:
        now = self.clock()
        if now - self.said_at >= 1:
            self.said_at = now
            self.say(f"{self.schema}: {done:,} of {self.total:,}", ending="\r" if self.rewrites else "\n")

    def end(self, done: int) -> None:
        self.say(f"{self.schema}: {done:,} of {self.total:,} imported", ending="\n")

    def say(self, line: str, ending: str) -> None:
        self.stdout.write(line, ending=ending)
        self.stdout.flush()


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise ArgumentTypeError(f"{text!r} is no number above 0")
    return int(text)


def _require_known(named: Collection[str], schemas: list[str]) -> None:
    for schema in named:
        if schema not in schemas:
            raise ImportRefused(f"There is no tenant {schema!r}. There are: {first_of(schemas)}.")


def _mapping(match: str | None, path: str | None, table: OldTable) -> import_people.PeopleMapping:
    if match:
        return import_people.mapping_by(match, table)
    try:
        mapping: Callable[[str], import_people.Pairs] = import_string(path or "")
    except ImportError as error:
        raise ImportRefused(f"--mapping {path}: {error}") from error
    if not callable(mapping):
        raise ImportRefused(f"--mapping {path} is {mapping!r}: name a callable that is given a schema.")
    return mapping
