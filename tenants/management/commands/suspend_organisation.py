"""Suspend an organisation."""

from typing import Any

from tenants.management.base import OrganisationCommand
from tenants.provisioning import suspend_organisation


class Command(OrganisationCommand):
    help = "Suspends an organisation: it keeps everything and answers 503 until resume_organisation."

    def handle(self, *, schema: str, **options: Any) -> None:
        tenant = self.find(schema)
        suspend_organisation(tenant)
        self.stdout.write(self.style.SUCCESS(f"{tenant.name} is suspended."))
