"""Export the personal data of one user as JSON."""

import os
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from django.core.management.base import CommandError

from messages_extends.maintenance.personal_data import as_json, export
from messages_extends.management.organisation import person
from messages_extends.management.person import PersonCommand


class Command(PersonCommand):
    help = "Exports the personal data of one person in an organisation as JSON. See docs/how-to/lifecycle.md."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("user", metavar="USER", help="The login name of the person.")
        parser.add_argument("--output", type=Path, metavar="FILE", help="A new file, readable only by you.")

    def run(self, *, user: str, output: Path | None, **_options: object) -> None:
        found = person(user)
        if output is None:
            for piece in as_json(export(found)):
                self.stdout.write(piece, ending="")
            return
        with private(output) as file:
            file.writelines(as_json(export(found)))
        self.stderr.write(f"Written to {output}.")


@contextmanager
def private(path: Path) -> Iterator[IO[str]]:
    """Create a file that only its owner may read, and remove it after an error."""
    try:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from error
    try:
        with open(number, "w", encoding="utf-8") as file:  # noqa: PTH123 - not a path
            yield file
    except BaseException:
        path.unlink()
        raise
