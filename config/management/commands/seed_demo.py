"""Fill a database with demo data: organisations with people, groups, grants, messages and publications."""

from argparse import ArgumentParser
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils.translation import gettext_noop
from django_tenants.utils import schema_context

from messages_extends import constants
from messages_extends.access.grants import grant
from messages_extends.api import ALL_TENANTS, EVERYONE, announce, broadcast, send
from tenants.models import Tenant
from tenants.provisioning import Administrator, ProvisioningError, create_organisation

# It is public, and must not be used outside of a demo.
PASSWORD: Final = "demo-only-password"  # noqa: S105
# Messages of the application, which each reader sees in their own language.
WELCOME: Final = gettext_noop("Welcome to %(organisation)s, %(person)s.")
STAYS: Final = gettext_noop("Messages like this one stay until you close them.")
PAYMENT_FAILED: Final = gettext_noop("The payment for order %(order)s has failed: the card has expired.")


@dataclass(frozen=True)
class Organisation:
    schema: str
    name: str
    administrator: tuple[str, str]
    people: tuple[tuple[str, str], ...]
    # The members of each group.
    groups: Mapping[str, tuple[str, ...]]
    # The users who may write to each group.
    managers: Mapping[str, str]

    def email(self, who: str) -> str:
        return f"{who}@{self.schema}.example"


ORGANISATIONS: Final = (
    Organisation(
        schema="platform",
        name="Platform",
        administrator=("olivia", "Olivia Okafor"),
        people=(("pavel", "Pavel Petrov"), ("quinn", "Quinn Qureshi")),
        groups={},
        managers={},
    ),
    Organisation(
        schema="acme",
        name="Acme",
        administrator=("alice", "Alice Adams"),
        people=(
            ("bob", "Bob Brown"),
            ("carol", "Carol Costa"),
            ("dan", "Dan Dietrich"),
            ("erin", "Erin Evans"),
            ("farid", "Farid Fahim"),
        ),
        groups={"Sales": ("carol", "dan"), "Engineering": ("erin", "farid"), "Managers": ("bob",)},
        managers={"bob": "Sales"},
    ),
    Organisation(
        schema="globex",
        name="Globex",
        administrator=("gina", "Gina Gallo"),
        people=(("hugo", "Hugo Hansen"), ("iris", "Iris Ito")),
        groups={"Sales": ("hugo",)},
        managers={},
    ),
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
        with schema_context("platform"):
            broadcast(
                "Maintenance on Sunday from 02:00 to 03:00 UTC: everything will be read-only for an hour.",
                to=ALL_TENANTS,
                author="Messages Extends",
                level=constants.WARNING_PERSISTENT,
                key="demo maintenance",
            )
        self._tell(port)

    def _seed(self, organisation: Organisation) -> None:
        is_new = not Tenant.objects.ready().filter(schema_name=organisation.schema).exists()
        if is_new:
            self._create(organisation)
        with schema_context(organisation.schema), transaction.atomic():
            for who, name in organisation.people:
                _ensure_person(organisation.email(who), name)
            _ensure_groups(organisation)
            if is_new:
                _greet(organisation.name)
            if is_new and organisation.groups:
                _fill(organisation)

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
                may = f" (may write to {organisation.managers[who]})" if who in organisation.managers else ""
                self.stdout.write(f"  {organisation.email(who)}{may}")
        self.stdout.write(f"\nThe public page: http://{settings.BASE_DOMAIN}:{port}")


def _ensure_person(email: str, name: str) -> None:
    people = get_user_model().objects
    if not people.with_email(email).exists():
        people.create_user(email, PASSWORD, name=name)


def _greet(organisation: str) -> None:
    """Send a few messages to everybody."""
    for person in get_user_model().objects.all():
        greeting = {"organisation": organisation, "person": str(person)}
        send(person, WELCOME, params=greeting, level=constants.SUCCESS_PERSISTENT)
        send(person, STAYS, params={})


def _ensure_groups(organisation: Organisation) -> None:
    for name, who in organisation.groups.items():
        group, is_new = Group.objects.get_or_create(name=name)
        if is_new:
            group.user_set.set(_person(organisation, each) for each in who)
    for manager, name in organisation.managers.items():
        grant(_person(organisation, manager), Group.objects.get(name=name))


def _fill(organisation: Organisation) -> None:
    """Send messages and publish announcements that show the effect of grants."""
    administrator = _person(organisation, organisation.administrator[0])
    for who, name in organisation.managers.items():
        text = "The numbers for October are in. Well done, everybody!"
        send(Group.objects.get(name=name), text, sender=_person(organisation, who), url="/#october")
    announce("The office is closed on Friday.", to=EVERYONE, sender=administrator)
    announce(
        "New rules for working from home apply from Monday. Please read and acknowledge them.",
        to=EVERYONE,
        sender=administrator,
        level=constants.WARNING_PERSISTENT,
        must_acknowledge=True,
        url="/#rules",
    )
    announce("The new price list is out.", to=Group.objects.get(name="Sales"), sender=administrator)
    send(administrator, PAYMENT_FAILED, params={"order": 1842}, level=constants.ERROR_PERSISTENT, url="/#order-1842")


def _person(organisation: Organisation, who: str) -> Any:
    return get_user_model().objects.with_email(organisation.email(who)).get()
