"""Who may message whom: every message from one person to another passes here."""

from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet

from messages_extends.conf import settings
from messages_extends.exceptions import RecipientUnavailable
from messages_extends.tenancy.stamp import require_here


def members() -> QuerySet[AbstractBaseUser]:
    """Return the active people of the current organisation."""
    people: QuerySet[Any] = settings.members() if settings.members else get_user_model()._default_manager.all()
    # A user model need not have that column: then everybody is active.
    columns = {field.name for field in people.model._meta.fields}
    return people.filter(is_active=True) if "is_active" in columns else people


def require_may_message(sender: AbstractBaseUser | None, recipient: AbstractBaseUser) -> None:
    """Raise unless `sender` may write to `recipient`: oneself always; None, the application, to everybody here.

    WrongTenant if either object was loaded in another organisation; RecipientUnavailable if the recipient is deleted,
    inactive or, with shared users, not a member here; PermissionDenied if the sender may not. At most one query.
    """
    require_here(recipient)
    if sender is not None:
        require_here(sender)
        if not sender.is_active:
            raise PermissionDenied("An inactive person cannot send messages.")
        if sender == recipient and sender.pk is not None:
            return
    if not members().filter(pk=recipient.pk).exists():
        raise RecipientUnavailable
