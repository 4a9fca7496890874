"""Delete an organisation and all of its data."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from tenants.management.base import OrganisationCommand
from tenants.models import Tenant
from tenants.provisioning import ProvisioningError, remove_organisation


class Command(OrganisationCommand):
    help = "Deletes an organisation with all its people and data, for ever."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--yes", metavar="NAME", help="The short name once more, instead of being asked for it.")

    def handle(self, *, schema: str, yes: str | None, **options: Any) -> None:
        tenant = self.find(schema)
        if (yes if yes is not None else self._ask(tenant)) != schema:
            raise CommandError("That is not its short name: nothing has been removed.")
        try:
            remove_organisation(tenant, self.progress)
        except ProvisioningError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(self.style.SUCCESS(f"{tenant.name} has been removed."))

    def _ask(self, tenant: Tenant) -> str:
        self.stdout.write(f"This deletes {tenant.name} with all its people and data. It cannot be undone.")
        try:
            return input(f"Type its short name ({tenant.schema_name}) to go on: ")
        except EOFError:
            return ""
