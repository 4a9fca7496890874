"""Revoke a permission that grant_messaging granted."""

from argparse import ArgumentParser
from typing import Any

from messages_extends.access.grants import revoke
from messages_extends.management.organisation import OrganisationCommand, holder, target


class Command(OrganisationCommand):
    help = "Revokes the permission with this holder and target. See docs/how-to/permissions.md."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("holder", help="The login name of a person, or group:NAME.")
        parser.add_argument("target", help="The login name of a person, group:NAME, or everybody.")

    def run(self, **options: Any) -> None:
        revoke(holder(options["holder"]), target(options["target"]))
        self.stdout.write(f"{options['holder']} no longer has this permission to write to {options['target']}.")
