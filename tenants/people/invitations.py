"""Invite people to an organisation, and accept invitations."""

from django.db import transaction
from django.utils.translation import gettext as _

from tenants.models import Tenant
from tenants.people.mail import send_invitation
from tenants.people.models import Invitation, User
from tenants.people.tokens import read_invitation_token


class AlreadyHere(Exception):
    """Somebody with this e-mail address is a person of this organisation already."""


def invite(tenant: Tenant, email: str, by: User) -> Invitation:
    """Send an invitation; it invalidates earlier invitations to the same address.

    Raise AlreadyHere if the address belongs to one of this organisation's people.
    """
    if User.objects.with_email(email).exists():
        raise AlreadyHere(_("A person with this e-mail address already exists."))
    with transaction.atomic():
        # With concurrent invitations, the constraint makes the second one wait for the first one's row, and renew it.
        Invitation.objects.bulk_create([Invitation(email=email)], ignore_conflicts=True)
        invitation = Invitation.objects.with_email(email).select_for_update().get()
        invitation.renew()
        invitation.invited_by = by
        invitation.save()
    send_invitation(tenant, invitation)
    return invitation


def find_invitation(tenant: Tenant, token: str) -> Invitation | None:
    """Return the invitation for the token of a link; None if the link is not valid, or no longer valid."""
    read = read_invitation_token(token, tenant.schema_name)
    return Invitation.objects.filter(pk=read[0], nonce=read[1]).first() if read else None


def accept(invitation: Invitation, *, name: str, password: str) -> User:
    """Create the invited person, and delete the invitation.

    Raise Invitation.DoesNotExist if it has been used up or withdrawn meanwhile, AlreadyHere if the person has come in
    another way.
    """
    with transaction.atomic():
        # The lock serializes two simultaneous clicks.
        locked = Invitation.objects.select_for_update().get(pk=invitation.pk, nonce=invitation.nonce)
        locked.delete()
        if User.objects.with_email(locked.email).exists():
            raise AlreadyHere(_("A person with this e-mail address already exists."))
        return User.objects.create_user(locked.email, password, name=name)
