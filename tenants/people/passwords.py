"""Links to reset forgotten passwords."""

import logging

from tenants.models import Tenant
from tenants.people.mail import MailNotSent, deliver, password_link
from tenants.people.models import User

logger = logging.getLogger(__name__)


def send_link_if_known(tenant: Tenant, email: str) -> None:
    """Send a link to the active user with this address if there is one; the e-mail is created in any case.

    Creating it takes time that another request could measure.
    """
    person = User.objects.active().with_email(email).first()
    link = password_link(tenant, person or User(email=email))
    if person is None:
        return
    try:
        deliver(link)
    except MailNotSent:
        logger.exception("A link for a password could not be sent.")
