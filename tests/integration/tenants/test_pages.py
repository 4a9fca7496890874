"""The pages of the reference SaaS: what they show, and what browsers may do with them."""

import re
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.test import Client
from django_tenants.utils import schema_context
from pytest_django.fixtures import Settings

from config.views import KINDS
from messages_extends.constants import PERSISTENT_MESSAGE_LEVELS, STICKY_MESSAGE_LEVELS
from messages_extends.models import Message
from tenants.models import Tenant
from tenants.people.models import User
from tests.factories import BrowserOf, MakeUser
from tests.html import text_of
from tests.integration.tenants.conftest import PASSWORD

pytestmark = pytest.mark.django_db


@pytest.fixture
def at_bobs(in_acme: Tenant, bob: User, browser_of: BrowserOf) -> Client:
    return browser_of(in_acme, bob)


def alerts_in(response: Any) -> int:
    return text_of(response).count('class="mx-banner ')


LEVELS = [level.number for kind in KINDS for level in kind.levels]


def test_levels_contain_fifteen_distinct_levels() -> None:
    assert len(set(LEVELS)) == 15


@pytest.mark.parametrize("level", LEVELS)
def test_message_of_each_level_is_shown_for_expected_time(at_bobs: Client, level: int) -> None:
    sent = at_bobs.post("/", {"level": level})
    is_sticky = level in STICKY_MESSAGE_LEVELS
    assert sent.status_code == (200 if is_sticky else 302)
    shown = [alerts_in(sent)] if is_sticky else [alerts_in(at_bobs.get("/"))]
    shown.append(alerts_in(at_bobs.get("/")))
    assert shown == [1, 1 if level in PERSISTENT_MESSAGE_LEVELS else 0]


def test_messages_of_all_levels_are_shown_as_fifteen_alerts(at_bobs: Client) -> None:
    assert alerts_in(at_bobs.post("/", {"level": "all"})) == 15
    assert Message.objects.count() == 5


@pytest.mark.parametrize("level", ["", "7", "x", "99"])
def test_home_page_ignores_unknown_level(at_bobs: Client, level: str) -> None:
    assert alerts_in(at_bobs.post("/", {"level": level}, follow=True)) == 0


def test_home_page_without_login_sends_nothing(in_acme: Tenant, browser_of: BrowserOf) -> None:
    assert browser_of(in_acme).post("/", {"level": "all"})["Location"].startswith("/login/")
    assert not Message.objects.exists()


def test_message_of_one_tenant_is_not_shown_at_other_tenant(
    in_acme: Tenant, globex: Tenant, at_bobs: Client, browser_of: BrowserOf, make_user: MakeUser
) -> None:
    at_bobs.post("/", {"level": "all"})
    with schema_context("globex"):
        stranger = make_user("bob")
    at_strangers = browser_of(globex, stranger)
    at_strangers.cookies["messages"] = at_bobs.cookies["messages"] = "x"
    for name, morsel in at_bobs.cookies.items():
        at_strangers.cookies.setdefault(name, morsel)
    assert alerts_in(at_strangers.get("/")) == 0


def test_forms_without_csrf_token_return_403(in_acme: Tenant, bob: User) -> None:
    client = Client(enforce_csrf_checks=True, headers={"host": "acme.localhost"})
    client.force_login(bob, "django.contrib.auth.backends.ModelBackend")
    for path in ("/", "/login/", "/logout/", "/password/", "/password/forgotten/", "/people/"):
        response = client.post(path, {"level": "all"})
        assert response.status_code == 403
        assert "This form has expired" in text_of(response)


PUBLIC_PAGES = ["/", "/find/?organisation=www", "/nowhere/"]
ACME_PAGES = ["/", "/login/", "/password/forgotten/", "/password/forgotten/sent/", "/password/set/MQ/x/", "/join/x/"]
OWN_PAGES = ["/", "/password/", "/people/", "/nowhere/", "/admin/", "/admin/people/user/", "/admin/people/user/add/"]


def every_page(acme: Client, admin: Client) -> list[Any]:
    public = Client(headers={"host": "localhost"})
    pages = [(public, PUBLIC_PAGES), (acme, [*ACME_PAGES, "/nowhere/"]), (admin, OWN_PAGES)]
    return [client.get(path, follow=True) for client, paths in pages for path in paths]


@pytest.fixture
def pages(in_acme: Tenant, browser_of: BrowserOf, make_user: MakeUser) -> list[Any]:
    admin = make_user("ada", is_staff=True, is_superuser=True)
    return every_page(browser_of(in_acme), browser_of(in_acme, admin))


def test_pages_have_strict_csp_and_no_inline_code(pages: list[Any]) -> None:
    for page in pages:
        policy = page["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        assert page["X-Frame-Options"] == "DENY"
        assert page["X-Content-Type-Options"] == "nosniff"
        assert not re.search(r"<style|<script(?![^>]*\bsrc=)|\sstyle=|\son\w+=|javascript:", text_of(page))


def test_pages_have_language_title_and_landmarks(pages: list[Any]) -> None:
    for page in pages:
        text = text_of(page)
        assert re.search(r'<html lang="en(-us)?"', text)
        [title] = re.findall(r"<title>(.+) · (Acme|Messages Extends)</title>", " ".join(text.split()))
        assert title[1] == ("Acme" if "acme" in page.wsgi_request.get_host() else "Messages Extends")
        assert len(re.findall(r"<h1", text)) in (1, 2)
        assert re.search(r"<main|id=\"main\"", text)


def test_pages_escape_html_in_names(in_acme: Tenant, at_bobs: Client, bob: User) -> None:
    User.objects.update(name="<img src=x>")
    Tenant.objects.filter(pk=in_acme.pk).update(name="<b>Acme</b>")
    text = text_of(at_bobs.get("/"))
    assert "<img src=x>" not in text
    assert "<b>Acme" not in text


@pytest.mark.parametrize("typed", ["north_wind", "North-Wind"])
def test_find_page_redirects_to_host_of_any_tenant_name(client: Client, typed: str) -> None:
    response = client.get("/find/", {"organisation": typed}, headers={"host": "localhost"})
    assert re.fullmatch(r"https?://north-wind\.localhost(:\d+)?/", response["Location"])
    assert re.search(r"form-action [^;]*//\*\.localhost", response["Content-Security-Policy"])


@pytest.mark.parametrize("typed", ["", "www", "evil.example/", "a b", "//x", "x@y"])
def test_find_page_refuses_invalid_names(client: Client, typed: str) -> None:
    response = client.get("/find/", {"organisation": typed}, headers={"host": "localhost"})
    assert response.status_code == 400


def test_server_error_page_is_rendered(in_acme: Tenant, browser_of: BrowserOf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("config.views._render_home", lambda request: 1 / 0)
    client = browser_of(in_acme)
    client.raise_request_exception = False
    response = client.get("/")
    assert response.status_code == 500
    assert "Something went wrong" in text_of(response)


@pytest.mark.parametrize("host", ["acme.localhost", "localhost"])
def test_debug_error_pages_are_rendered(
    in_acme: Tenant, settings: Settings, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    settings.DEBUG = True
    monkeypatch.setattr("config.views._render_home", lambda request: 1 / 0)
    client = Client(headers={"host": host}, raise_request_exception=False)
    assert client.get("/nowhere/").status_code == 404
    if host == "acme.localhost":
        assert "ZeroDivisionError" in text_of(client.get("/"))


# The administration pages, as the first administrator of an organisation has them: staff, but no superuser.


@pytest.fixture
def at_admins(in_acme: Tenant, make_user: MakeUser, browser_of: BrowserOf, settings: Settings) -> Client:
    group = Group.objects.create(name="Administrators")
    for name in settings.TENANTS_ADMIN_PERMISSIONS:
        app, codename = name.split(".")
        group.permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
    admin = make_user("ada", is_staff=True)
    admin.groups.add(group)
    return browser_of(in_acme, admin)


def test_admin_manages_users_by_email_address(at_admins: Client, bob: User) -> None:
    assert bob.email in text_of(at_admins.get("/admin/people/user/?q=BOB"))
    new = {"email": "new@x.example", "name": "New", "usable_password": "true", "password1": PASSWORD}
    response = at_admins.post("/admin/people/user/add/", {**new, "password2": PASSWORD}, follow=True)
    assert "was added successfully" in text_of(response)
    twice = at_admins.post("/admin/people/user/add/", {**new, "email": "NEW@X.example", "password2": PASSWORD})
    assert "person with this e-mail address already" in text_of(twice)


def test_admin_of_tenant_has_no_tenant_model(at_admins: Client) -> None:
    assert at_admins.get("/admin/tenants/tenant/").status_code == 404
    assert "tenants" not in text_of(at_admins.get("/admin/"))


def test_admin_user_form_ignores_superuser_and_permissions(at_admins: Client, bob: User) -> None:
    form = {"email": bob.email, "name": "Bob", "is_active": "on", "is_superuser": "on", "user_permissions": ["1"]}
    assert at_admins.post(f"/admin/people/user/{bob.pk}/change/", form).status_code == 302
    bob.refresh_from_db()
    assert bob.name == "Bob"
    assert not bob.is_superuser
    assert not bob.user_permissions.exists()


@pytest.mark.parametrize("path", ["password", "delete"])
def test_admin_refuses_password_change_and_deletion_of_superuser(
    at_admins: Client, make_user: MakeUser, path: str
) -> None:
    root = make_user("root", is_superuser=True)
    response = at_admins.post(f"/admin/people/user/{root.pk}/{path}/", {"password1": PASSWORD, "password2": PASSWORD})
    assert response.status_code == 403
    at_admins.post("/admin/people/user/", {"action": "delete_selected", "_selected_action": [root.pk], "post": "yes"})
    assert User.objects.filter(pk=root.pk).exists()


def test_admin_without_staff_status_redirects_to_login(at_bobs: Client) -> None:
    assert at_bobs.get("/admin/")["Location"].startswith("/admin/login/")
