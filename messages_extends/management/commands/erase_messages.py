"""Erase the personal data of one user."""

from argparse import ArgumentParser
from collections import Counter
from collections.abc import Callable
from functools import partial

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.management.base import CommandError

from messages_extends.maintenance.personal_data import erase, erase_deleted
from messages_extends.management.organisation import person
from messages_extends.management.person import PersonCommand

Erase = Callable[..., Counter[str]]


class Command(PersonCommand):
    help = (
        "Deletes the messages to a person and their receipts, and removes their name from the messages they sent and "
        "from the audit log. The account is kept. See docs/how-to/lifecycle.md."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("user", nargs="?", metavar="USER", help="The login name of the person.")
        parser.add_argument("--deleted", metavar="ID", help="The id of a deleted account, instead of USER.")
        parser.add_argument("--dry-run", action="store_true", help="Only report what would be erased.")
        parser.add_argument("--yes", action="store_true", help="Do not ask for confirmation.")

    def run(self, *, user: str | None, deleted: str | None, dry_run: bool, yes: bool, **_options: object) -> None:
        if (user is None) == (deleted is None):
            raise CommandError("Specify a person: either USER or --deleted ID.")
        try:
            key = get_user_model()._meta.pk.to_python(deleted)
        except ValidationError as error:
            raise CommandError(f"{deleted!r} is not a valid id: {' '.join(error.messages)}") from error
        act: Erase = partial(erase_deleted, key) if user is None else partial(erase, person(user))
        try:
            found = act(dry_run=True)
        except ValueError as error:
            raise CommandError(str(error)) from error
        if dry_run:
            self.stdout.write(f"Would erase {_summary(found)}.")
        elif yes or self.confirms(found):
            self.stdout.write(f"Erased {_summary(act())}.")
        else:
            raise CommandError("Nothing was erased.")

    def confirms(self, found: Counter[str]) -> bool:
        self.stdout.write(f"This permanently erases {_summary(found)}.")
        try:
            return input("Type “yes” to continue: ").strip() == "yes"
        except EOFError:
            return False


def _summary(counts: Counter[str]) -> str:
    return ", ".join(f"{kind}: {count:,}" for kind, count in counts.items() if count) or "nothing"
