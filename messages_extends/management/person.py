"""Base class of commands about the data of one user."""

from messages_extends.conf import settings
from messages_extends.management.organisation import OrganisationCommand
from messages_extends.tenancy.schemas import in_schema, is_public


class PersonCommand(OrganisationCommand):
    """Run a command in the tenant that --schema names, or in the public schema if the platform's staff are there."""

    def handle(self, *, schema: str, **options: object) -> None:
        if not (is_public(schema) and schema == settings.platform_schema):
            super().handle(schema=schema, **options)
            return
        with in_schema(schema):
            self.run(**options)
