"""Create an organisation with its first administrator."""

import getpass
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.urls import reverse

from tenants.management.base import OrganisationCommand
from tenants.models import Tenant
from tenants.people.mail import MailNotSent, send_welcome
from tenants.provisioning import Administrator, ProvisioningError, create_organisation


class Command(OrganisationCommand):
    help = "Makes an organisation: its schema with all tables, its address and its first administrator."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--name", required=True, help="What people call it, for example “Acme Ltd”.")
        parser.add_argument("--admin-email", required=True, help="The first administrator logs in with it.")
        parser.add_argument("--admin-name", default="")
        parser.add_argument(
            "--invite",
            action="store_true",
            help="Ask for no password: send the administrator an e-mail with a link to choose one.",
        )

    def handle(self, *, schema: str, **options: Any) -> None:
        administrator = Administrator(
            email=options["admin_email"],
            name=options["admin_name"],
            password=None if options["invite"] else _ask_password(),
        )
        try:
            tenant = create_organisation(
                schema, name=options["name"], administrator=administrator, progress=self.progress
            )
        except ProvisioningError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(self.style.SUCCESS(f"{tenant.name} is at {tenant.url()}"))
        if options["invite"]:
            self._invite(tenant, administrator.email)

    def _invite(self, tenant: Tenant, email: str) -> None:
        try:
            send_welcome(tenant, email)
        except MailNotSent as error:
            remedy = f"{email} can ask for a link at {tenant.url(reverse('password_reset'))}"
            raise CommandError(f"The e-mail could not be sent. The organisation is ready: {remedy}") from error
        self.stdout.write(f"{email} has been sent a link to choose a password.")


def _ask_password() -> str:
    """Read the password from the terminal, or from one line of standard input."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    password = getpass.getpass("Password of the administrator: ")
    if password != getpass.getpass("Once more: "):
        raise CommandError("The two passwords differ.")
    return password
