"""Fills a database for trying things out: three organisations, each with an administrator and two people."""

from argparse import ArgumentParser
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django_tenants.utils import schema_context

from messages_extends import constants
from messages_extends.api import send
from tenants.models import Tenant
from tenants.provisioning import Administrator, ProvisioningError, create_organisation

# Everybody can read it here, so it is worth nothing outside a demonstration.
PASSWORD: Final = "demo-only-password"  # noqa: S105


@dataclass(frozen=True)
class Organisation:
    schema: str
    name: str
    administrator: tuple[str, str]
    people: tuple[tuple[str, str], ...]

    def email(self, who: str) -> str:
        return f"{who}@{self.schema}.example"


ORGANISATIONS: Final = (
    Organisation(
        "platform", "Platform", ("olivia", "Olivia Okafor"), (("pavel", "Pavel Petrov"), ("quinn", "Quinn Qureshi"))
    ),
    Organisation("acme", "Acme", ("alice", "Alice Adams"), (("bob", "Bob Brown"), ("carol", "Carol Costa"))),
    Organisation("globex", "Globex", ("gina", "Gina Gallo"), (("hugo", "Hugo Hansen"), ("iris", "Iris Ito"))),
)


class Command(BaseCommand):
    help = "Makes the organisations, people and messages of the demonstration, as far as they are not there yet."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=8000, help="The port that the printed addresses have.")
        parser.add_argument("--force", action="store_true", help="Do it although DEBUG is off.")

    def handle(self, *, port: int, force: bool, **options: Any) -> None:
        if not (settings.DEBUG or force):
            raise CommandError(
                "The passwords of the demonstration are public, and DEBUG is off: use --force if you mean it."
            )
        for organisation in ORGANISATIONS:
            self._seed(organisation)
        self._tell(port)

    def _seed(self, organisation: Organisation) -> None:
        is_new = not Tenant.objects.ready().filter(schema_name=organisation.schema).exists()
        if is_new:
            self._create(organisation)
        with schema_context(organisation.schema), transaction.atomic():
            for who, name in organisation.people:
                _ensure_person(organisation.email(who), name)
            if is_new:
                _greet(organisation.name)

    def _create(self, organisation: Organisation) -> None:
        self.stdout.write(f"Making {organisation.name}")
        who, name = organisation.administrator
        administrator = Administrator(email=organisation.email(who), name=name, password=PASSWORD)
        try:
            create_organisation(
                organisation.schema, name=organisation.name, administrator=administrator, progress=self._progress
            )
        except ProvisioningError as error:
            raise CommandError(str(error)) from error

    def _progress(self, step: str) -> None:
        self.stdout.write(f"  {step} …")
        self.stdout.flush()

    def _tell(self, port: int) -> None:
        self.stdout.write(f"\nThe password of everybody is: {PASSWORD}\n")
        for organisation in ORGANISATIONS:
            self.stdout.write(f"\n{organisation.name}: http://{organisation.schema}.{settings.BASE_DOMAIN}:{port}")
            self.stdout.write(f"  {organisation.email(organisation.administrator[0])} (administrator)")
            for who, _name in organisation.people:
                self.stdout.write(f"  {organisation.email(who)}")
        self.stdout.write(f"\nThe public page: http://{settings.BASE_DOMAIN}:{port}")


def _ensure_person(email: str, name: str) -> None:
    people = get_user_model().objects
    if not people.with_email(email).exists():
        people.create_user(email, PASSWORD, name=name)


def _greet(organisation: str) -> None:
    """Leave a few messages for everybody to find."""
    for person in get_user_model().objects.all():
        send(person, f"Welcome to {organisation}, {person}.", level=constants.SUCCESS_PERSISTENT)
        send(person, "Messages like this one stay until you close them.")
