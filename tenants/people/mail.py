"""E-mails to the users of an organisation. Each names it, and contains links to its host only.

Sending raises MailNotSent if the mail server cannot be reached or refuses the e-mail.
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
    """Return an e-mail with a link to reset a forgotten password."""
    subject = _("Your password at %(organisation)s") % {"organisation": tenant.name}
    context = {"user": user, **_password_link(tenant, user)}
    return _email(tenant, user.email, subject, "people/email/password_reset.txt", **context)


def send_welcome(tenant: Tenant, email: str) -> None:
    """Send a link to set a password to the first administrator, who has none yet."""
    with schema_context(tenant.schema_name):
        user = User.objects.with_email(email).get()
    subject = _("%(organisation)s is ready for you") % {"organisation": tenant.name}
    context = {"user": user, **_password_link(tenant, user)}
    deliver(_email(tenant, user.email, subject, "people/email/welcome.txt", **context))


def send_invitation(tenant: Tenant, invitation: Invitation) -> None:
    """Send a link to join the organisation to an invited person."""
    subject = _("You are invited to %(organisation)s") % {"organisation": tenant.name}
    path = reverse("invitation", args=[invitation_token(invitation, tenant.schema_name)])
    link = _link(tenant, path, settings.INVITATION_TIMEOUT)
    deliver(_email(tenant, invitation.email, subject, "people/email/invitation.txt", invitation=invitation, **link))


def deliver(email: EmailMessage) -> None:
    """Send an e-mail. Raises MailNotSent if the mail server does not accept it."""
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
    # A name with a line break would add a header.
    return EmailMessage(" ".join(subject.split()), text, to=[address])
