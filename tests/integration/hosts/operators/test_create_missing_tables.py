"""A product whose lists of apps have changed: operators in public, where there were none before."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.contrib.contenttypes.models import ContentType
from django.core.checks import run_checks
from django.core.management import CommandError, call_command
from django.db import ProgrammingError, connection
from django.test import override_settings
from django_tenants.utils import get_tenant_model, schema_context
from pytest_django import DjangoDbBlocker

from tests.integration.hosts.operators import settings as final

CONTENT_TYPES = "django.contrib.contenttypes"
NO_OPERATORS = {"SHARED_APPS": [app for app in final.SHARED_APPS if app not in final.PEOPLE]}
NO_SHARED_CONTENT_TYPES = {
    "SHARED_APPS": [app for app in NO_OPERATORS["SHARED_APPS"] if app != CONTENT_TYPES],
    "TENANT_APPS": [CONTENT_TYPES, *final.TENANT_APPS],
}
MakeHistory = Callable[..., Any]


@pytest.fixture
def history(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[MakeHistory]:
    """Make a database that was migrated under other lists of apps, and has a tenant."""
    from tests.integration.hosts.conftest import in_database

    @contextmanager
    def made_with(**lists: Any) -> Iterator[None]:
        with in_database(f"{connection.settings_dict['NAME']}_history"):
            with override_settings(**lists):
                call_command("migrate_schemas", shared=True, verbosity=0)
                get_tenant_model()(schema_name="t1").save(verbosity=0)
                with schema_context("t1"):
                    User.objects.create_user("alice")
            yield

    with django_db_blocker.unblock():
        yield made_with


def findings() -> list[str]:
    return [f"{each.id}: {each.msg}" for each in run_checks(databases=["default"]) if each.is_serious()]


def test_create_missing_tables_creates_tables_of_added_shared_apps(history: MakeHistory) -> None:
    with history(**NO_OPERATORS):
        with pytest.raises(ProgrammingError, match="auth_permission"):
            call_command("migrate_schemas", verbosity=0)
        [found] = findings()
        assert "messages_extends.E081" in found
        assert "admin in public, auth in public, sessions in public" in found
        call_command("create_missing_tables", verbosity=0)
        call_command("migrate_schemas", verbosity=0)
        assert findings() == []
        assert not User.objects.exists()
        assert Permission.objects.filter(codename="add_broadcast").count() == 1
        with schema_context("t1"):
            assert User.objects.get().username == "alice"
        call_command("migrate_schemas", check_unapplied=True, verbosity=0)


def test_create_missing_tables_keeps_migration_records(history: MakeHistory) -> None:
    with history(**NO_OPERATORS):
        before = recorded()
        call_command("create_missing_tables", verbosity=0)
        assert recorded() == before
        assert len(before) == len(set(before))


def recorded() -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT app, name FROM public.django_migrations ORDER BY 1, 2")
        return list(cursor.fetchall())


def test_create_missing_tables_dry_run_creates_nothing(history: MakeHistory, capsys: Any) -> None:
    with history(**NO_OPERATORS):
        call_command("create_missing_tables", dry_run=True)
        assert capsys.readouterr().out == "public: would create the tables of admin, auth, sessions\n"
        assert len(findings()) == 1


def test_create_missing_tables_without_missing_tables_creates_nothing(history: MakeHistory, capsys: Any) -> None:
    with history():
        call_command("create_missing_tables")
    assert capsys.readouterr().out == "No tables are missing.\n"


def test_migrating_to_zero_removes_all_tables_and_functions(history: MakeHistory) -> None:
    with history():
        for label in ("messages_extends", "broadcasts"):
            call_command("migrate_schemas", label, "zero", verbosity=0)
        with connection.cursor() as cursor:
            cursor.execute("SELECT tablename FROM pg_tables WHERE tablename ~ '^(messages_extends|broadcasts)_'")
            assert cursor.fetchall() == []
            cursor.execute("SELECT proname FROM pg_proc WHERE pronamespace::regnamespace::text IN ('public', 't1')")
            assert cursor.fetchall() == []


def test_share_content_types_after_create_missing_tables_uses_public_ids(history: MakeHistory) -> None:
    with history(**NO_SHARED_CONTENT_TYPES):
        assert any("contenttypes in public" in each for each in findings())
        with pytest.raises(CommandError, match="run create_missing_tables first"):
            call_command("share_content_types")
        call_command("create_missing_tables", verbosity=0)
        call_command("share_content_types", verbosity=0)
        call_command("migrate_schemas", verbosity=0)
        assert findings() == []
        ids = []
        for schema in ("public", "t1"):
            with schema_context(schema):
                ids.append(ContentType.objects.get(app_label="auth", model="user").pk)
        assert ids[0] == ids[1]
