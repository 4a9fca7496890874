"""Explain whether one user may write to another."""

from argparse import ArgumentParser
from typing import Any

from messages_extends.access.explain import explain
from messages_extends.management.organisation import OrganisationCommand, person


class Command(OrganisationCommand):
    help = "Explains whether one person may write to another. See docs/how-to/permissions.md."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("sender", help="The login name of the sender.")
        parser.add_argument("recipient", help="The login name of the recipient.")

    def run(self, **options: Any) -> None:
        sender, recipient = person(options["sender"]), person(options["recipient"])
        reasons = explain(sender, recipient)
        self.stdout.write("yes" if all(reason.allows for reason in reasons) else "no")
        for reason in reasons:
            self.stdout.write(f"- {reason}")
