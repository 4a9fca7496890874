"""Fixtures for every test: two organisations and the platform's own, made once; people and messages on demand."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone, translation
from django_tenants.utils import get_tenant_domain_model, get_tenant_model, schema_context
from pytest_django import DjangoDbBlocker

from messages_extends.models import Message
from tenants.models import Tenant
from tenants.people.models import User
from tests import factories
from tests.databases import copied_database
from tests.factories import BrowserOf, MakeMessage, MakeUser

SCHEMAS = ("acme", "globex", "platform")
# What a migration put into a schema, not a test.
KEPT_TABLES = {"django_migrations", "auth_permission"}


@pytest.fixture(scope="session")
def django_db_setup(django_test_environment: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Give this process a test database of its own, with the test organisations in it.

    Not by pytest-django's fixture of this name: that makes one only where a test asks for `db` by name, and
    otherwise leaves the connection on the real database.
    """
    with ExitStack() as database:
        with django_db_blocker.unblock():
            database.enter_context(copied_database(_make_tenants))
        yield
        with django_db_blocker.unblock():
            database.close()


def _make_tenants() -> None:
    for schema in SCHEMAS:
        _make_tenant(schema)


def _make_tenant(schema: str) -> None:
    tenant = get_tenant_model()(schema_name=schema, name=schema.title(), ready_at=timezone.now())
    tenant.save()
    tenant.create_schema(check_if_exists=True, verbosity=0)
    get_tenant_domain_model().objects.create(tenant=tenant, domain=f"{schema}.localhost")


@pytest.fixture
def known_version(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> None:
    """Let checks of models run without a database: from Django 6.1 they ask each connection once for its version."""
    with django_db_blocker.unblock():
        assert connection.pg_version


@pytest.fixture(autouse=True)
def _start_in_public() -> Iterator[None]:
    """Leave no test in the schema, language or time zone that the one before had entered: middlewares stay in them."""
    _leave_all()
    yield
    _leave_all()


def _leave_all() -> None:
    connection.set_schema_to_public()
    translation.deactivate()
    timezone.deactivate()


@pytest.fixture
def database(request: pytest.FixtureRequest) -> None:
    """Open the database: within a transaction that is rolled back, or, for a `committing` test, without one."""
    request.getfixturevalue("committing" if "committing" in request.fixturenames else "db")


@pytest.fixture
def committing(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Let the test commit; afterwards every schema of an organisation, and what it broadcast, is as when it was made.

    Django's own flush would empty public, organisations included, and in a tenant take our permissions.
    """
    with django_db_blocker.unblock():
        yield
        for schema in SCHEMAS:
            _empty_beside_others(schema)
        with schema_context("public"), connection.cursor() as cursor:
            cursor.execute("TRUNCATE broadcasts_broadcast, broadcasts_broadcastrecord CASCADE")


def _empty_beside_others(schema: str) -> None:
    """Empty a schema that another process may be reading: of two who wait for each other, the database refuses one."""
    for attempt in range(5):
        try:
            _empty(schema)
        except OperationalError:
            if attempt == 4:
                raise
        else:
            break


def _empty(schema: str) -> None:
    with schema_context(schema), connection.cursor() as cursor:
        tables = set(connection.introspection.table_names(cursor)) - KEPT_TABLES
        names = ", ".join(f'"{schema}"."{table}"' for table in sorted(tables))
        cursor.execute(f"TRUNCATE {names} RESTART IDENTITY CASCADE")


@pytest.fixture
def acme(database: None) -> Tenant:
    return Tenant.objects.get(schema_name="acme")


@pytest.fixture
def globex(database: None) -> Tenant:
    return Tenant.objects.get(schema_name="globex")


@pytest.fixture
def platform(database: None) -> Tenant:
    """The organisation of the platform's own staff."""
    return Tenant.objects.get(schema_name="platform")


@pytest.fixture
def in_acme(acme: Tenant) -> Iterator[Tenant]:
    """Run the test inside acme."""
    with schema_context("acme"):
        yield acme


@pytest.fixture
def make_user(database: None) -> MakeUser:
    """Make people in the schema that is current then."""
    return factories.make_user


@pytest.fixture
def make_message(database: None) -> MakeMessage:
    """Make messages in the schema that is current then."""
    return factories.make_message


@pytest.fixture
def browser_of() -> BrowserOf:
    """Make a test client that talks to one organisation, logged in as `user` if one is given."""
    return factories.make_browser


@pytest.fixture
def alice(acme: Tenant) -> User:
    """Somebody of acme who may write to nobody."""
    with schema_context("acme"):
        return factories.make_user("alice")


@pytest.fixture
def bob(acme: Tenant) -> User:
    """Somebody else of acme."""
    with schema_context("acme"):
        return factories.make_user("bob")


@pytest.fixture
def root(acme: Tenant) -> User:
    """Somebody who may do everything in acme."""
    with schema_context("acme"):
        return factories.make_user("root", is_superuser=True, is_staff=True)


@pytest.fixture
def operator(platform: Tenant) -> User:
    """Somebody who may do everything at the platform."""
    with schema_context("platform"):
        return factories.make_user("olga", is_superuser=True)


@pytest.fixture
def people(in_acme: Tenant) -> dict[str, User]:
    """Three people of acme by their names, who may write to nobody; the test runs inside acme."""
    return {name: factories.make_user(name) for name in ("alice", "bob", "carol")}


@pytest.fixture
def sales(people: dict[str, User]) -> Group:
    """The group Sales, which is Bob and Carol."""
    return factories.make_group("Sales", people["bob"], people["carol"])


@pytest.fixture
def message(alice: User, make_message: MakeMessage) -> Message:
    """An unread message to Alice."""
    with schema_context("acme"):
        return make_message(alice)


@pytest.fixture
def our_queries() -> Callable[[], Any]:
    """Count the queries of ours in a block: without `SET search_path`, sessions and the look-ups of tenant and user."""
    return count_our_queries


def queries_of(act: Callable[[], Any]) -> int:
    """Return how many queries a function makes."""
    with CaptureQueriesContext(connection) as captured:
        act()
    return len(captured)


@contextmanager
def count_our_queries() -> Iterator[list[str]]:
    ours: list[str] = []
    with CaptureQueriesContext(connection) as captured:
        yield ours
    ours += [query["sql"] for query in captured if "messages_extends" in query["sql"]]
