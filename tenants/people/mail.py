"""E-mails to the people of an organisation: each names it, and links to its own host only.

Sending raises MailNotSent when the mail server cannot be reached or refuses.
"""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django_tenants.utils import schema_context

from tenants.models import Tenant
from tenants.people.models import Invitation, User
from tenants.people.tokens import invitation_token, password_link_arguments


class MailNotSent(Exception):
    """The mail server did not take the e-mail."""


def password_link(tenant: Tenant, user: User) -> EmailMessage:
    """Return the e-mail that brings somebody who has forgotten their password a link to set another."""
    subject = _("Your password at %(organisation)s") % {"organisation": tenant.name}
    context = {"user": user, **_password_link(tenant, user)}
    return _email(tenant, user.email, subject, "people/email/password_reset.txt", **context)


def send_welcome(tenant: Tenant, email: str) -> None:
    """Send the first administrator, who has no password yet, a link to set one."""
    with schema_context(tenant.schema_name):
        user = User.objects.with_email(email).get()
    subject = _("%(organisation)s is ready for you") % {"organisation": tenant.name}
    context = {"user": user, **_password_link(tenant, user)}
    deliver(_email(tenant, user.email, subject, "people/email/welcome.txt", **context))


def send_invitation(tenant: Tenant, invitation: Invitation) -> None:
    """Send somebody who is to join a link to do so."""
    subject = _("You are invited to %(organisation)s") % {"organisation": tenant.name}
    path = reverse("invitation", args=[invitation_token(invitation, tenant.schema_name)])
    link = _link(tenant, path, settings.INVITATION_TIMEOUT)
    deliver(_email(tenant, invitation.email, subject, "people/email/invitation.txt", invitation=invitation, **link))


def deliver(email: EmailMessage) -> None:
    """Hand an e-mail to the mail server; MailNotSent if it does not take it."""
    try:
        email.send()
    except OSError as error:
        raise MailNotSent from error


def _password_link(tenant: Tenant, user: User) -> dict[str, Any]:
    path = reverse("password_reset_confirm", kwargs=password_link_arguments(user))
    return _link(tenant, path, settings.PASSWORD_RESET_TIMEOUT)


def _link(tenant: Tenant, path: str, seconds: int) -> dict[str, Any]:
    return {"link": tenant.url(path), "until": timezone.localtime() + timedelta(seconds=seconds)}


def _email(tenant: Tenant, address: str, subject: str, template: str, **context: Any) -> EmailMessage:
    text = render_to_string(template, {"tenant": tenant, "home": tenant.url(), **context}).strip()
    # A name with a line break would be another header.
    return EmailMessage(" ".join(subject.split()), text, to=[address])
