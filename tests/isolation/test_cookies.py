"""Fact 8: cookies of one organisation at another, as a shared cookie domain or a thief would bring them there.

The other organisation is the worst there can be: a clone, with the same ids, password hashes and session rows.
"""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import connection
from django.test import Client, override_settings

from messages_extends.constants import SUCCESS
from tenants.models import Tenant
from tests.factories import BrowserOf, MakeUser

PASSWORD = "md5$the same salt$the same digest"
EMAIL = "alice@clones.example"


@pytest.fixture(autouse=True)
def _own_page() -> Iterator[None]:
    with override_settings(ROOT_URLCONF="tests.isolation.urls"):
        yield


@pytest.fixture
def alice(in_acme: Tenant, make_user: MakeUser) -> Any:
    return make_user(pk=1, email=EMAIL, password=None)


def clone_to_globex() -> None:
    """Copy acme's people and sessions, as cloning the schema does."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE acme.people_user SET password = %s", [PASSWORD])
        for table in ("people_user", "django_session"):
            cursor.execute(f"INSERT INTO globex.{table} SELECT * FROM acme.{table}")


@pytest.fixture
def visitor(acme: Tenant, globex: Tenant, alice: Any, browser_of: BrowserOf) -> Client:
    """A browser at globex with the cookies of somebody logged in at acme, whose row and session were cloned."""
    alice.password = PASSWORD
    alice.save()
    at_acme, at_globex = browser_of(acme, alice), browser_of(globex)
    assert EMAIL in page(at_acme)
    clone_to_globex()
    at_globex.cookies = copy.deepcopy(at_acme.cookies)
    return at_globex


def page(browser: Client) -> str:
    return browser.get("/").content.decode()


@pytest.fixture
def unbound_users(monkeypatch: pytest.MonkeyPatch, alice: Any) -> None:
    """Take the schema out of the users' session hash, as it is with Django's own users."""
    own, plain = type(alice), AbstractBaseUser
    monkeypatch.setattr(own, "_get_session_auth_hash", plain._get_session_auth_hash)


@pytest.fixture
def unbound_sessions() -> Iterator[None]:
    with override_settings(SESSION_ENGINE="django.contrib.sessions.backends.db"):
        yield


@pytest.mark.usefixtures("unbound_users", "unbound_sessions")
def test_session_cookie_without_binding_logs_in_at_cloned_tenant(visitor: Client) -> None:
    assert EMAIL in page(visitor)


@pytest.mark.usefixtures("unbound_users")
def test_session_engine_alone_refuses_session_cookie_at_cloned_tenant(visitor: Client) -> None:
    assert EMAIL not in page(visitor)


@pytest.mark.usefixtures("unbound_sessions")
def test_user_session_hash_alone_refuses_session_cookie_at_cloned_tenant(visitor: Client) -> None:
    assert EMAIL not in page(visitor)


def test_session_survives_use_of_its_cookie_at_other_tenant(
    visitor: Client, acme: Tenant, browser_of: BrowserOf
) -> None:
    at_home = browser_of(acme)
    at_home.cookies = copy.deepcopy(visitor.cookies)
    assert EMAIL not in page(visitor)
    assert EMAIL in page(at_home)


# The messages cookie, in a jar that both host names read and write ----------------------------------------------

DJANGOS = "django.contrib.messages.storage.fallback.FallbackStorage"


def shared_jar(browser_of: BrowserOf, *tenants: Any) -> list[Client]:
    browsers = [browser_of(tenant) for tenant in tenants]
    for browser in browsers[1:]:
        browser.cookies = browsers[0].cookies
    return browsers


def add(browser: Client, text: str) -> None:
    assert browser.post("/", {"level": SUCCESS, "text": text}).status_code == 302


def test_django_storage_shows_messages_cookie_at_other_tenant(
    acme: Tenant, globex: Tenant, browser_of: BrowserOf
) -> None:
    with override_settings(MESSAGE_STORAGE=DJANGOS):
        at_acme, at_globex = shared_jar(browser_of, acme, globex)
        add(at_acme, "saved at acme")
        assert "saved at acme" in page(at_globex)


def test_messages_cookie_is_neither_shown_nor_deleted_at_other_tenant(
    acme: Tenant, globex: Tenant, browser_of: BrowserOf
) -> None:
    at_acme, at_globex = shared_jar(browser_of, acme, globex)
    add(at_acme, "saved at acme")
    add(at_globex, "saved at globex")
    shown = page(at_globex)
    assert "saved at globex" in shown
    assert "saved at acme" not in shown
    assert "saved at acme" in page(at_acme)


def test_renamed_messages_cookie_is_not_read_at_other_tenant(
    acme: Tenant, globex: Tenant, browser_of: BrowserOf
) -> None:
    at_acme, at_globex = shared_jar(browser_of, acme, globex)
    add(at_acme, "saved at acme")
    at_globex.cookies["messages_globex"] = at_acme.cookies["messages_acme"].value
    assert "saved at acme" not in page(at_globex)
