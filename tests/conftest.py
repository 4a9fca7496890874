"""Fixtures for all tests: the test organisations and the platform, which are created once, users and messages."""

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
# Tables that migrations fill.
KEPT_TABLES = {"django_migrations", "auth_permission"}


@pytest.fixture(scope="session")
def django_db_setup(django_test_environment: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Create a test database for this process, with the test organisations.

    The fixture of pytest-django with this name creates one only if a test requests `db` by name, and otherwise leaves
    the connection on the real database.
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
    """Allow checks of models without a database: Django 6.1 queries each connection for its version once."""
    with django_db_blocker.unblock():
        assert connection.pg_version


@pytest.fixture(autouse=True)
def _start_in_public() -> Iterator[None]:
    """Reset the schema, the language and the time zone before each test, because middleware leaves them set."""
    _leave_all()
    yield
    _leave_all()


def _leave_all() -> None:
    connection.set_schema_to_public()
    translation.deactivate()
    timezone.deactivate()


@pytest.fixture
def database(request: pytest.FixtureRequest) -> None:
    """Allow database access: in a transaction that is rolled back, or without one for a `committing` test."""
    request.getfixturevalue("committing" if "committing" in request.fixturenames else "db")


@pytest.fixture
def committing(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Allow the test to commit; afterwards empty the schemas of the test organisations and delete broadcasts.

    Django's own flush would empty the public schema, including the organisations, and delete permissions in a tenant.
    """
    with django_db_blocker.unblock():
        yield
        for schema in SCHEMAS:
            _empty_beside_others(schema)
        with schema_context("public"), connection.cursor() as cursor:
            cursor.execute("TRUNCATE broadcasts_broadcast, broadcasts_broadcastrecord CASCADE")


def _empty_beside_others(schema: str) -> None:
    """Empty a schema that another process may be reading: a deadlock is an error in one of them."""
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
    """Run the test in acme."""
    with schema_context("acme"):
        yield acme


@pytest.fixture
def make_user(database: None) -> MakeUser:
    """Return a function that creates users in the current schema."""
    return factories.make_user


@pytest.fixture
def make_message(database: None) -> MakeMessage:
    """Return a function that creates messages in the current schema."""
    return factories.make_message


@pytest.fixture
def browser_of() -> BrowserOf:
    """Return a function that creates a test client for one organisation, logged in as `user` if one is given."""
    return factories.make_browser


@pytest.fixture
def alice(acme: Tenant) -> User:
    """A user of acme without permissions."""
    with schema_context("acme"):
        return factories.make_user("alice")


@pytest.fixture
def bob(acme: Tenant) -> User:
    """Another user of acme without permissions."""
    with schema_context("acme"):
        return factories.make_user("bob")


@pytest.fixture
def root(acme: Tenant) -> User:
    """A superuser of acme."""
    with schema_context("acme"):
        return factories.make_user("root", is_superuser=True, is_staff=True)


@pytest.fixture
def operator(platform: Tenant) -> User:
    """A superuser of the platform."""
    with schema_context("platform"):
        return factories.make_user("olga", is_superuser=True)


@pytest.fixture
def people(in_acme: Tenant) -> dict[str, User]:
    """Three users of acme without permissions, by name; the test runs in acme."""
    return {name: factories.make_user(name) for name in ("alice", "bob", "carol")}


@pytest.fixture
def sales(people: dict[str, User]) -> Group:
    """The group Sales, with the members Bob and Carol."""
    return factories.make_group("Sales", people["bob"], people["carol"])


@pytest.fixture
def message(alice: User, make_message: MakeMessage) -> Message:
    """An unread message to Alice."""
    with schema_context("acme"):
        return make_message(alice)


@pytest.fixture
def our_queries() -> Callable[[], Any]:
    """Record the queries in a block, except for `SET search_path`, sessions, and the lookups of tenant and user."""
    return count_our_queries


def queries_of(act: Callable[[], Any]) -> int:
    """Return the number of queries of a function."""
    with CaptureQueriesContext(connection) as captured:
        act()
    return len(captured)


@contextmanager
def count_our_queries() -> Iterator[list[str]]:
    ours: list[str] = []
    with CaptureQueriesContext(connection) as captured:
        yield ours
    ours += [query["sql"] for query in captured if "messages_extends" in query["sql"]]
