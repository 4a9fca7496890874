"""Says whether one person may write to another, and why."""

from argparse import ArgumentParser
from typing import Any

from messages_extends.access.policy import policy
from messages_extends.management.organisation import OrganisationCommand, person


class Command(OrganisationCommand):
    help = "Says whether one person may write to another, and why. docs/how-to/permissions.md explains it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("sender", help="Who wants to write, by what they log in with.")
        parser.add_argument("recipient", help="To whom, by what they log in with.")

    def run(self, **options: Any) -> None:
        sender, recipient = person(options["sender"]), person(options["recipient"])
        reasons = policy().reasons(sender, recipient)
        # What stands in the way is asked before any policy.
        allowed = policy().may_message(sender, recipient) and all(reason.allows for reason in reasons)
        self.stdout.write("yes" if allowed else "no")
        for reason in reasons:
            self.stdout.write(f"- {reason}")
