"""The forms of announcements and broadcasts, for new and existing ones."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from messages_extends.constants import base_level
from messages_extends.inbox.cursor import Cursor
from messages_extends.labels import LEVEL_NAMES
from messages_extends.models.publication import Publication, State
from messages_extends.tenancy.databases import using_primary
from messages_extends.web.forms import CONTENT, LEVELS, LocalDateTimeField, PickedField, TextForm
from messages_extends.web.keys import as_keys
from messages_extends.web.search import clean_search

STATES: Final = (
    ("", _("All")),
    (State.SCHEDULED.value, _("Scheduled")),
    (State.LIVE.value, _("Live")),
    (State.EXPIRED.value, _("Expired")),
    (State.RETRACTED.value, _("Retracted")),
)
# The fields that are compared for changes; `revise` accepts them by these names.
COLUMNS: Final = (*CONTENT, "publish_at", "expires", "must_acknowledge")


class PublicationFilter(forms.Form):
    """The filter and the page of a list of publications."""

    state = forms.ChoiceField(choices=STATES, required=False)
    after = forms.CharField(max_length=100, required=False)

    def clean_after(self) -> Cursor | None:
        after: str = self.cleaned_data["after"]
        try:
            return Cursor.parse(after) if after else None
        except (ValueError, OverflowError) as error:
            raise ValidationError(_("This page does not exist. Go back to the first one.")) from error


class PublicationForm(TextForm):
    """The fields of a publication, with the time at which it appears."""

    expires = LocalDateTimeField(
        label=_("Show until"),
        required=False,
        help_text=_("Optional. If blank, 30 days after it is first shown."),
    )
    must_acknowledge = forms.BooleanField(
        label=_("Readers must acknowledge it"),
        required=False,
        help_text=_("It stays at the top of every page until they acknowledge it. It cannot be closed."),
    )

    OPTIONS = (*TextForm.OPTIONS, "must_acknowledge")


class NewPublicationForm(PublicationForm):
    """A new publication, to everybody or to chosen rows of `offered`."""

    EVERYBODY: Final = "everybody"
    PICKED: Final = "picked"
    # More rows than this are searched instead of listed.
    FEW: Final = 12
    # Django rejects a form with 1,000 values or more without an error in the form.
    MAX_PICKED: Final = 500

    to = forms.ChoiceField(label=_("Who will see it"), widget=forms.RadioSelect)
    picked = PickedField(required=False)

    def __init__(self, *args: Any, offered: QuerySet[Any], choices: Mapping[str, Any], **options: Any) -> None:
        self.offered = offered
        super().__init__(*args, **options)
        to: Any = self.fields["to"]
        to.choices = list(choices.items())
        if len(choices) == 1:
            to.initial = next(iter(choices))

    def clean(self) -> dict[str, Any]:
        super().clean()
        if self.cleaned_data.get("to") == self.PICKED:
            self._require_picked()
        return self.cleaned_data

    @property
    def everybody(self) -> bool:
        return bool(self.cleaned_data["to"] == self.EVERYBODY)

    @property
    def publication(self) -> dict[str, Any]:
        """The arguments of `announce` and `broadcast`, except for the audience."""
        return self.text | {"must_acknowledge": self.cleaned_data["must_acknowledge"]}

    @cached_property
    def picked_rows(self) -> list[Any]:
        """The chosen rows, as far as they are offered."""
        return list(using_primary(self.offered.filter(pk__in=self._keys))) if self._keys else []

    @cached_property
    def few(self) -> list[Any] | None:
        """All offered rows; None if there are too many to list."""
        rows = list(self.offered[: self.FEW + 1])
        return rows if len(rows) <= self.FEW else None

    @property
    def search(self) -> str:
        return clean_search(str(self.data.get("q", "")))

    def _require_picked(self) -> None:
        count = len(self._picked)
        if count > self.MAX_PICKED:
            limit = {"limit": self.MAX_PICKED}
            self.add_error("picked", ValidationError(_("Choose at most %(limit)s, or all."), params=limit))
        elif count > len(self.picked_rows):
            self.add_error(
                "picked", _("Some of these can no longer be chosen and have been removed. Check your selection.")
            )
        elif not count:
            self.add_error("picked", _("Choose at least one."))

    @cached_property
    def _picked(self) -> set[str]:
        data: Any = self.data
        return set(data.getlist("picked")) if self.is_bound else set()

    @cached_property
    def _keys(self) -> set[Any]:
        return as_keys(self.offered.model, self._picked) if len(self._picked) <= self.MAX_PICKED else set()


class EditForm(PublicationForm):
    """The form for changing a publication; `version` identifies the state that the form has shown."""

    QUIETLY: Final = "quietly"
    AGAIN: Final = "again"

    expires = LocalDateTimeField(label=_("Show until"))
    again = forms.ChoiceField(
        label=_("Readers who have already read it"),
        choices=(
            (QUIETLY, _("Keep it marked as read.")),
            (AGAIN, _("Show it again to everybody, as unread.")),
        ),
        initial=QUIETLY,
        widget=forms.RadioSelect,
    )
    version = forms.CharField(max_length=64, widget=forms.HiddenInput)

    def __init__(self, *args: Any, publication: Publication, **options: Any) -> None:
        self.before = as_entered(publication)
        options["initial"] = self.before | {"again": self.QUIETLY, "version": version_of(publication)}
        super().__init__(*args, **options)
        level: Any = self.fields["level"]
        if publication.level not in dict(LEVELS):
            # It was published by code, with a level that forms do not offer, and keeps it.
            level.choices = [*LEVELS, (publication.level, LEVEL_NAMES[base_level(publication.level)])]
        if publication.state() is State.SCHEDULED:
            # Nobody can have read it yet.
            del self.fields["again"]
        else:
            del self.fields["publish_at"]

    @property
    def show_again(self) -> bool:
        return bool(self.cleaned_data.get("again") == self.AGAIN)

    @property
    def changes(self) -> dict[str, Any]:
        """Return the changed fields. Times are compared to the minute, as the form shows them."""
        entered = {name: self.cleaned_data[name] for name in COLUMNS if name in self.cleaned_data}
        if "publish_at" in entered:
            entered["publish_at"] = entered["publish_at"] or timezone.now()
        changed = {name: value for name, value in entered.items() if _as_shown(value) != _as_shown(self.before[name])}
        # A changed text is literal, even if the previous one was a msgid with parameters.
        return changed | ({"params": None} if "message" in changed else {})


def as_entered(publication: Publication) -> dict[str, Any]:
    """Return the initial values of the form for a publication."""
    return {name: getattr(publication, name) for name in COLUMNS} | {"message": _as_sent(publication.body)}


def version_of(publication: Publication) -> str:
    """Return a hash that changes whenever the publication is changed."""
    seen = [getattr(publication, name) for name in (*COLUMNS, "params", "revision", "retracted_at")]
    return hashlib.sha256(repr(seen).encode()).hexdigest()


def _as_shown(value: Any) -> Any:
    """Return a value as browsers submit it: texts with normalised line breaks, and times to the minute."""
    if isinstance(value, datetime):
        return value.replace(second=0, microsecond=0)
    return _as_sent(value) if isinstance(value, str) else value


def _as_sent(text: str) -> str:
    """Return a text as it is after a browser has submitted it and the form has cleaned it."""
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()
