"""Organisations as folders of one host: one browser is logged in at several, and links stay inside."""

import copy
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from django_tenants.utils import get_tenant_model, schema_context

from messages_extends.api import ALL_TENANTS, broadcast, send
from messages_extends.broadcasts.models import BroadcastCount
from messages_extends.links import own_namespace
from messages_extends.maintenance.schema_names import rename_schema

pytestmark = pytest.mark.django_db


@pytest.fixture
def people() -> dict[str, User]:
    made = {}
    for schema in ("t1", "t2"):
        with schema_context(schema):
            made[schema] = User.objects.create_superuser(f"at_{schema}", password="correct horse")
    return made


@pytest.fixture
def browser(people: dict[str, User]) -> Client:
    """A browser in which somebody has logged in at both, one after the other."""
    browser = Client(headers={"host": "example.com"})
    for schema, user in people.items():
        log_in(browser, schema, user)
    return browser


def log_in(browser: Client, schema: str, user: User) -> None:
    form = {"username": user.username, "password": "correct horse"}
    assert browser.post(f"/clients/{schema}/admin/login/", form).status_code == 302


def page(browser: Client, schema: str) -> str:
    return browser.get(f"/clients/{schema}/").content.decode()


def test_checks_report_nothing() -> None:
    call_command("check", databases=["default"], fail_level="WARNING")


def test_login_at_second_tenant_keeps_login_at_first_tenant(browser: Client) -> None:
    for _round in range(2):
        for schema in ("t1", "t2"):
            assert f"at_{schema}" in page(browser, schema)
    assert browser.get("/").status_code == 200
    assert "at_t1" in page(browser, "t1")


def test_session_cookie_path_is_folder_of_tenant(browser: Client) -> None:
    paths = {name: cookie["path"] for name, cookie in browser.cookies.items() if name.startswith("sessionid")}
    assert paths == {"sessionid_t1": "/clients/t1/", "sessionid_t2": "/clients/t2/"}


def test_session_cookie_renamed_for_other_tenant_is_refused(browser: Client) -> None:
    thief = Client(headers={"host": "example.com"})
    for name in ("sessionid_t2", "sessionid"):
        thief.cookies = copy.deepcopy(browser.cookies)
        thief.cookies[name] = browser.cookies["sessionid_t1"].value
        if name == "sessionid":
            del thief.cookies["sessionid_t2"]
        assert "at_" not in page(thief, "t2")
        assert "at_t1" in page(thief, "t1")


def test_logout_of_one_tenant_keeps_login_at_other_tenant(browser: Client) -> None:
    browser.post("/clients/t1/admin/logout/")
    assert "at_t1" not in page(browser, "t1")
    assert "at_t2" in page(browser, "t2")


def test_django_test_client_logs_in_at_current_tenant(people: dict[str, User]) -> None:
    browser = Client(headers={"host": "example.com"})
    with schema_context("t1"):
        browser.force_login(people["t1"])
    assert "at_t1" in page(browser, "t1")
    assert "at_" not in page(browser, "t2")


def test_session_cookie_with_host_prefix_keeps_root_path(people: dict[str, User], settings: Any) -> None:
    settings.SESSION_COOKIE_NAME = "__Host-sessionid"
    browser = Client(headers={"host": "example.com"})
    log_in(browser, "t1", people["t1"])
    assert browser.cookies["__Host-sessionid_t1"]["path"] == "/"
    assert "at_t1" in page(browser, "t1")


@pytest.mark.parametrize(
    ("url", "link"),
    [
        ("/orders/7/", "/clients/t1/orders/7/"),
        ("/clients/t1/orders/7/", "/clients/t1/orders/7/"),
        ("/static/manual.pdf", "/static/manual.pdf"),
        ("https://status.example/", "https://status.example/"),
    ],
)
def test_message_link_stays_in_folder_of_tenant(
    browser: Client, people: dict[str, User], settings: Any, url: str, link: str
) -> None:
    settings.STATIC_URL = "/static/"
    with schema_context("t1"):
        send(people["t1"], "Your order", url=url)
    for address in ("", "messages/", "messages/panel/"):
        assert f'href="{link}"' in browser.get(f"/clients/t1/{address}").content.decode()


def test_broadcast_link_leads_to_folder_of_reader(browser: Client) -> None:
    with schema_context("public"):
        broadcast("New reports", to=ALL_TENANTS, url="/reports/")
    for schema in ("t1", "t2"):
        assert f'href="/clients/{schema}/reports/"' in page(browser, schema)


def test_package_pages_link_within_folder_of_tenant(browser: Client, people: dict[str, User]) -> None:
    inbox = browser.get("/clients/t1/messages/").content.decode()
    assert 'href="/clients/t1/"' in inbox
    assert 'href="/"' not in inbox
    assert browser.post("/clients/t1/messages/mark_read/all/")["Location"] == "/clients/t1/"
    with schema_context("t1"):
        send(people["t1"], "Hello")
    assert 'close-href="/clients/t1/messages/mark_read/' in page(browser, "t1")


def test_own_namespace_cache_stays_bounded(browser: Client) -> None:
    for _request in range(40):
        page(browser, "t1")
    assert own_namespace.cache_info().currsize <= 32


def test_rename_schema_keeps_sessions_and_broadcast_counts(browser: Client) -> None:
    with schema_context("public"):
        published = broadcast("New reports", to=ALL_TENANTS)
        BroadcastCount.objects.create(
            broadcast=published, schema_name="t1", revision=1, readers=1, people=1, counted_at=published.created
        )
    rename_schema(get_tenant_model().objects.get(schema_name="t1"), "renamed")
    assert "at_t1" in page(browser, "t1")
    assert "at_t2" in page(browser, "t2")
    assert BroadcastCount.objects.get().schema_name == "renamed"


def test_rename_schema_with_django_sessions_leaves_sessions_unchanged(settings: Any) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"
    rename_schema(get_tenant_model().objects.get(schema_name="t2"), "renamed")
    assert get_tenant_model().objects.filter(schema_name="renamed").exists()
