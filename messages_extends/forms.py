"""Forms in which people write to others."""

from typing import Any, Final
from zoneinfo import ZoneInfo

from django import forms
from django.core.validators import MaxLengthValidator
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from messages_extends.constants import (
    DEBUG_PERSISTENT,
    ERROR_PERSISTENT,
    INFO_PERSISTENT,
    SUCCESS_PERSISTENT,
    WARNING_PERSISTENT,
    base_level,
)
from messages_extends.templatetags.messages_extends import LEVEL_NAMES
from messages_extends.validation import LIMITS, MAX_TEXT, moment_to_come, require_characters, require_link

# The usual one first; what only developers send last.
LEVELS: Final = tuple(
    (level, LEVEL_NAMES[base_level(level)])
    for level in (INFO_PERSISTENT, SUCCESS_PERSISTENT, WARNING_PERSISTENT, ERROR_PERSISTENT, DEBUG_PERSISTENT)
)


class MomentField(forms.DateTimeField):
    """A time that people enter in the form's time zone, by the browser's own control."""

    widget = forms.DateTimeInput({"type": "datetime-local"}, "%Y-%m-%dT%H:%M")
    default_error_messages = {"invalid": _("Enter a date and a time, such as 2030-12-31T18:00.")}


class TextForm(forms.Form):
    """What every text for others has; `text` is what `send`, `announce` and `broadcast` take.

    Shown by `includes/text_fields.html`, its errors by `includes/problems.html`, made lively by `writing.js`.

    `zone` is the browser's time zone, which a script fills in; without it times are in the current one.
    """

    message = forms.CharField(
        label=_("Text"),
        help_text=_("At most 10,000 characters. No HTML; line breaks are kept."),
        # No attribute maxlength: it would cut what is pasted, and counts otherwise than we do.
        validators=[MaxLengthValidator(MAX_TEXT)],
        widget=forms.Textarea({"rows": 5, "dir": "auto", "data-mx-limit": MAX_TEXT}),
        error_messages={"required": _("Write what the reader shall see.")},
    )
    level = forms.TypedChoiceField(
        label=_("Level"), choices=LEVELS, coerce=int, initial=INFO_PERSISTENT, widget=forms.RadioSelect
    )
    url = forms.CharField(
        label=_("Link"),
        required=False,
        max_length=LIMITS["url"],
        help_text=_("Optional: a path on this site (/orders/5/) or an http(s) address."),
        widget=forms.TextInput({"inputmode": "url", "autocomplete": "off"}),
    )
    expires = MomentField(label=_("Not shown after"), required=False, help_text=_("Optional."))
    zone = forms.CharField(required=False, max_length=100, widget=forms.HiddenInput)

    def full_clean(self) -> None:
        with timezone.override(self._given_zone()):
            super().full_clean()

    @property
    def zone_name(self) -> str:
        """The time zone in which this form's times are."""
        return str(self._given_zone())

    @property
    def text(self) -> dict[str, Any]:
        return {name: self.cleaned_data[name] for name in ("message", "level", "url", "expires")}

    def clean_message(self) -> str:
        # Browsers send two characters for the end of a line.
        message = self.cleaned_data["message"].replace("\r\n", "\n")
        try:
            require_characters("message", message)
        except ValueError as error:
            raise forms.ValidationError(_("This text contains characters that cannot be stored.")) from error
        return str(message)

    def clean_url(self) -> str:
        url: str = self.cleaned_data["url"]
        try:
            require_characters("url", url)
            require_link(url)
        except ValueError as error:
            raise forms.ValidationError(
                _("This link is not allowed: use a path on this site (/orders/5/) or an http(s) address.")
            ) from error
        return url

    def clean_expires(self) -> Any:
        expires = self.cleaned_data["expires"]
        if expires is not None and self._named_zone not in ("", self.zone_name):
            raise forms.ValidationError(
                _("Your browser's time zone is not known here: enter the time as it is in %(zone)s."),
                params={"zone": self.zone_name},
            )
        try:
            return None if expires is None else moment_to_come("expires", expires)
        except ValueError as error:
            raise forms.ValidationError(_("This time is over: choose one in the future.")) from error

    @property
    def _named_zone(self) -> str:
        return str(self.data.get(self.add_prefix("zone"), ""))

    def _given_zone(self) -> Any:
        """Return the zone that the browser named; the current one if it named none, or one that is not known here."""
        try:
            return ZoneInfo(self._named_zone)
        except (LookupError, ValueError, OSError):
            return timezone.get_current_timezone()
