"""Grant a user or a group permission to write to somebody."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from messages_extends.access.grants import grant
from messages_extends.exceptions import NoGroups
from messages_extends.management.organisation import OrganisationCommand, holder, target


class Command(OrganisationCommand):
    help = "Grants a person or a group permission to write to somebody. See docs/how-to/permissions.md."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("holder", help="The login name of a person, or group:NAME.")
        parser.add_argument("target", help="The login name of a person, group:NAME, or everybody.")

    def run(self, **options: Any) -> None:
        try:
            grant(holder(options["holder"]), target(options["target"]))
        except NoGroups as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{options['holder']} may now write to {options['target']}.")
