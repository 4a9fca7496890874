"""Takes back what grant_messaging gave, with the same holder and target."""

from argparse import ArgumentParser
from typing import Any

from messages_extends.access.grants import revoke
from messages_extends.management.organisation import OrganisationCommand, holder, target


class Command(OrganisationCommand):
    help = (
        "Takes back what grant_messaging gave, with the same holder and target. docs/how-to/permissions.md explains it."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("holder", help="A person, by what they log in with, or group:NAME.")
        parser.add_argument("target", help="A person, by what they log in with, group:NAME, or everybody.")

    def run(self, **options: Any) -> None:
        revoke(holder(options["holder"]), target(options["target"]))
        self.stdout.write(f"{options['holder']} has no grant any more to write to {options['target']}.")
