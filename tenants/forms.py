"""Forms of the operators: search for organisations, and create one."""

from typing import Any

from django import forms
from django.conf import settings
from django.utils.translation import gettext_lazy as _

from tenants.models import Tenant
from tenants.names import MAX_LENGTH, validate_schema
from tenants.provisioning import Administrator, one_line
from tenants.time_zones import time_zones


class SearchForm(forms.Form):
    q = forms.CharField(
        label=_("Search by name or address"),
        required=False,
        max_length=100,
        widget=forms.TextInput({"type": "search", "autocomplete": "off"}),
    )


class OrganisationForm(forms.Form):
    """A new organisation and its first administrator."""

    name = forms.CharField(
        label=_("Name"), max_length=100, widget=forms.TextInput({"autocomplete": "off", "dir": "auto"})
    )
    # Longer than the limit, so that an error is shown instead of a truncated name.
    schema = forms.CharField(
        label=_("Short name"),
        max_length=MAX_LENGTH * 2,
        widget=forms.TextInput({"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}),
    )
    time_zone = forms.ChoiceField(label=_("Time zone"), required=False)
    email = forms.EmailField(
        label=_("E-mail address of the first administrator"),
        max_length=254,
        help_text=_("They are sent a link to choose a password."),
        widget=forms.EmailInput({"autocomplete": "off"}),
    )
    administrator = forms.CharField(
        label=_("Name of the first administrator"),
        required=False,
        max_length=150,
        help_text=_("Optional."),
        widget=forms.TextInput({"autocomplete": "off", "dir": "auto"}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["schema"].help_text = _(
            "Lower-case letters, digits and single hyphens, a letter first. The address will be this, in front of "
            ".%(base)s. It cannot be changed later."
        ) % {"base": settings.BASE_DOMAIN}
        zones: Any = self.fields["time_zone"]
        site = _("Site default (%(zone)s)") % {"zone": settings.TIME_ZONE}
        zones.choices = [("", site), *((name, name.replace("_", " ")) for name in time_zones())]

    def clean_name(self) -> str:
        return one_line(self.cleaned_data["name"])

    def clean_schema(self) -> str:
        """Convert user input, including the label of a host name, to an available schema name."""
        schema: str = self.cleaned_data["schema"].lower().replace("-", "_")
        validate_schema(schema)
        if Tenant.objects.ready().filter(schema_name=schema).exists():
            raise forms.ValidationError(_("An organisation with this short name already exists."))
        return schema

    def options(self) -> dict[str, Any]:
        """Return the arguments of `create_organisation`."""
        values = self.cleaned_data
        administrator = Administrator(email=values["email"], name=one_line(values["administrator"]))
        return {
            "schema": values["schema"],
            "name": values["name"],
            "time_zone": values["time_zone"],
            "administrator": administrator,
        }
