"""The start pages of an organisation and of the base domain, and the error pages."""

import sys
from dataclasses import dataclass
from typing import Any, Final

from csp.decorators import csp_update
from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.sessions.exceptions import SessionInterrupted
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_safe
from django.views.defaults import server_error as not_expected

from messages_extends import constants
from tenants.database import is_passing
from tenants.names import host_for, origin_of, validate_schema


@dataclass(frozen=True)
class Level:
    number: int
    tag: str
    title: Any
    example: Any


@dataclass(frozen=True)
class Kind:
    title: Any
    description: Any
    levels: tuple[Level, ...]


_LEVELS: Final = (
    ("debug", _("Debug"), _("This page took 12 ms.")),
    ("info", _("Information"), _("The office is closed on Friday.")),
    ("success", _("Success"), _("Your report has been sent.")),
    ("warning", _("Warning"), _("Your trial ends in three days.")),
    ("error", _("Error"), _("The payment has failed.")),
)


def _levels(suffix: str) -> tuple[Level, ...]:
    return tuple(Level(getattr(constants, tag.upper() + suffix), tag, *texts) for tag, *texts in _LEVELS)


KINDS: Final = (
    Kind(_("Ordinary"), _("Shown once, on the next page."), _levels("")),
    Kind(_("Sticky"), _("Shown with this page, and never saved."), _levels("_STICKY")),
    Kind(_("Persistent"), _("Saved, and shown on every page until you close it."), _levels("_PERSISTENT")),
)
_ALL: Final = "all"


class SendForm(forms.Form):
    level = forms.ChoiceField(
        choices=[(_ALL, _("One of each kind")), *((str(n.number), n.title) for kind in KINDS for n in kind.levels)]
    )

    def chosen(self) -> list[tuple[Kind, Level]]:
        wanted = self.cleaned_data["level"]
        return [(kind, n) for kind in KINDS for n in kind.levels if wanted in (_ALL, str(n.number))]


@require_http_methods(["GET", "HEAD", "POST"])
def home(request: HttpRequest) -> HttpResponse:
    return send_to_myself(request) if request.method == "POST" else _render_home(request)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Respond with 400 without reading the request's body, which Django's own page reads for its CSRF token.

    Respond with 503 if a session could not be saved because the database was unavailable, which Django treats as a
    logout.
    """
    if isinstance(exception, SessionInterrupted) and is_passing(_first(exception)):
        return _unavailable()
    return render(request, "400.html", status=400)


def server_error(request: HttpRequest) -> HttpResponse:
    """Respond with 503 if the database was unavailable, whatever used it, and with 500 to any other error."""
    if not is_passing(sys.exc_info()[1]):
        return not_expected(request)
    return _unavailable()


def _unavailable() -> HttpResponse:
    # Render without the request, because its context would query the database again.
    response = HttpResponse(render_to_string("tenants/no_database.html"), status=503)
    response["Retry-After"] = "60"
    response["Cache-Control"] = "no-store"
    return response


def _first(error: BaseException) -> BaseException:
    """Return the database error that caused an error of the session."""
    while error.__context__ is not None and not is_passing(error):
        error = error.__context__
    return error


@login_required
def send_to_myself(request: HttpRequest) -> HttpResponse:
    """Send the requested messages. There is no redirect, because a sticky message is for this response only."""
    form = SendForm(request.POST)
    if not form.is_valid():
        return redirect("home")
    chosen = form.chosen()
    # Debug levels are below the default minimum level.
    messages.set_level(request, messages.DEBUG)
    for kind, level in chosen:
        messages.add_message(request, level.number, _example(kind, level))
    if any(level.number in constants.STICKY_MESSAGE_LEVELS for _kind, level in chosen):
        return _render_home(request)
    return redirect("home")


def _render_home(request: HttpRequest) -> HttpResponse:
    return render(request, "config/home.html", {"kinds": KINDS})


def _example(kind: Kind, level: Level) -> str:
    return f"{level.example} ({kind.title})"


class FindForm(forms.Form):
    organisation = forms.CharField(
        label=_("Short name"),
        max_length=63,
        widget=forms.TextInput(attrs={"autocomplete": "organization", "autocapitalize": "none", "spellcheck": "false"}),
    )

    def clean_organisation(self) -> str:
        """Convert user input, including the label of a host name, to a schema name."""
        schema: str = self.cleaned_data["organisation"].lower().replace("-", "_")
        try:
            validate_schema(schema)
        except ValidationError as error:
            raise ValidationError(_("No organisation has such a short name.")) from error
        return schema


# Browsers apply this policy to the redirect after a form as well.
may_lead_to_organisations = csp_update({"form-action": origin_of(f"*.{settings.BASE_DOMAIN}")})


@require_safe
@may_lead_to_organisations
def landing(request: HttpRequest) -> HttpResponse:
    return render(request, "config/landing.html", {"form": FindForm()})


@require_safe
@may_lead_to_organisations
def find(request: HttpRequest) -> HttpResponse:
    """Redirect to the URL of an organisation, whose host name tells whether it exists."""
    form = FindForm(request.GET)
    if not form.is_valid():
        return render(request, "config/landing.html", {"form": form}, status=400)
    return redirect(origin_of(host_for(form.cleaned_data["organisation"])) + "/")
