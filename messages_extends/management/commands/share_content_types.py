"""Make tenants use the content types of the public schema."""

from argparse import ArgumentParser
from collections import Counter

from django.core.management.base import BaseCommand, CommandError
from django.db import connections
from django_tenants.utils import get_public_schema_name, get_tenant_database_alias

from messages_extends.tenancy.content_types import (
    ContentTypesNotShared,
    count_changes,
    has_own_content_types,
    require_ready,
    share_content_types,
)
from messages_extends.tenancy.schemas import in_schema, is_public
from messages_extends.tenancy.tenant_tables import existing_schemas


class Command(BaseCommand):
    help = (
        "Makes tenants with their own table of content types use the one of the public schema. No permission is lost. "
        "It can be interrupted and run again. See docs/how-to/live-product.md."
    )
    # They report the tables that this command moves.
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--schema", action="append", help="Limit the command to this tenant; may be repeated.")
        parser.add_argument("--dry-run", action="store_true", help="Only report what would be changed.")

    def handle(self, *, schema: list[str] | None, dry_run: bool, **_options: object) -> None:
        try:
            require_ready()
        except ContentTypesNotShared as error:
            raise CommandError(str(error)) from error
        with in_schema(get_public_schema_name()):
            every = [each.name for each in existing_schemas() if not is_public(each.name)]
            if unknown := sorted(set(schema or ()) - set(every)):
                raise CommandError(f"There is no tenant {unknown[0]!r}.")
            chosen = [each for each in every if schema is None or each in schema]
            failed = [each for each in chosen if not self.try_one(each, dry_run=dry_run)]
        if failed:
            raise CommandError(f"{len(failed)} of {len(chosen)} could not be moved: {', '.join(failed)}.")

    def try_one(self, schema: str, *, dry_run: bool) -> bool:
        """Move one tenant. An error is reported, and the command continues with the others."""
        try:
            self.one(schema, dry_run=dry_run)
        except Exception as error:
            self.stderr.write(f"{schema}: {str(error).strip() or type(error).__name__}")
            # The connection may be lost.
            connections[get_tenant_database_alias()].close_if_unusable_or_obsolete()
            return False
        return True

    def one(self, schema: str, *, dry_run: bool) -> None:
        if not has_own_content_types(schema):
            self.stdout.write(f"{schema}: already uses the content types of the public schema")
        elif dry_run:
            self.stdout.write(f"{schema}: would change {_summary(count_changes(schema))}")
        else:
            self.stdout.write(f"{schema}: changed {_summary(share_content_types(schema) or Counter())}")


def _summary(counts: Counter[str]) -> str:
    return ", ".join(f"{count:,} rows of {name}" for name, count in counts.items()) or "no rows"
