"""A database that fails in the middle of a request: a clear 503, wherever it fails, and the next request succeeds."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from asgiref.sync import async_to_sync
from django.core.signals import got_request_exception
from django.db import InterfaceError, OperationalError, ProgrammingError, connection
from django.test import Client
from django.test.client import AsyncClient
from django_tenants.utils import get_tenant_domain_model, schema_context
from pytest_django.fixtures import Settings

from messages_extends.models import Message
from tenants.database import is_passing
from tenants.models import Tenant
from tests.factories import BrowserOf, MakeUser

pytestmark = pytest.mark.django_db

SECRET = "server at 10.1.2.3 closed the connection unexpectedly"


@contextmanager
def failing_at(words: str, error: Exception) -> Iterator[None]:
    """Have statements with these words in them fail."""

    def refuse(execute: Callable[..., Any], sql: Any, *arguments: Any) -> Any:
        if words in str(sql):
            raise error
        return execute(sql, *arguments)

    with connection.execute_wrapper(refuse):
        yield


@pytest.fixture
def browser(acme: Tenant, make_user: MakeUser, browser_of: BrowserOf) -> Client:
    with schema_context("acme"):
        user = make_user()
        Message.objects.create(user=user, message="Hello", level=19)
    client = browser_of(acme, user)
    client.raise_request_exception = False
    return client


# The look-up of the organisation, of its migrations, of the session, of the person, of what the page shows.
@pytest.mark.parametrize("words", ["tenants_domain", "django_session", "people_user", "messages_extends_message"])
def test_page_returns_503_without_details_when_database_fails(browser: Client, words: str) -> None:
    with failing_at(words, OperationalError(SECRET)):
        response = browser.get("/messages/")
    assert (response.status_code, response["Retry-After"], response["Cache-Control"]) == (503, "60", "no-store")
    text = response.content.decode()
    assert "Try again in a minute" in text
    assert SECRET not in text
    assert browser.get("/messages/").status_code == 200


def test_page_returns_503_when_session_cannot_be_saved(browser: Client, settings: Settings) -> None:
    settings.SESSION_SAVE_EVERY_REQUEST = True
    with failing_at('UPDATE "django_session"', OperationalError(SECRET)):
        assert browser.get("/messages/").status_code == 503


def test_page_returns_400_when_session_was_deleted_meanwhile(browser: Client, settings: Settings) -> None:
    settings.SESSION_SAVE_EVERY_REQUEST = True

    def log_out(execute: Callable[..., Any], sql: Any, *arguments: Any) -> Any:
        if 'UPDATE "django_session"' in str(sql):
            with connection.cursor() as cursor:
                cursor.cursor.execute("DELETE FROM django_session")
        return execute(sql, *arguments)

    with connection.execute_wrapper(log_out):
        assert browser.get("/messages/").status_code == 400


def test_page_returns_500_for_programming_error(browser: Client) -> None:
    with failing_at("messages_extends_message", ProgrammingError("no such column")):
        response = browser.get("/messages/")
    assert response.status_code == 500
    assert "Something went wrong" in response.content.decode()


def test_database_failure_sends_got_request_exception_signal(browser: Client) -> None:
    seen = []

    def note(**_about: Any) -> None:
        seen.append(1)

    got_request_exception.connect(note)
    try:
        with failing_at("messages_extends_message", OperationalError(SECRET)):
            browser.get("/messages/")
    finally:
        got_request_exception.disconnect(note)
    assert seen


def test_page_returns_503_under_asgi_when_database_fails(browser: Client, acme: Tenant) -> None:
    """Django makes the page in another thread then, which has to know of the error."""
    # Django's async test client cannot ask for another host than this.
    get_tenant_domain_model().objects.create(tenant=acme, domain="testserver", is_primary=False)
    client = AsyncClient(raise_request_exception=False)
    client.cookies = browser.cookies
    with failing_at("messages_extends_message", OperationalError(SECRET)):
        assert async_to_sync(client.get)("/messages/").status_code == 503


def caused_by(error: Exception) -> Exception:
    wrapped = ProgrammingError("wrapped")
    wrapped.__cause__ = error
    return wrapped


@pytest.mark.parametrize(
    ("error", "passing"),
    [
        (OperationalError(), True),
        (InterfaceError(), True),
        (caused_by(psycopg.errors.ReadOnlySqlTransaction()), True),
        (caused_by(psycopg.errors.IdleInTransactionSessionTimeout()), True),
        (caused_by(psycopg.errors.UndefinedTable()), False),
        (ValueError(), False),
        (None, False),
    ],
)
def test_is_passing_recognises_transient_errors(error: Exception | None, passing: bool) -> None:
    assert is_passing(error) is passing
