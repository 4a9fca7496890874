"""Our tags in pages that Django renders without a request, or for one that no middleware has seen, and in e-mails."""

from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import BadRequest, PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template import engines
from django.template.loader import render_to_string
from django.test import Client, RequestFactory
from django.urls import include, path

from messages_extends.api import send
from tenants.models import Tenant
from tests.factories import BrowserOf, MakeUser

LAYOUT = """<html><head>{% load messages_extends %}{% message_assets %}</head>
<body>{% message_bell %}{% messages_nav "inbox" %}{% message_banners %}
{% include "messages_extends/includes/alerts_bootstrap.html" %}
<main>{% block content %}{% endblock %}</main></body></html>"""
TAGS = ("message_assets", "message_bell", "message_banners", 'messages_nav "inbox"')
ERRORS = {400: BadRequest, 403: PermissionDenied, 404: Http404, 500: ValueError}


def breaks(request: HttpRequest, status: int) -> HttpResponse:
    raise ERRORS[status]


class Host:
    """A host with Django's own views for errors."""

    urlpatterns = [path("breaks/<int:status>/", breaks), path("messages/", include("messages_extends.urls"))]


@pytest.fixture
def host(settings: Any, tmp_path: Path) -> None:
    (tmp_path / "base.html").write_text(LAYOUT)
    for name in ("400", "403", "403_csrf", "404", "500"):
        page = '{% extends "base.html" %}{% block content %}Something is wrong.{% endblock %}'
        (tmp_path / f"{name}.html").write_text(page)
    settings.DEBUG = False
    settings.ROOT_URLCONF = Host
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]


def rendered(tag: str, context: dict[str, Any], request: HttpRequest | None = None) -> str:
    return str(engines["django"].from_string(f"{{% load messages_extends %}}{{% {tag} %}}").render(context, request))


@pytest.mark.usefixtures("host")
@pytest.mark.parametrize("status", ERRORS)
def test_error_page_with_template_tags_in_layout_renders(
    status: int, in_acme: Tenant, make_user: MakeUser, browser_of: BrowserOf
) -> None:
    alice = make_user("alice")
    send(alice, "Hello")
    for browser in (browser_of(in_acme, alice), browser_of(in_acme)):
        browser.raise_request_exception = False
        response = browser.get(f"/breaks/{status}/")
        assert response.status_code == status
        assert "Something is wrong." in response.text


@pytest.mark.usefixtures("host")
def test_csrf_error_page_with_template_tags_in_layout_renders(in_acme: Tenant) -> None:
    browser = Client(enforce_csrf_checks=True, headers={"host": "acme.localhost"})
    response = browser.post("/messages/mark_read/all/")
    assert response.status_code == 403
    assert "Something is wrong." in response.text


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("context", [{}, {"request": None}])
def test_template_tags_without_request_render_nothing(tag: str, context: dict[str, Any]) -> None:
    assert rendered(tag, context) == ""


@pytest.mark.usefixtures("host")
def test_layout_with_template_tags_renders_without_request() -> None:
    assert "Something is wrong." in render_to_string("500.html")


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("schema", ["acme", "public"])
def test_template_tags_without_middleware_show_no_messages(tag: str, schema: str, acme: Tenant) -> None:
    request: Any = RequestFactory().get("/")
    if schema == "acme":
        request.tenant = acme
    html = rendered(tag, {}, request)
    assert "mx-bell" not in html
    assert "mx-nav" not in html
