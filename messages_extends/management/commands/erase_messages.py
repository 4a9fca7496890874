"""Erases what is kept about one person."""

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
        "Deletes the messages to one person and what they have read, and takes their name from what they sent and from "
        "the records. Their account stays. docs/how-to/lifecycle.md explains it."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("user", nargs="?", metavar="USER", help="The person, by what they log in with.")
        parser.add_argument("--deleted", metavar="ID", help="Instead of USER: the id of an account that is gone.")
        parser.add_argument("--dry-run", action="store_true", help="Only say what would be erased.")
        parser.add_argument("--yes", action="store_true", help="Do not ask.")

    def run(self, *, user: str | None, deleted: str | None, dry_run: bool, yes: bool, **_options: object) -> None:
        act = _erasure(user, deleted)
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
        self.stdout.write(f"This erases for ever: {_summary(found)}.")
        try:
            return input("Type “yes” to go on: ").strip() == "yes"
        except EOFError:
            return False


def _erasure(user: str | None, deleted: str | None) -> Erase:
    if (user is None) == (deleted is None):
        raise CommandError("Name a person: either USER, or --deleted ID.")
    return partial(erase_deleted, _id(deleted)) if user is None else partial(erase, person(user))


def _id(text: str | None) -> object:
    try:
        return get_user_model()._meta.pk.to_python(text)
    except ValidationError as error:
        raise CommandError(f"{text!r} is no id: {' '.join(error.messages)}") from error


def _summary(counts: Counter[str]) -> str:
    return ", ".join(f"{kind}: {count:,}" for kind, count in counts.items() if count) or "nothing"
