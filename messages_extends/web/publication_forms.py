"""Forms for announcements and broadcasts: what both have, each new or to be changed."""

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
from messages_extends.sending.cleaning import clean_future_datetime
from messages_extends.tenancy.databases import using_primary
from messages_extends.web.forms import LEVELS, LocalDateTimeField, PickedField, TextForm, as_keys
from messages_extends.web.search import clean_search

STATES: Final = (
    ("", _("All")),
    (State.SCHEDULED.value, _("Scheduled")),
    (State.LIVE.value, _("Live")),
    (State.EXPIRED.value, _("Expired")),
    (State.RETRACTED.value, _("Retracted")),
)
# What a change is compared by; `revise` takes them by these names.
COLUMNS: Final = ("message", "level", "url", "publish_at", "expires", "must_acknowledge")


class PublicationFilter(forms.Form):
    """Which publications a list shows, and where its page begins."""

    state = forms.ChoiceField(choices=STATES, required=False)
    after = forms.CharField(max_length=100, required=False)

    def clean_after(self) -> Cursor | None:
        after: str = self.cleaned_data["after"]
        try:
            return Cursor.parse(after) if after else None
        except (ValueError, OverflowError) as error:
            raise ValidationError(_("This page does not exist. Go back to the first one.")) from error


class PublicationForm(TextForm):
    """A text for many, with the time from which it is shown."""

    expires = LocalDateTimeField(
        label=_("Show until"),
        required=False,
        help_text=_("Optional. If blank, 30 days after it is first shown."),
    )
    publish_at = LocalDateTimeField(
        label=_("Show from"), required=False, help_text=_("Optional. If blank, it is shown immediately.")
    )
    must_acknowledge = forms.BooleanField(
        label=_("Readers must acknowledge it"),
        required=False,
        help_text=_("It stays at the top of every page until they acknowledge it. It cannot be closed."),
    )

    def clean_publish_at(self) -> datetime | None:
        publish_at: datetime | None = self.cleaned_data["publish_at"]
        try:
            return None if publish_at is None else clean_future_datetime("publish_at", publish_at)
        except ValueError as error:
            raise ValidationError(_("Enter a time in the future, or leave this blank.")) from error

    def clean(self) -> dict[str, Any]:
        start, end = self.cleaned_data.get("publish_at"), self.cleaned_data.get("expires")
        if start is not None and end is not None and end <= start:
            self.add_error("expires", _("Enter a time later than the time it is first shown."))
        return self.cleaned_data


class NewPublicationForm(PublicationForm):
    """A new text for all, or for some who are picked out of those that are `offered`."""

    EVERYBODY: Final = "everybody"
    PICKED: Final = "picked"
    # More than these are searched for.
    FEW: Final = 12
    # Django refuses a form of 1,000 values or more, without a word on why.
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
        """What `announce` and `broadcast` take, but for whom it is for."""
        return self.text | {name: self.cleaned_data[name] for name in ("publish_at", "must_acknowledge")}

    @cached_property
    def picked_rows(self) -> list[Any]:
        """What was picked, as far as it is offered."""
        return list(using_primary(self.offered.filter(pk__in=self._keys))) if self._keys else []

    @cached_property
    def few(self) -> list[Any] | None:
        """All that is offered; None if that is much."""
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
    """What a publication says, to be changed; `version` is what was seen of it."""

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
            # Code has published it at a level that people are not offered; it keeps that.
            level.choices = [*LEVELS, (publication.level, LEVEL_NAMES[base_level(publication.level)])]
        if publication.state() is State.SCHEDULED:
            # Nobody has read it yet.
            del self.fields["again"]
        else:
            del self.fields["publish_at"]

    @property
    def show_again(self) -> bool:
        return bool(self.cleaned_data.get("again") == self.AGAIN)

    @property
    def changes(self) -> dict[str, Any]:
        """Return what is other than it was; times, as they were shown, to the minute."""
        entered = {name: self.cleaned_data[name] for name in COLUMNS if name in self.cleaned_data}
        if "publish_at" in entered:
            entered["publish_at"] = entered["publish_at"] or timezone.now()
        changed = {name: value for name, value in entered.items() if _as_shown(value) != _as_shown(self.before[name])}
        # A new text is a literal one, whatever was filled into the old.
        return changed | ({"params": None} if "message" in changed else {})


def as_entered(publication: Publication) -> dict[str, Any]:
    """Return what a form shows of a publication."""
    return {name: getattr(publication, name) for name in COLUMNS} | {"message": _as_sent(str(publication))}


def version_of(publication: Publication) -> str:
    """Return what changes whenever something about a publication has been changed."""
    seen = [getattr(publication, name) for name in (*COLUMNS, "params", "revision", "retracted_at")]
    return hashlib.sha256(repr(seen).encode()).hexdigest()


def _as_shown(value: Any) -> Any:
    """Return what a form shows of a value: texts as browsers send them back, and times to the minute."""
    if isinstance(value, datetime):
        return value.replace(second=0, microsecond=0)
    return _as_sent(value) if isinstance(value, str) else value


def _as_sent(text: str) -> str:
    """Return what is left of a text when a browser has sent it back and a form has taken it in."""
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()
