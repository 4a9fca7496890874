"""The times until which an entry can be snoozed."""

from datetime import UTC, datetime, time, timedelta
from typing import Any, Final, NamedTuple

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from messages_extends.sending.cleaning import clean_future_datetime, shown_zone
from messages_extends.web.forms import LocalDateTimeField

MORNING: Final = time(9)
EVENING: Final = time(18)
OWN: Final = "own"
LABELS: Final = {
    "hour": _("In an hour"),
    "evening": _("This evening"),
    "tomorrow": _("Tomorrow"),
    "week": _("Next week"),
}


class SnoozeChoice(NamedTuple):
    name: str
    label: str
    until: datetime


def snooze_times(now: datetime) -> dict[str, datetime]:
    """Return the time of each choice, in the time zone of `now`."""

    def at(days: int, hour: time) -> datetime:
        return datetime.combine(now.date() + timedelta(days=days), hour, now.tzinfo)

    # The next evening, because the page may have been opened in the afternoon.
    evening = at(0, EVENING) if now.time() < EVENING else at(1, EVENING)
    # An hour of the clock is shorter or longer when summer time begins or ends.
    in_an_hour = (now.astimezone(UTC) + timedelta(hours=1)).astimezone(now.tzinfo)
    return {
        "hour": in_an_hour,
        "evening": evening,
        "tomorrow": at(1, MORNING),
        "week": at(7 - now.weekday(), MORNING),
    }


def snooze_choices() -> list[SnoozeChoice]:
    """Return what can be chosen now; no evening after it has begun."""
    now = datetime.now(shown_zone())
    times = snooze_times(now)
    if now.time() >= EVENING:
        del times["evening"]
    return [SnoozeChoice(name, str(LABELS[name]), until) for name, until in times.items()]


class SnoozeForm(forms.Form):
    """A choice, or an own time in the current time zone."""

    when = forms.ChoiceField(choices=[(name, name) for name in (*LABELS, OWN)])
    until = LocalDateTimeField(label=_("Date and time"), required=False)

    @property
    def zone_name(self) -> str:
        return str(shown_zone())

    def clean(self) -> dict[str, Any]:
        if self.cleaned_data.get("when") == OWN and "until" not in self.errors:
            self._require_future()
        return self.cleaned_data

    def _require_future(self) -> None:
        try:
            clean_future_datetime("until", self.cleaned_data["until"])
        except (TypeError, ValueError):
            self.add_error("until", ValidationError(_("Enter a time in the future.")))

    @property
    def time(self) -> datetime:
        """The chosen time of a valid form."""
        when = self.cleaned_data["when"]
        own: datetime = self.cleaned_data["until"]
        return own if when == OWN else snooze_times(datetime.now(shown_zone()))[when]
