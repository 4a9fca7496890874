"""The users of one organisation, who log in by e-mail address. Their table is in the organisation's schema."""

import secrets
from collections.abc import Sequence
from typing import ClassVar

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext_lazy as _

from tenants.people.managers import UserManager
from tenants.people.origin import OfOneOrganisation


class User(OfOneOrganisation, AbstractBaseUser, PermissionsMixin):
    """A user of one organisation.

    Sessions and password links are bound to the schema from which the object was loaded.
    """

    email = models.EmailField(
        _("e-mail address"),
        unique=True,
        error_messages={"unique": _("A person with this e-mail address already exists.")},
    )
    name = models.CharField(_("name"), max_length=150, blank=True)
    is_staff = models.BooleanField(
        _("may use the administration pages"),
        default=False,
        help_text=_("What they may do there follows from their groups and permissions."),
    )
    is_active = models.BooleanField(
        _("active"), default=True, help_text=_("Untick this instead of deleting somebody who has left.")
    )
    date_joined = models.DateTimeField(_("joined"), default=timezone.now, editable=False)

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    objects = UserManager()

    class Meta:
        verbose_name = _("person")
        verbose_name_plural = _("people")
        constraints = [
            # Django requires a unique index on the plain column of a login name.
            models.UniqueConstraint(
                Lower("email"),
                name="people_user_email_any_case",
                violation_error_message=_("A person with this e-mail address already exists."),
            ),
        ]

    def __str__(self) -> str:
        return self.name or self.email

    def get_full_name(self) -> str:
        return self.name

    def get_short_name(self) -> str:
        return self.name or self.email

    def _get_session_auth_hash(self, secret: str | bytes | None = None) -> str:
        """Return the hash in this user's sessions, which changes with the password and the schema."""
        salt = f"tenants.people.models.User.session:{self.schema}"
        return salted_hmac(salt, self.password, secret=secret, algorithm="sha256").hexdigest()


def _new_nonce() -> str:
    return secrets.token_urlsafe(16)


class InvitationQuerySet(models.QuerySet["Invitation"]):
    def with_email(self, email: str) -> "InvitationQuerySet":
        return self.alias(lower_email=Lower("email")).filter(lower_email=Lower(models.Value(email)))


class Invitation(OfOneOrganisation):
    """An invitation to join, which is deleted when it is accepted.

    The link in the e-mail contains its primary key and its nonce. Inviting the same address again changes the nonce,
    and withdrawing the invitation deletes it; both invalidate earlier links.
    """

    email = models.EmailField(_("e-mail address"))
    invited_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        related_name="+",
        verbose_name=_("invited by"),
    )
    sent_at = models.DateTimeField(_("sent"), default=timezone.now)
    nonce = models.CharField(max_length=32, default=_new_nonce, editable=False)

    objects = InvitationQuerySet.as_manager()

    class Meta:
        verbose_name = _("invitation")
        verbose_name_plural = _("invitations")
        constraints = [models.UniqueConstraint(Lower("email"), name="people_invitation_email_any_case")]

    def __str__(self) -> str:
        return self.email

    def renew(self) -> None:
        """Invalidate earlier links, and start the validity of the next one."""
        self.nonce = _new_nonce()
        self.sent_at = timezone.now()


class LoginAttempt(models.Model):
    """A login attempt that has not succeeded: one row for the account and one for the address.

    Both are stored as hashes, and are needed for minutes only.
    """

    by = models.CharField(max_length=64)
    at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        verbose_name = _("attempt to log in")
        verbose_name_plural = _("attempts to log in")
        default_permissions = ()
        indexes = [models.Index(fields=["by", "at"], name="people_loginattempt_by")]

    def __str__(self) -> str:
        return f"{self.by[:8]} {self.at}"


__all__: Sequence[str] = ["Invitation", "LoginAttempt", "User"]
