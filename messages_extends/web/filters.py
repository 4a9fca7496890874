"""The filter form of the inbox."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from django import forms
from django.contrib.auth import get_user_model
from django.contrib.messages.constants import DEFAULT_LEVELS
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from messages_extends.inbox.cursor import Cursor
from messages_extends.inbox.items import FeedItem, Kind
from messages_extends.links import reverse_page
from messages_extends.models import Message
from messages_extends.models.content import View
from messages_extends.web.keys import as_key

VIEWS: Final = (
    ("", _("Inbox")),
    ("saved", _("Saved")),
    ("snoozed", _("Snoozed")),
    ("archived", _("Done")),
)
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
    """The filter that a request asks for; `sender` is a primary key."""

    view: View
    unread: bool
    kind: Kind | None
    level: int | None
    sender: str
    search: str
    after: str

    @property
    def narrows(self) -> bool:
        return bool(self.narrowing)

    @property
    def narrowing(self) -> dict[str, object]:
        """The parameters that narrow the chosen tab."""
        values = {"kind": self.kind, "level": self.level, "sender": self.sender, "q": self.search}
        return {name: value for name, value in values.items() if value}

    @property
    def tab(self) -> dict[str, object]:
        """The parameters of the chosen tab."""
        values = {"view": self.view if self.view != "inbox" else "", "unread": "1" if self.unread else ""}
        return {name: value for name, value in values.items() if value}

    @property
    def parameters(self) -> dict[str, object]:
        """All parameters of this filter's first page."""
        return self.tab | self.narrowing

    @property
    def without_search(self) -> dict[str, object]:
        return {name: value for name, value in self.parameters.items() if name != "q"}

    def as_query(self, **other: object) -> str:
        """Return the query string of this filter's first page, with the parameters in `other` replaced."""
        return urlencode({name: value for name, value in {**self.parameters, **other}.items() if value})

    def address(self, **other: object) -> str:
        """Return the address of this filter's first page, with the parameters in `other` replaced."""
        query = self.as_query(**other)
        return f"{reverse_page('inbox')}?{query}" if query else reverse_page("inbox")

    def as_arguments(self, *, without: str = "") -> dict[str, Any]:
        """Return the arguments for `Inbox.page`, `Inbox.select_all` and the like, but for the one named `without`.

        The sender is not queried: the filter compares its key only, and nothing tells whether such a user exists.
        """
        model = get_user_model()
        arguments: dict[str, Any] = {
            "view": self.view,
            "unread": self.unread,
            "kind": self.kind,
            "level": self.level,
            "sender": model(pk=self.sender) if self.sender else None,
        }
        if self.search:
            arguments["search"] = self.search
        return {name: value for name, value in arguments.items() if name != without}


class InboxFilterForm(forms.Form):
    """The parameters of the inbox page: tab, kind, level, sender, search and cursor."""

    view = forms.ChoiceField(choices=VIEWS, required=False, widget=forms.HiddenInput)
    unread = forms.ChoiceField(choices=(("", ""), ("1", "")), required=False, widget=forms.HiddenInput)
    kind = forms.ChoiceField(choices=KINDS, required=False, label=_("Kind"))
    level = forms.ChoiceField(choices=LEVELS, required=False, label=_("Level"))
    sender = forms.CharField(max_length=100, required=False, label=_("Sender"), widget=forms.Select)
    q = forms.CharField(
        max_length=200,
        required=False,
        label=_("Search messages"),
        widget=forms.SearchInput({"placeholder": _("Search messages")}),
    )
    after = forms.CharField(max_length=100, required=False, widget=forms.HiddenInput)

    def clean_sender(self) -> str:
        sender: str = self.cleaned_data["sender"]
        if sender and as_key(get_user_model(), sender) is None:
            raise forms.ValidationError(_("There is no such sender."))
        return sender

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
        return [self[name] for name in ("kind", "level", "sender")]

    @property
    def problem(self) -> str:
        return " ".join(str(error) for errors in self.errors.values() for error in errors)

    @property
    def chosen(self) -> RequestedFilter:
        """The requested filter without invalid values."""
        values = {name: self.cleaned_data.get(name) or None for name in self.fields}
        level = values["level"]
        return RequestedFilter(
            view=values["view"] or "inbox",
            unread=bool(values["unread"]),
            kind=values["kind"],
            level=None if level is None else int(level),
            sender=values["sender"] or "",
            search=values["q"] or "",
            after=values["after"] or "",
        )

    def offer_senders(self, entries: Iterable[Message | FeedItem]) -> None:
        """Offer the people who sent these entries, and the chosen one, whose name only an entry of theirs reveals."""
        people = {
            str(entry.sender_id): str(entry.sender) for entry in entries if entry.sender is not None and entry.sender_id
        }
        chosen = self.chosen.sender
        others = {} if not chosen or chosen in people else {chosen: gettext("The chosen sender")}
        named = sorted((people | others).items(), key=lambda each: each[1].casefold())
        widget: Any = self.fields["sender"].widget
        widget.choices = [("", gettext("All senders")), *named]

    def label_of(self, name: str, value: object) -> str:
        """Return the words of a choice of the filter, for the link that removes it."""
        if name == "q":
            return f"“{value}”"
        field: Any = self.fields[name]
        choices = field.widget.choices if name == "sender" else field.choices
        return str({str(key): label for key, label in choices}[str(value)])
