"""Base class and helpers of commands that work in one tenant."""

from argparse import ArgumentParser
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django_tenants.utils import get_public_schema_name

from messages_extends.access.grants import EVERYBODY, All
from messages_extends.tenancy.databases import using_primary, write_database
from messages_extends.tenancy.schemas import in_schema, tenants_with_messages

GROUP = "group:"


class OrganisationCommand(BaseCommand):
    """Run a command inside the tenant that --schema names."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--schema", required=True, help="The schema of the organisation.")

    def handle(self, *, schema: str, **options: object) -> None:
        require_schema(schema)
        with in_schema(schema):
            self.run(**options)

    def run(self, *args: Any, **options: Any) -> None:
        """Run the command inside the organisation; subclasses name the options that they use, as in `handle`."""
        raise NotImplementedError


def require_schema(schema: str) -> None:
    """Raise CommandError with the existing schemas unless a tenant has this one."""
    with in_schema(get_public_schema_name()):
        known = sorted(using_primary(tenants_with_messages()).values_list("schema_name", flat=True))
    if schema not in known:
        raise CommandError(f"There is no organisation with the schema {schema!r}. The schemas are: {', '.join(known)}.")


def person(name: str) -> AbstractBaseUser:
    """Return the user who logs in as `name`."""
    field = get_user_model().USERNAME_FIELD
    try:
        people: BaseUserManager[AbstractBaseUser] = get_user_model()._default_manager.db_manager(write_database())
        return people.get_by_natural_key(name)
    except (get_user_model().DoesNotExist, ValidationError, ValueError) as error:
        raise CommandError(f"There is no user whose {field} is {name!r}.") from error


def holder(name: str) -> AbstractBaseUser | Group:
    """Return the user with this login name, or the group of `group:NAME`."""
    if not name.startswith(GROUP):
        return person(name)
    group_name = name.removeprefix(GROUP)
    group = using_primary(Group.objects.filter(name=group_name)).first()
    if group is None:
        known = ", ".join(Group.objects.order_by("name").values_list("name", flat=True)[:20])
        raise CommandError(f"There is no group {group_name!r}. The groups are: {known or 'none'}.")
    return group


def target(name: str) -> AbstractBaseUser | Group | All:
    """Return the user, the group or EVERYBODY that `name` identifies."""
    return EVERYBODY if name == EVERYBODY.value else holder(name)
