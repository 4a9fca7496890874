"""The base class of the commands for organisations."""

from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError
from django_tenants.utils import get_public_schema_name, schema_context

from tenants.models import Tenant


class OrganisationCommand(BaseCommand):
    """A command whose first argument is the short name of an organisation."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("schema", help="The short name of the organisation, which is that of its schema too.")

    def find(self, schema: str) -> Tenant:
        with schema_context(get_public_schema_name()):
            tenant = Tenant.objects.filter(schema_name=schema).first()
        if tenant is None:
            raise CommandError(f"There is no organisation “{schema}”.")
        return tenant

    def progress(self, step: str) -> None:
        self.stdout.write(f"  {step} …")
        self.stdout.flush()
