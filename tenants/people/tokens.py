"""Signed links that identify a user; each is valid in one organisation only."""

from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.core import signing
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

if TYPE_CHECKING:
    from tenants.people.models import Invitation, User

_INVITATION_SALT: Final = "tenants.people.invitation"


class PasswordTokenGenerator(PasswordResetTokenGenerator):
    """Django's single-use, expiring tokens, bound to the schema from which the user was loaded."""

    key_salt = "tenants.people.tokens.PasswordTokenGenerator"

    def _make_hash_value(self, user: Any, timestamp: int) -> str:
        return f"{user.schema}:{super()._make_hash_value(user, timestamp)}"


password_tokens: Final = PasswordTokenGenerator()


def password_link_arguments(user: "User") -> dict[str, str]:
    """Return the URL arguments of the page for setting a new password."""
    return {"uidb64": urlsafe_base64_encode(force_bytes(user.pk)), "token": password_tokens.make_token(user)}


def invitation_token(invitation: "Invitation", schema: str) -> str:
    return signing.dumps([invitation.pk, invitation.nonce], salt=f"{_INVITATION_SALT}:{schema}")


def read_invitation_token(token: str, schema: str) -> tuple[int, str] | None:
    """Return primary key and nonce of the invitation; None for a token that is forged, expired or of another schema."""
    try:
        pk, nonce = signing.loads(token, salt=f"{_INVITATION_SALT}:{schema}", max_age=settings.INVITATION_TIMEOUT)
    except (signing.BadSignature, ValueError):
        return None
    return pk, nonce
