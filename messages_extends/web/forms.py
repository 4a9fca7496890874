"""The forms for composing messages and for granting permissions."""

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any, ClassVar, Final, cast

from django import forms
from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator
from django.db.models import QuerySet
from django.forms.utils import ErrorDict
from django.http import QueryDict
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from messages_extends.access.grants import EVERYBODY, All
from messages_extends.access.membership import members, people_here
from messages_extends.access.policy import policy
from messages_extends.constants import (
    ERROR_PERSISTENT,
    INFO_PERSISTENT,
    SUCCESS_PERSISTENT,
    WARNING_PERSISTENT,
    base_level,
)
from messages_extends.labels import LEVEL_NAMES
from messages_extends.models.content import Display
from messages_extends.sending.cleaning import (
    LIMITS,
    MAX_TEXT,
    clean_datetime,
    clean_future_datetime,
    require_characters,
    require_link,
    shown_zone,
)
from messages_extends.sending.recipients import Recipients
from messages_extends.tenancy.databases import using_primary
from messages_extends.tenancy.schemas import user_model_has
from messages_extends.web.keys import as_key, as_keys
from messages_extends.web.search import clean_search, search_groups, search_people

CONTENT: Final = ("title", "message", "level", "url", "url_label", "display")
# The default level first. Forms do not offer the debug level, which is for developers.
LEVELS: Final = tuple(
    (level, LEVEL_NAMES[base_level(level)])
    for level in (INFO_PERSISTENT, SUCCESS_PERSISTENT, WARNING_PERSISTENT, ERROR_PERSISTENT)
)


class LocalDateTimeField(forms.DateTimeField):
    """A datetime in the current time zone, entered with the browser's datetime control."""

    widget = forms.DateTimeInput({"type": "datetime-local"}, "%Y-%m-%dT%H:%M")
    default_error_messages = {"invalid": _("Enter a valid date and time, such as 2030-12-31T18:00.")}

    def to_python(self, value: str | date | None) -> datetime | None:
        at = super().to_python(value)
        if at is None:
            return None
        try:
            # Without USE_TZ it is naive.
            return clean_datetime("time", at)
        except ValueError as error:
            raise ValidationError(self.error_messages["invalid"], code="invalid") from error


class DraftForm(forms.Form):
    """A form that can be shown again with its data but without validation."""

    def __init__(self, *args: Any, checks: bool = True, **options: Any) -> None:
        """With `checks=False`, keep the entered data and report no errors."""
        self.checks = checks
        super().__init__(*args, **options)

    def full_clean(self) -> None:
        if self.checks:
            super().full_clean()
        else:
            self._errors, self.cleaned_data = ErrorDict(), {}


class TextForm(DraftForm):
    """The fields that messages and publications share; `text` has the arguments of `send` and the like.

    It is rendered by `includes/text_fields.html`, and its errors by `includes/problems.html`. Times are in the current
    time zone, as on all pages.
    """

    title = forms.CharField(
        label=_("Title"),
        required=False,
        max_length=LIMITS["title"],
        help_text=_("Optional. It stands before the text."),
        widget=forms.TextInput({"dir": "auto", "autocomplete": "off"}),
    )
    message = forms.CharField(
        label=_("Text"),
        help_text=_("At most 10,000 characters. No HTML."),
        # Without the attribute maxlength, which truncates pasted text and counts UTF-16 code units.
        validators=[MaxLengthValidator(MAX_TEXT)],
        widget=forms.Textarea({"rows": 5, "dir": "auto", "data-mx-limit": MAX_TEXT}),
        error_messages={"required": _("Enter a message.")},
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
    url_label = forms.CharField(
        label=_("Words of the link"),
        required=False,
        max_length=LIMITS["url_label"],
        help_text=_("Optional. If blank, “Open”."),
        widget=forms.TextInput({"dir": "auto", "autocomplete": "off"}),
    )
    display = forms.ChoiceField(
        label=_("Where it is shown"),
        choices=Display.choices,
        initial=Display.BANNER,
        required=False,
        widget=forms.RadioSelect,
    )
    publish_at = LocalDateTimeField(
        label=_("Show from"), required=False, help_text=_("Optional. If blank, it is shown immediately.")
    )
    expires = LocalDateTimeField(label=_("Show until"), required=False, help_text=_("Optional."))

    # Fields that the form hides at first.
    OPTIONS: ClassVar[tuple[str, ...]] = ("url", "url_label", "publish_at", "expires", "display")

    @property
    def has_options(self) -> bool:
        """Whether an option was chosen or has an error, so that the form shows all of them."""
        names = [name for name in self.OPTIONS if name in self.fields]
        return any(
            name in self.errors or self[name].value() not in {None, "", self.fields[name].initial} for name in names
        )

    @property
    def zone_name(self) -> str:
        """The time zone of the form's times."""
        return str(shown_zone())

    @property
    def text(self) -> dict[str, Any]:
        return {name: self.cleaned_data[name] for name in (*CONTENT, "publish_at", "expires")}

    @property
    def content(self) -> dict[str, Any]:
        """The arguments of `text` without the times, for a preview."""
        return {name: self.cleaned_data[name] for name in CONTENT}

    def clean_title(self) -> str:
        return self._storable("title")

    def clean_display(self) -> str:
        return self.cleaned_data["display"] or Display.BANNER

    def clean_url_label(self) -> str:
        return self._storable("url_label")

    def _storable(self, name: str) -> str:
        text: str = self.cleaned_data[name]
        try:
            require_characters(name, text)
        except ValueError as error:
            raise ValidationError(_("This text contains characters that cannot be stored.")) from error
        return text

    def clean_message(self) -> str:
        # Browsers send line breaks as CRLF.
        return self._storable("message").replace("\r\n", "\n")

    def clean_url(self) -> str:
        url: str = self.cleaned_data["url"]
        try:
            require_characters("url", url)
            require_link(url)
        except ValueError as error:
            raise ValidationError(
                _("This link is not allowed: use a path on this site (/orders/5/) or an http(s) address.")
            ) from error
        return url

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

    def clean_expires(self) -> datetime | None:
        expires: datetime | None = self.cleaned_data["expires"]
        try:
            return None if expires is None else clean_future_datetime("expires", expires)
        except ValueError as error:
            raise ValidationError(_("Enter a time in the future.")) from error


class PickedField(forms.Field):
    """The primary keys of rows chosen with a picker."""

    widget = forms.SelectMultiple


class ComposeForm(TextForm):
    """A message to people and groups to whom `sender` may write; it reveals nobody else."""

    groups = PickedField(label=_("Groups"), required=False)
    people = PickedField(label=_("People"), required=False)

    # With more groups than this, a search replaces the list of checkboxes.
    FEW_GROUPS: Final = 12
    # Django rejects a form with 1,000 values or more (DATA_UPLOAD_MAX_NUMBER_FIELDS) without an error in the form.
    MAX_PICKED: Final = 500

    def __init__(self, *args: Any, sender: Any, **options: Any) -> None:
        # An instance of the user model, to which foreign keys refer.
        self.sender = sender
        super().__init__(*args, **options)

    def clean(self) -> dict[str, Any]:
        super().clean()
        for name, found in (("groups", self.picked_groups), ("people", self.picked_people)):
            self._require_found(name, len(found))
        if not self.errors.keys() & {"groups", "people"}:
            self._require_somebody()
        return self.cleaned_data

    @cached_property
    def recipients(self) -> Recipients:
        """The recipients, as a queryset that is evaluated on each use."""
        return Recipients.chosen(self.picked_groups, self.picked_people)

    @cached_property
    def count(self) -> int:
        return using_primary(self.recipients.users.distinct()).count()

    @cached_property
    def picked_people(self) -> list[AbstractBaseUser]:
        people = policy().reachable_people(self.sender).filter(pk__in=self._keys("people"))
        return list(using_primary(search_people("", people)))

    @cached_property
    def picked_groups(self) -> list[Group]:
        groups = policy().reachable_groups(self.sender).filter(pk__in=self._keys("groups"))
        return list(using_primary(search_groups("", groups)))

    @cached_property
    def few_groups(self) -> list[Group] | None:
        """All groups to whose members the sender may write; None if there are more than FEW_GROUPS."""
        groups = list(search_groups("", policy().reachable_groups(self.sender))[: self.FEW_GROUPS + 1])
        return groups if len(groups) <= self.FEW_GROUPS else None

    @property
    def search(self) -> str:
        return clean_search(str(self.data.get("q", "")))

    def _require_found(self, name: str, found: int) -> None:
        picked = len(set(self._picked(name)))
        if picked > self.MAX_PICKED:
            self.add_error(
                self._error_field(name),
                _("Choose at most %(limit)s people. To reach more, choose a group.") % {"limit": self.MAX_PICKED},
            )
        elif picked != found:
            self.add_error(
                self._error_field(name),
                _("You may not write to some of the recipients you chose, and they have been removed."),
            )

    def _error_field(self, name: str) -> str:
        """Return the field at which an error is visible. A search covers groups together with people."""
        return "people" if self.few_groups is None else name

    def _require_somebody(self) -> None:
        if not (self.picked_groups or self.picked_people):
            self.add_error("people", _("Choose at least one person or group."))
        elif not self.count:
            self.add_error(
                self._error_field("groups"),
                _("Nobody in your selection is active, so nobody would receive this message."),
            )

    def _picked(self, name: str) -> list[str]:
        return cast(QueryDict, self.data).getlist(name) if self.is_bound else []

    def _keys(self, name: str) -> set[Any]:
        model = Group if name == "groups" else get_user_model()
        picked = set(self._picked(name))
        return as_keys(model, picked) if len(picked) <= self.MAX_PICKED else set()


class PairForm(DraftForm):
    """A form with two pickers for people or groups; `picked` has the chosen objects or None."""

    PICKERS: ClassVar[tuple[str, ...]]
    GROUPS: ClassVar[bool]

    @cached_property
    def picked(self) -> dict[str, AbstractBaseUser | Group | None]:
        found = {name: find_one(str(self.data.get(name, "")), self.people) for name in self.PICKERS}
        return {name: one if isinstance(one, self._kinds) else None for name, one in found.items()}

    @property
    def people(self) -> QuerySet[AbstractBaseUser]:
        return members()

    def search(self, name: str) -> str:
        return clean_search(str(self.data.get(f"{name}_q", "")))

    def clean(self) -> dict[str, Any]:
        for name in self.required:
            if self.picked[name] is None:
                self.add_error(name, _("Choose one of the search results."))
        return self.cleaned_data

    @property
    def required(self) -> Iterable[str]:
        return self.PICKERS

    @property
    def _kinds(self) -> tuple[type[AbstractBaseUser | Group], ...]:
        return (get_user_model(), Group) if self.GROUPS and user_model_has("groups") else (get_user_model(),)


class GrantForm(PairForm):
    """A messaging permission to grant."""

    PICKERS = ("holder", "target")
    GROUPS = True

    holder = PickedField(label=_("Sender"), required=False)
    target = PickedField(label=_("Recipient"), required=False)
    everybody = forms.BooleanField(label=_("Everybody, including future members"), required=False)

    @property
    def to_everybody(self) -> bool:
        return "everybody" in self.data

    @property
    def chosen_target(self) -> AbstractBaseUser | Group | All | None:
        return EVERYBODY if self.to_everybody else self.picked["target"]

    @property
    def required(self) -> Iterable[str]:
        return ("holder",) if self.to_everybody else self.PICKERS

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if self.to_everybody and self.picked["target"] is not None:
            self.add_error("target", _("Choose either a recipient or everybody, not both."))
        return cleaned


class ExplainForm(PairForm):
    """A messaging permission to check, between people who may be inactive."""

    PICKERS = ("sender", "recipient")
    GROUPS = False

    sender = PickedField(label=_("Sender"), required=False)
    recipient = PickedField(label=_("Recipient"), required=False)

    @property
    def people(self) -> QuerySet[AbstractBaseUser]:
        return people_here()


def find_one(text: str, people: QuerySet[AbstractBaseUser]) -> AbstractBaseUser | Group | All | None:
    """Return the user of `people`, the group or the `All` that `text` identifies ("user:5"); None if there is none."""
    if text in {each.value for each in All}:
        return All(text)
    kind, _colon, key = text.partition(":")
    sources: dict[str, QuerySet[AbstractBaseUser | Group]] = {"user": people, "group": Group.objects.all()}
    rows = sources.get(kind)
    found = None if rows is None else as_key(rows.model, key)
    return None if rows is None or found is None else using_primary(rows.filter(pk=found)).first()
