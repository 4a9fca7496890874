"""Forms for logging in, passwords and invitations."""

from typing import Any

from django import forms
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.forms import AdminUserCreationForm, AuthenticationForm, SetPasswordMixin
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from tenants.people.attempts import Attempt, TooManyAttempts
from tenants.people.models import Invitation, User


class CountedAttempts:
    """A login form that checks no password after too many failures of an account or an address."""

    request: Any
    retry_after = 0

    def clean(self) -> Any:
        fields: Any = self.cleaned_data  # type: ignore[attr-defined]
        try:
            attempt = Attempt.begin(self.request, fields.get("username", ""))
        except TooManyAttempts as error:
            self.retry_after = error.retry_after
            raise forms.ValidationError(_too_many_logins(error.minutes), code="too_many") from error
        cleaned = super().clean()  # type: ignore[misc]
        # Without a password Django checks nothing and reports no error.
        if self.get_user() is not None:  # type: ignore[attr-defined]
            attempt.succeeded()
        return cleaned


def _too_many_logins(minutes: int) -> str:
    text = ngettext(
        "Too many login attempts. Try again in %(count)s minute.",
        "Too many login attempts. Try again in %(count)s minutes.",
        minutes,
    )
    return text % {"count": minutes}


def too_many_emails(minutes: int) -> str:
    """Return a message that tells how long no more e-mails can be requested."""
    text = ngettext(
        "Too many e-mails have been requested. Try again in %(count)s minute.",
        "Too many e-mails have been requested. Try again in %(count)s minutes.",
        minutes,
    )
    return text % {"count": minutes}


class AdminLoginForm(CountedAttempts, AdminAuthenticationForm):
    """The login form of the admin."""


class LoginForm(CountedAttempts, AuthenticationForm):
    error_messages = {
        **AuthenticationForm.error_messages,
        "invalid_login": _("The e-mail address or the password is wrong. Passwords are case-sensitive."),
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].label = _("E-mail address")
        self.fields["username"].widget = forms.EmailInput(attrs={"autofocus": True, "autocomplete": "username"})


class InvitationForm(forms.Form):
    email = forms.EmailField(
        label=_("E-mail address"), max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "off"})
    )

    def clean_email(self) -> str:
        email: str = self.cleaned_data["email"]
        if User.objects.with_email(email).exists():
            raise forms.ValidationError(_("A person with this e-mail address already exists."))
        return email


class AcceptanceForm(SetPasswordMixin, forms.Form):  # type: ignore[type-arg]
    """Name and password of a user who accepts an invitation."""

    name = forms.CharField(
        label=_("Your name"), max_length=150, widget=forms.TextInput(attrs={"autocomplete": "name", "autofocus": True})
    )
    password1, password2 = SetPasswordMixin.create_password_fields()

    def __init__(self, *args: Any, invitation: Invitation, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.invitation = invitation

    def clean(self) -> dict[str, Any]:
        self.validate_passwords("password1", "password2")
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        self._validate_strength(cleaned)
        return cleaned

    def _validate_strength(self, cleaned: dict[str, Any]) -> None:
        """Validate the password, also against the user's name and address."""
        person = User(email=self.invitation.email, name=cleaned.get("name", ""))
        self.validate_password_for_user(person, "password2")


class PersonCreationForm(AdminUserCreationForm):  # type: ignore[type-arg]
    class Meta:
        model = User
        fields = ("email", "name")
