"""Count the readers of broadcasts in every tenant of their audience."""

from argparse import ArgumentParser
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.utils.text import Truncator
from django_tenants.utils import get_public_schema_name

from messages_extends.broadcasts.models import Broadcast
from messages_extends.inbox.broadcast_counts import Progress, count_readers
from messages_extends.tenancy.schemas import in_schema


class Command(BaseCommand):
    help = (
        "Counts the readers of a broadcast in each organisation. It can be interrupted and run again: counts are kept."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("id", nargs="?", type=UUID, metavar="ID", help="The id of the broadcast.")
        which.add_argument("--all", action="store_true", help="Count the readers of all live broadcasts.")

    def handle(self, *, id: UUID | None, **options: object) -> None:  # noqa: A002 - the argument's name
        with in_schema(get_public_schema_name()):
            for broadcast in Broadcast.objects.live() if id is None else [self.find(id)]:
                self.count(broadcast)

    def find(self, pk: UUID) -> Broadcast:
        broadcast: Broadcast | None = Broadcast.objects.filter(pk=pk).first()
        if broadcast is None:
            raise CommandError(f"There is no broadcast {pk}.")
        return broadcast

    def count(self, broadcast: Broadcast) -> None:
        self.stdout.write(f"{broadcast.pk}: {Truncator(' '.join(str(broadcast).split())).chars(60)}")
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
