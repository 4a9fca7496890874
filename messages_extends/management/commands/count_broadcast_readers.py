"""Counts who has read broadcasts, in every organisation that they are for."""

from argparse import ArgumentParser
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django_tenants.utils import get_public_schema_name

from messages_extends.broadcasts.models import Broadcast
from messages_extends.inbox.broadcast_counts import Progress, count_readers
from messages_extends.tenancy.schemas import inside


class Command(BaseCommand):
    help = (
        "Counts how many people of each organisation have read a broadcast. It may be stopped at any moment and run "
        "again: what was counted is kept."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("id", nargs="?", type=UUID, metavar="ID", help="The broadcast to count the readers of.")
        which.add_argument("--all", action="store_true", help="All that are live.")

    def handle(self, *, id: UUID | None, **options: object) -> None:  # noqa: A002 - the argument's name
        with inside(get_public_schema_name()):
            for broadcast in Broadcast.objects.live() if id is None else [self.find(id)]:
                self.count(broadcast)

    def find(self, pk: UUID) -> Broadcast:
        broadcast: Broadcast | None = Broadcast.objects.filter(pk=pk).first()
        if broadcast is None:
            raise CommandError(f"There is no broadcast {pk}.")
        return broadcast

    def count(self, broadcast: Broadcast) -> None:
        self.stdout.write(f"{broadcast.pk}: {_beginning(str(broadcast))}")
        start = timezone.now()
        while True:
            progress = count_readers(broadcast)
            self.stdout.write(f"  {progress.done} of {progress.total} organisations")
            self.stdout.flush()
            if progress.is_complete and (progress.since is None or progress.since >= start):
                break
        self.report(progress)

    def report(self, progress: Progress) -> None:
        self.stdout.write(self.style.SUCCESS(f"  {progress.readers} of {progress.people} people have read it."))
        if progress.failed:
            self.stderr.write(f"  Could not be counted: {', '.join(progress.failed)}")


def _beginning(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else f"{line[:59]}…"
