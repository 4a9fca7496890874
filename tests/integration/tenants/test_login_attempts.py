"""Guessing passwords is slow: each account and each address may fail so often, in each organisation for itself."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from django.db import connections
from django.test import Client, RequestFactory
from django.utils import timezone
from django_tenants.utils import schema_context
from pytest_django.fixtures import Settings

from tenants.models import Tenant
from tenants.people.attempts import Attempt, TooManyAttempts
from tenants.people.models import LoginAttempt, User
from tests.factories import BrowserOf, MakeUser
from tests.integration.tenants.conftest import PASSWORD

TOO_MANY = "Too many login attempts. Try again in 15 minutes."


@pytest.fixture(autouse=True)
def limits(settings: Settings) -> None:
    settings.LOGIN_FAILURES_PER_ACCOUNT, settings.LOGIN_FAILURES_PER_ADDRESS = 3, 5


@pytest.fixture
def bob(in_acme: Tenant, make_user: MakeUser) -> User:
    return make_user("bob", password=PASSWORD, is_staff=True)


def log_in(browser: Client, email: str, password: str = PASSWORD, *, at: str = "/login/", by: str = "192.0.2.1") -> Any:
    return browser.post(at, {"username": email, "password": password}, REMOTE_ADDR=by)


def fail(browser: Client, email: str, times: int, **options: Any) -> None:
    for _ in range(times):
        response = log_in(browser, email, "wrong", **options)
        assert response.status_code == 200
        assert "Too many" not in response.text


def test_login_after_too_many_failures_refuses_correct_password(at_acme: Client, bob: User) -> None:
    fail(at_acme, bob.email, times=3)
    response = log_in(at_acme, bob.email)
    assert response.status_code == 429
    assert 890 < int(response["Retry-After"]) <= 900
    assert TOO_MANY in response.text
    assert f'value="{bob.email}"' in response.text


def test_login_is_allowed_after_waiting_period(at_acme: Client, bob: User) -> None:
    fail(at_acme, bob.email, times=3)
    LoginAttempt.objects.update(at=timezone.now() - timedelta(minutes=14))
    assert int(log_in(at_acme, bob.email)["Retry-After"]) <= 60
    LoginAttempt.objects.update(at=timezone.now() - timedelta(minutes=15))
    assert log_in(at_acme, bob.email).status_code == 302


def test_refused_login_does_not_extend_waiting_period(at_acme: Client, bob: User) -> None:
    fail(at_acme, bob.email, times=3)
    count = LoginAttempt.objects.count()
    assert log_in(at_acme, bob.email, "wrong").status_code == 429
    assert LoginAttempt.objects.count() == count


def test_successful_login_resets_failures_of_account_only(at_acme: Client, bob: User) -> None:
    fail(at_acme, bob.email, times=2)
    assert log_in(at_acme, bob.email).status_code == 302
    at_acme.post("/logout/")
    fail(at_acme, bob.email, times=3)
    assert log_in(at_acme, "someone@acme.example").status_code == 429


def test_failures_count_per_account_for_any_spelling_and_address(at_acme: Client, bob: User) -> None:
    for number, email in enumerate((bob.email, bob.email.upper(), f" {bob.email.title()} ")):
        fail(at_acme, email, times=1, by=f"192.0.2.{number}")
    assert log_in(at_acme, bob.email, by="192.0.2.99").status_code == 429


def test_failures_of_unknown_account_are_limited_identically(at_acme: Client) -> None:
    fail(at_acme, "nobody@acme.example", times=3)
    assert TOO_MANY in log_in(at_acme, "nobody@acme.example").text


@pytest.mark.parametrize(
    ("first", "second"), [("192.0.2.7", "192.0.2.7"), ("2001:db8::1", "2001:db8::ffff:1")], ids=["IPv4", "IPv6"]
)
def test_failures_of_one_address_are_limited_across_accounts(
    at_acme: Client, bob: User, first: str, second: str
) -> None:
    for number in range(5):
        fail(at_acme, f"person{number}@acme.example", times=1, by=first)
    assert log_in(at_acme, bob.email, by=second).status_code == 429
    assert log_in(at_acme, bob.email, by="198.51.100.1").status_code == 302


@pytest.mark.parametrize("address", ["", "unix:", "junk"])
def test_failures_without_address_are_limited_per_account(at_acme: Client, bob: User, address: str) -> None:
    fail(at_acme, bob.email, times=3, by=address)
    assert log_in(at_acme, bob.email, by=address).status_code == 429


def test_failures_are_counted_per_tenant(
    at_acme: Client, globex: Tenant, browser_of: BrowserOf, make_user: MakeUser
) -> None:
    with schema_context("globex"):
        make_user("bob", email="bob@acme.example", password=PASSWORD)
    fail(at_acme, "bob@acme.example", times=3)
    assert log_in(at_acme, "bob@acme.example").status_code == 429
    assert log_in(browser_of(globex), "bob@acme.example").status_code == 302


def test_admin_login_failures_count_towards_limit(at_acme: Client, bob: User) -> None:
    fail(at_acme, bob.email, times=3, at="/admin/login/")
    assert TOO_MANY in log_in(at_acme, bob.email, at="/admin/login/").text
    assert log_in(at_acme, bob.email).status_code == 429


def test_login_attempt_stores_hashes_only(at_acme: Client, bob: User) -> None:
    fail(at_acme, bob.email, times=1)
    kept = set(LoginAttempt.objects.values_list("by", flat=True))
    assert len(kept) == 2
    assert all(len(by) == 64 for by in kept)


def test_expired_login_attempts_are_deleted(at_acme: Client, bob: User) -> None:
    fail(at_acme, bob.email, times=2)
    LoginAttempt.objects.update(at=timezone.now() - timedelta(hours=1))
    fail(at_acme, bob.email, times=1)
    assert LoginAttempt.objects.count() == 2


def test_concurrent_attempts_do_not_exceed_limit(committing: None) -> None:
    start = Barrier(8, timeout=20)

    def attempt(_number: int) -> bool:
        try:
            start.wait()
            with schema_context("acme"):
                Attempt.begin(RequestFactory().post("/login/", REMOTE_ADDR=""), "bob@acme.example")
        except TooManyAttempts:
            return False
        finally:
            connections.close_all()
        return True

    with ThreadPoolExecutor(8) as pool:
        assert 1 <= sum(pool.map(attempt, range(8))) <= 3


def test_login_without_password_does_not_reset_failures(
    acme: Tenant, make_user: MakeUser, browser_of: BrowserOf, settings: Any
) -> None:
    with schema_context("acme"):
        victim = make_user("victim")
    browser, limit = browser_of(acme), settings.LOGIN_FAILURES_PER_ACCOUNT
    for number in range(limit):
        browser.post("/login/", {"username": victim.email, "password": f"guess {number}"})
        browser.post("/login/", {"username": victim.email, "password": ""})
    assert browser.post("/login/", {"username": victim.email, "password": "guess"}).status_code == 429
