"""People belong to one organisation: what proves who they are is worth nothing in another."""

import asyncio
from typing import Any

import pytest
from django.contrib.auth import HASH_SESSION_KEY, authenticate
from django.contrib.auth.tokens import default_token_generator
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django_tenants.utils import schema_context
from pytest_django.fixtures import Settings

from tenants.models import Tenant
from tenants.people.models import Invitation, User
from tenants.people.tokens import invitation_token, password_link_arguments, password_tokens
from tests.factories import BrowserOf, MakeUser
from tests.integration.tenants.conftest import PASSWORD

pytestmark = pytest.mark.django_db


@pytest.fixture
def twins(acme: Tenant, globex: Tenant, make_user: MakeUser) -> tuple[User, User]:
    """One person in each of two organisations, alike in everything: primary key, address and password hash."""
    fields: dict[str, Any] = {"pk": 7, "email": "twin@both.example", "password": PASSWORD}
    with schema_context("acme"):
        here = make_user("twin", **fields)
    with schema_context("globex"):
        there = make_user("twin", **fields)
        User.objects.update(password=here.password, date_joined=here.date_joined)
        there = User.objects.get()
    assert (here.pk, here.email, here.password) == (there.pk, there.email, there.password)
    return here, there


def is_logged_in(client: Client) -> bool:
    return "Hello, twin" in client.get("/").content.decode()


def test_email_address_is_unique_in_any_case(in_acme: Tenant, make_user: MakeUser) -> None:
    make_user("ann", email="Ann@X.example")
    with pytest.raises(IntegrityError), transaction.atomic():
        make_user("ann2", email="aNN@x.example")
    with pytest.raises(ValidationError, match="person with this e-mail"):
        User(email="ANN@x.example", password="x").full_clean()


@pytest.mark.parametrize("typed", ["Ann@X.example", "ann@x.example", "ANN@X.EXAMPLE"])
def test_authenticate_accepts_email_address_in_any_case(in_acme: Tenant, make_user: MakeUser, typed: str) -> None:
    ann = make_user("ann", email="Ann@X.example", password=PASSWORD)
    assert authenticate(username=typed, password=PASSWORD) == ann
    assert authenticate(username=typed, password="wrong") is None


def test_with_email_lookup_uses_index(in_acme: Tenant) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
    assert "people_user_email_any_case" in User.objects.with_email("ann@x.example").explain()


def test_user_remembers_schema_of_origin(in_acme: Tenant, make_user: MakeUser) -> None:
    assert User().schema == ""
    assert make_user("ann").schema == "acme"
    loaded = User.objects.get()
    with schema_context("globex"):
        assert loaded.schema == "acme"


def test_session_auth_hash_differs_between_tenants(twins: tuple[User, User]) -> None:
    here, there = twins
    assert here.get_session_auth_hash() != there.get_session_auth_hash()


def test_session_auth_hash_is_same_on_event_loop(in_acme: Tenant, make_user: MakeUser) -> None:
    user = make_user("ann")

    async def hash_on_the_loop() -> str:
        assert connection.schema_name == "public"
        return user.get_session_auth_hash()

    assert asyncio.run(hash_on_the_loop()) == user.get_session_auth_hash()


def test_session_auth_fallback_hash_contains_hash_of_old_secret_key(
    in_acme: Tenant, make_user: MakeUser, settings: Settings
) -> None:
    user = make_user("ann")
    before = user.get_session_auth_hash()
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another" * 10
    assert before != user.get_session_auth_hash()
    assert before in list(user.get_session_auth_fallback_hash())


# The engine of the reference SaaS binds sessions itself; with the other the hash stands alone.
@pytest.mark.usefixtures("twins")
@pytest.mark.parametrize(
    "engine", ["messages_extends.tenancy.sessions", "django.contrib.sessions.backends.signed_cookies"]
)
def test_session_cookie_is_invalid_at_other_tenant(
    acme: Tenant, globex: Tenant, browser_of: BrowserOf, settings: Settings, engine: str
) -> None:
    settings.SESSION_ENGINE = engine
    here, elsewhere = browser_of(acme), browser_of(globex)
    here.post("/login/", {"username": "twin@both.example", "password": PASSWORD})
    elsewhere.cookies = here.cookies
    assert is_logged_in(here)
    assert not is_logged_in(elsewhere)


def test_session_with_auth_hash_of_other_tenant_is_anonymous(
    acme: Tenant, globex: Tenant, twins: tuple[User, User], browser_of: BrowserOf
) -> None:
    here, there = twins
    client = browser_of(globex, there)
    assert is_logged_in(client)
    with schema_context("globex"):
        session = client.session
        session[HASH_SESSION_KEY] = here.get_session_auth_hash()
        session.save()
    assert not is_logged_in(client)


def test_password_token_is_invalid_at_other_tenant(
    acme: Tenant, globex: Tenant, twins: tuple[User, User], browser_of: BrowserOf
) -> None:
    here, there = twins
    # The premise: Django's own tokens would be good in both.
    assert default_token_generator.check_token(there, default_token_generator.make_token(here))
    assert password_tokens.check_token(here, password_tokens.make_token(here))
    assert not password_tokens.check_token(there, password_tokens.make_token(here))
    arguments = password_link_arguments(here)
    path = f"/password/set/{arguments['uidb64']}/{arguments['token']}/"
    assert "Set your password" in browser_of(acme).get(path, follow=True).content.decode()
    assert "This link is not valid" in browser_of(globex).get(path, follow=True).content.decode()


def test_invitation_token_is_invalid_at_other_tenant(acme: Tenant, globex: Tenant, browser_of: BrowserOf) -> None:
    for schema in ("acme", "globex"):
        with schema_context(schema):
            invitation = Invitation.objects.create(pk=5, email="new@both.example", nonce="the same")
    token = invitation_token(invitation, "acme")
    assert browser_of(acme).get(f"/join/{token}/").status_code == 200
    assert browser_of(globex).get(f"/join/{token}/").status_code == 404
    joined = {"name": "New", "password1": PASSWORD, "password2": PASSWORD}
    assert browser_of(globex).post(f"/join/{token}/", joined).status_code == 404
    with schema_context("globex"):
        assert not User.objects.exists()
