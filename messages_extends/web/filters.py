"""The filter form of the inbox."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from django import forms
from django.contrib.messages.constants import DEFAULT_LEVELS
from django.utils.translation import gettext_lazy as _

from messages_extends.inbox.cursor import Cursor
from messages_extends.inbox.items import Kind

TABS: Final = (("", _("All")), ("1", _("Unread")))
KINDS: Final = (
    ("", _("All kinds")),
    ("message", _("Messages to you")),
    ("announcement", _("Announcements")),
    ("broadcast", _("From the platform")),
)
LEVELS: Final = (
    ("", _("All levels")),
    (DEFAULT_LEVELS["ERROR"], _("Errors")),
    (DEFAULT_LEVELS["WARNING"], _("Warnings")),
    (DEFAULT_LEVELS["SUCCESS"], _("Successes")),
    (DEFAULT_LEVELS["INFO"], _("Information")),
    (DEFAULT_LEVELS["DEBUG"], _("Debugging")),
)


@dataclass(frozen=True)
class RequestedFilter:
    """The filter that a request asks for."""

    unread: bool
    kind: Kind | None
    level: int | None
    after: str

    @property
    def narrows(self) -> bool:
        return bool(self.narrowing)

    @property
    def narrowing(self) -> dict[str, object]:
        """The parameters that narrow the chosen tab."""
        return {name: value for name, value in {"kind": self.kind, "level": self.level}.items() if value}

    @property
    def tab(self) -> dict[str, object]:
        """The parameters of the chosen tab."""
        return {"unread": "1"} if self.unread else {}

    @property
    def parameters(self) -> dict[str, object]:
        """All parameters of this filter's first page."""
        return self.tab | self.narrowing

    def as_query(self, **other: object) -> str:
        """Return the query string of this filter's first page, with the parameters in `other` replaced."""
        return urlencode({name: value for name, value in {**self.parameters, **other}.items() if value})


class InboxFilterForm(forms.Form):
    """The parameters of the inbox page: tab, kind, level and cursor."""

    unread = forms.ChoiceField(choices=TABS, required=False, widget=forms.HiddenInput)
    kind = forms.ChoiceField(choices=KINDS, required=False, label=_("Kind"))
    level = forms.ChoiceField(choices=LEVELS, required=False, label=_("Level"))
    after = forms.CharField(max_length=100, required=False, widget=forms.HiddenInput)

    def clean_after(self) -> str:
        after: str = self.cleaned_data["after"]
        try:
            if after:
                Cursor.parse(after)
        except ValueError as error:
            raise forms.ValidationError(_("This page does not exist. Go back to the first one.")) from error
        return after

    @property
    def choices(self) -> list[forms.BoundField]:
        """The fields that narrow a tab."""
        return [self[name] for name in ("kind", "level")]

    @property
    def problem(self) -> str:
        return " ".join(str(error) for errors in self.errors.values() for error in errors)

    @property
    def chosen(self) -> RequestedFilter:
        """The requested filter without invalid values."""
        values = {name: self.cleaned_data.get(name) or None for name in self.fields}
        level = values["level"]
        return RequestedFilter(
            unread=bool(values["unread"]),
            kind=values["kind"],
            level=None if level is None else int(level),
            after=values["after"] or "",
        )
