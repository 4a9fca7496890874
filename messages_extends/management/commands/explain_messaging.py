"""Says whether one person may write to another, and why."""

from argparse import ArgumentParser

from messages_extends.access.policy import policy
from messages_extends.management.organisation import OrganisationCommand, person


class Command(OrganisationCommand):
    help = "Says whether one person may write to another, and why. docs/how-to/permissions.md explains it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("sender", help="Who wants to write, by what they log in with.")
        parser.add_argument("recipient", help="To whom, by what they log in with.")

    def run(self, *, sender: str, recipient: str, **_options: object) -> None:
        writer, reader = person(sender), person(recipient)
        reasons = policy().reasons(writer, reader)
        # What stands in the way is asked before any policy.
        allowed = policy().may_message(writer, reader) and all(reason.allows for reason in reasons)
        self.stdout.write("yes" if allowed else "no")
        for reason in reasons:
            self.stdout.write(f"- {reason}")
