"""What the commands about one person's data share."""

from messages_extends.conf import settings
from messages_extends.management.organisation import OrganisationCommand
from messages_extends.tenancy.schemas import inside, is_public


class PersonCommand(OrganisationCommand):
    """A command about somebody in the organisation that --schema names; in public, if the platform's staff is there."""

    def handle(self, *, schema: str, **options: object) -> None:
        if not (is_public(schema) and schema == settings.platform_schema):
            super().handle(schema=schema, **options)
            return
        with inside(schema):
            self.run(**options)
