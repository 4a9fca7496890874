"""Which organisation a request is for."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from tenants.models import Domain, Tenant
from tests.factories import BrowserOf

pytestmark = pytest.mark.django_db


@pytest.fixture
def no_database() -> Iterator[None]:
    def refuse(*_arguments: Any) -> None:
        raise OperationalError("the database is away, and this is a secret")

    with connection.execute_wrapper(refuse):
        yield


@pytest.mark.usefixtures("acme")
@pytest.mark.parametrize("host", ["acme.localhost", "ACME.localhost", "acme.localhost:8123", "Acme.LocalHost.:99999"])
def test_middleware_finds_tenant_by_host_name_in_any_spelling(client: Client, host: str) -> None:
    response = client.get("/", headers={"host": host})
    assert response.status_code == 200
    assert "<title>Home · Acme</title>" in response.content.decode()


@pytest.mark.usefixtures("acme")
@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize(
    "host",
    [
        *("nope.localhost", "x.acme.localhost", "public.localhost", "example.com", "127.0.0.1", "[::1]", "[::1]:8000"),
        *(
            "acme.localhost:abc",
            ":80",
            "a b",
            "..",
            ".",
            "-",
            "%00",
            "'",
            "<b>",
            "",
            "acme_localhost",
            "acmé.localhost",
        ),
        *("acme.localhost@evil.example", "acme.localhost/..", "acme..localhost", "a" * 300 + ".localhost"),
    ],
)
def test_middleware_returns_404_for_unknown_host_name(
    client: Client, settings: Settings, host: str, debug: bool
) -> None:
    settings.DEBUG = debug
    response = client.get("/", headers={"host": host})
    assert response.status_code == 404
    assert "There is no organisation at this address" in response.content.decode()
    assert "<b>" not in response.content.decode()
    assert "Acme" not in response.content.decode()


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "www.localhost"])
def test_base_domain_serves_public_page_without_queries(client: Client, host: str) -> None:
    with CaptureQueriesContext(connection) as queries:
        response = client.get("/", headers={"host": host})
    assert "Messages that stay where they belong" in response.content.decode()
    assert [query["sql"] for query in queries] == []


@pytest.mark.usefixtures("acme")
def test_public_page_ignores_cookies_of_tenants(client: Client) -> None:
    for name in ("sessionid", "messages", "csrftoken"):
        client.cookies[name] = "a-b.c:1:2"
    response = client.get("/", headers={"host": "localhost"})
    assert response.status_code == 200
    assert not {"sessionid", "messages"} & set(response.cookies)


@pytest.mark.parametrize("path", ["/login/", "/admin/", "/people/", "/messages/mark_read/all/"])
def test_base_domain_has_no_login_pages(client: Client, path: str) -> None:
    assert client.get(path, headers={"host": "localhost"}).status_code == 404


def test_middleware_finds_tenant_with_one_query(acme: Tenant, browser_of: BrowserOf) -> None:
    # Whether it has all of its tables is asked once by each process.
    browser_of(acme).get("/")
    with CaptureQueriesContext(connection) as queries:
        browser_of(acme).get("/")
    asked = [query["sql"] for query in queries if "SET search_path" not in query["sql"]]
    assert len(asked) == 1
    assert "tenants_domain" in asked[0]


def test_middleware_finds_tenant_by_secondary_host_name(client: Client, acme: Tenant) -> None:
    Domain.objects.create(tenant=acme, domain="acme2.localhost", is_primary=False)
    assert "· Acme</title>" in client.get("/", headers={"host": "acme2.localhost"}).content.decode()


@pytest.mark.usefixtures("acme", "no_database")
def test_middleware_returns_503_without_details_when_database_is_down(client: Client) -> None:
    response = client.get("/", headers={"host": "acme.localhost"})
    assert response.status_code == 503
    assert response["Retry-After"]
    assert "secret" not in response.content.decode()


@pytest.mark.parametrize("host", ["localhost", "acme.localhost", "10.0.0.7:8000", "junk!!", "", "[::1]"])
def test_health_check_accepts_any_host_name(client: Client, host: str) -> None:
    response = client.get("/healthz", headers={"host": host})
    assert (response.status_code, response.content) == (200, b"ok\n")
    assert response["Cache-Control"] == "no-store"


def test_health_check_is_not_redirected_to_https(client: Client, settings: Settings) -> None:
    settings.SECURE_SSL_REDIRECT = True
    assert client.get("/healthz").status_code == 200


def test_health_check_allows_get_and_head_only(client: Client) -> None:
    assert client.head("/healthz").status_code == 200
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert client.generic(method, "/healthz").status_code == 405


def test_health_check_runs_one_query(client: Client) -> None:
    with CaptureQueriesContext(connection) as queries:
        client.get("/healthz")
    assert [query["sql"] for query in queries if "SET search_path" not in query["sql"]] == ["SELECT 1"]


@pytest.mark.usefixtures("no_database")
def test_health_check_returns_503_when_database_is_down(client: Client) -> None:
    response = client.get("/healthz")
    assert (response.status_code, response.content) == (503, b"unavailable\n")
