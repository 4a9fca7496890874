"""What the commands about one organisation's people share."""

from argparse import ArgumentParser
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django_tenants.utils import get_public_schema_name

from messages_extends.access.grants import EVERYBODY, All
from messages_extends.tenancy.databases import for_write, write_database
from messages_extends.tenancy.schemas import inside, organisations

GROUP = "group:"


class OrganisationCommand(BaseCommand):
    """A command that works inside the organisation that --schema names."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--schema", required=True, help="The schema of the organisation.")

    def handle(self, *, schema: str, **options: object) -> None:
        require_schema(schema)
        with inside(schema):
            self.run(**options)

    def run(self, *args: Any, **options: Any) -> None:
        """Do what the command is for; as in `handle`, each names the options that it takes."""
        raise NotImplementedError


def require_schema(schema: str) -> None:
    """Raise CommandError, with those there are, unless an organisation has this schema."""
    with inside(get_public_schema_name()):
        known = sorted(for_write(organisations()).values_list("schema_name", flat=True))
    if schema not in known:
        raise CommandError(f"There is no organisation with the schema {schema!r}. There are: {', '.join(known)}.")


def person(name: str) -> AbstractBaseUser:
    """Return the user who logs in as `name`."""
    field = get_user_model().USERNAME_FIELD
    try:
        people: BaseUserManager[AbstractBaseUser] = get_user_model()._default_manager.db_manager(write_database())
        return people.get_by_natural_key(name)
    except (get_user_model().DoesNotExist, ValidationError, ValueError) as error:
        raise CommandError(f"There is nobody here whose {field} is {name!r}.") from error


def holder(name: str) -> AbstractBaseUser | Group:
    """Return the user or the group of that name."""
    return _group(name.removeprefix(GROUP)) if name.startswith(GROUP) else person(name)


def target(name: str) -> AbstractBaseUser | Group | All:
    """Return the user or the group of that name, or EVERYBODY."""
    return EVERYBODY if name == EVERYBODY.value else holder(name)


def _group(name: str) -> Group:
    group = for_write(Group.objects.filter(name=name)).first()
    if group is None:
        known = ", ".join(Group.objects.order_by("name").values_list("name", flat=True)[:20])
        raise CommandError(f"There is no group {name!r} here. There are: {known or 'none'}.")
    return group
