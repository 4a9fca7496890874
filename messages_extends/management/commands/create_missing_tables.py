"""Create the tables of apps whose migrations were recorded in a schema before the app was listed for it."""

from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError
from django_tenants.utils import get_public_schema_name

from messages_extends.exceptions import MessagesExtendsError
from messages_extends.tenancy.missing_tables import create_missing_tables
from messages_extends.tenancy.schemas import in_schema
from messages_extends.tenancy.tenant_tables import apps_without_tables


class Command(BaseCommand):
    help = (
        "Creates the tables of apps that were added to SHARED_APPS or TENANT_APPS after their migrations had been "
        "recorded in the schemas of the other list. Run migrate_schemas afterwards. docs/how-to/live-product.md "
        "explains it."
    )
    # They report the state that this command fixes.
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--schema", action="append", help="Limit the command to this schema; may be repeated.")
        parser.add_argument("--dry-run", action="store_true", help="Only report the missing tables.")

    def handle(self, *, schema: list[str] | None, dry_run: bool, **_options: object) -> None:
        with in_schema(get_public_schema_name()):
            missing = apps_without_tables()
        chosen = {name: labels for name, labels in missing.items() if schema is None or name in schema}
        for name, labels in chosen.items():
            if not dry_run:
                try:
                    create_missing_tables(name, labels)
                except MessagesExtendsError as error:
                    raise CommandError(str(error)) from error
            self.stdout.write(f"{name}: {'would create' if dry_run else 'created'} the tables of {', '.join(labels)}")
        if not chosen:
            self.stdout.write("No tables are missing.")
