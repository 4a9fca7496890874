"""A page that shows what is one person's is marked as private, so that no cache gives it to another."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib import messages
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.template import RequestContext, Template, engines
from django.template.response import TemplateResponse
from django.test import Client, override_settings
from django.urls import include, path
from django.views.decorators.cache import cache_control, cache_page, never_cache

from messages_extends import api
from messages_extends.constants import INFO_STICKY
from tenants.models import Tenant
from tests.factories import BrowserOf, MakeUser

pytestmark = pytest.mark.django_db

BANNERS = "{% load messages_extends %}{% message_banners %}"
BELL = "{% load messages_extends %}{% message_bell %}"
NAV = "{% load messages_extends %}{% messages_nav %}"
LOOP = "{% for message in messages %}{{ message }}{% endfor %}"
NOTHING = "The opening hours"


def shows(template: str, *decorators: Any, add: int | None = None) -> Callable[[HttpRequest], HttpResponse]:
    """Return a host's view that renders this template."""

    def view(request: HttpRequest) -> HttpResponse:
        if add is not None:
            messages.add_message(request, add, "said now")
        return HttpResponse(Template(template).render(RequestContext(request)))

    for decorate in decorators:
        view = decorate(view)
    return view


def late(request: HttpRequest) -> HttpResponse:
    """Render only after the view has returned."""
    return TemplateResponse(request, engines["django"].from_string(BANNERS))


VIEWS: dict[str, Any] = {
    "banners": shows(BANNERS),
    "bell": shows(BELL),
    "nav": shows(NAV),
    "loop": shows(LOOP),
    "nothing": shows(NOTHING),
    "late": late,
    "said": shows(LOOP, add=messages.INFO),
    "sticky": shows(BANNERS, add=INFO_STICKY),
    "public": shows(BANNERS, cache_control(public=True, max_age=600)),
    "never": shows(BANNERS, never_cache),
    "nostore": shows(BANNERS, cache_control(no_store=True)),
    "kept": shows(LOOP + " {% now 'u' %}", cache_page(600)),
    "kept_late": cache_page(600)(late),
    "hours": shows("{% now 'u' %}", cache_page(600)),
}


class Urls:
    urlpatterns = [
        *(path(f"host/{name}/", view) for name, view in VIEWS.items()),
        path("", include("config.urls")),
    ]


@pytest.fixture
def browser(in_acme: Tenant, root: Any, browser_of: BrowserOf) -> Any:
    with override_settings(ROOT_URLCONF=Urls):
        yield browser_of(in_acme, root)


@pytest.fixture
def bobs(in_acme: Tenant, make_user: MakeUser, browser_of: BrowserOf) -> Client:
    found: Client = browser_of(in_acme, make_user("bob"))
    return found


def directives(response: Any) -> set[str]:
    return set(filter(None, re.split(r",\s*", response.get("Cache-Control", ""))))


@pytest.mark.parametrize("name", ["banners", "bell", "nav", "loop", "late", "said", "sticky"])
def test_host_page_with_messages_is_private(browser: Client, root: Any, name: str) -> None:
    api.send(root, "of alice")
    assert directives(browser.get(f"/host/{name}/")) == {"private"}


def test_host_page_without_messages_is_unchanged(browser: Client) -> None:
    assert directives(browser.get("/host/nothing/")) == set()


def test_public_host_page_without_login_is_unchanged(browser: Client, acme: Tenant, browser_of: BrowserOf) -> None:
    anonymous = browser_of(acme)
    for name in ("banners", "bell", "loop", "nothing"):
        assert directives(anonymous.get(f"/host/{name}/")) == set()
    # A message from the page before, in a cookie, is theirs alone.
    assert directives(anonymous.get("/host/said/")) == {"private"}


def test_cache_directives_of_host_are_not_weakened(browser: Client, root: Any) -> None:
    api.send(root, "of alice")
    assert directives(browser.get("/host/public/")) == {"private", "max-age=600"}
    assert {"no-store", "private"} <= directives(browser.get("/host/never/"))
    assert directives(browser.get("/host/nostore/")) == {"no-store"}


@pytest.mark.parametrize("name", ["kept", "kept_late"])
def test_django_page_cache_does_not_store_messages(browser: Client, root: Any, bobs: Client, name: str) -> None:
    cache.clear()
    api.send(root, "of alice")
    assert "of alice" in browser.get(f"/host/{name}/").text
    assert "of alice" not in bobs.get(f"/host/{name}/").text
    # One without them is.
    assert browser.get("/host/hours/").text == bobs.get("/host/hours/").text
    cache.clear()


OWN_PAGES = (
    *("/", "/people/", "/password/", "/admin/", "/admin/people/user/"),
    *("/messages/", "/messages/panel/", "/messages/badge/", "/messages/banners/", "/messages/compose/"),
    *("/messages/announcements/", "/messages/announcements/new/", "/messages/grants/", "/messages/grants/why/"),
    *("/messages/compose/recipients/?q=a", "/messages/announcements/groups/?q=a"),
)


@pytest.mark.parametrize("page", ["/messages/compose/", "/messages/announcements/", "/messages/grants/"])
def test_refused_page_is_private(bobs: Client, page: str) -> None:
    answer = bobs.get(page)
    assert answer.status_code in (403, 404)
    assert directives(answer) & {"private", "no-store"}


@pytest.mark.parametrize("page", OWN_PAGES)
def test_own_pages_for_logged_in_user_are_private(in_acme: Tenant, root: Any, browser_of: BrowserOf, page: str) -> None:
    api.send(root, "of alice")
    assert directives(browser_of(in_acme, root).get(page)) & {"private", "no-store"}


def test_message_middleware_is_installed() -> None:
    assert "django.contrib.messages.middleware.MessageMiddleware" in django_settings.MIDDLEWARE
