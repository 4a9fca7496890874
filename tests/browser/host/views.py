"""The pages of the host: a start page, another one, and a form that says something."""

from typing import Any
from urllib.parse import parse_qsl

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render


def look(request: HttpRequest) -> dict[str, Any]:
    """Give templates what the cookie `look` says, such as `theme=dark&bell=start`."""
    return {"look": dict(parse_qsl(request.COOKIES.get("look", "")))}


def home(request: HttpRequest) -> HttpResponse:
    if request.method == "POST":
        messages.success(request, "Your order has been placed.")
        return redirect("/")
    return render(request, "page.html", {"title": "Start"})


def other(request: HttpRequest) -> HttpResponse:
    return render(request, "page.html", {"title": "Other"})


def alerts(request: HttpRequest) -> HttpResponse:
    """Show the messages in Bootstrap's own markup."""
    return render(request, "alerts.html", {"title": "Alerts"})


def fragment(request: HttpRequest) -> HttpResponse:
    """Answer with a part of a page, and with the banners beside it, as docs/how-to/htmx-and-turbo.md says."""
    messages.success(request, "Your order has been placed.")
    return render(request, "fragment.html")
