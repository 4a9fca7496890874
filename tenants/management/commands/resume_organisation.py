"""Resume a suspended organisation."""

from typing import Any

from django.core.management.base import CommandError

from tenants.management.base import OrganisationCommand
from tenants.provisioning import resume_organisation


class Command(OrganisationCommand):
    help = "Opens a suspended organisation again."

    def handle(self, *, schema: str, **options: Any) -> None:
        tenant = self.find(schema)
        if not tenant.is_ready:
            raise CommandError(f"{tenant.name} was never finished: run create_organisation {schema} again.")
        resume_organisation(tenant)
        self.stdout.write(self.style.SUCCESS(f"{tenant.name} is open: {tenant.url()}"))
