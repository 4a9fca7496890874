"""Fact 5: where a tenant's table is missing, the model fails; it never goes on to a table of public.

The tables are dropped and made within a transaction that is rolled back.
"""

from typing import Any

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import ProgrammingError, connection, transaction
from django_tenants.utils import schema_context
from guardian.models import UserObjectPermission

from messages_extends.constants import INFO_PERSISTENT
from messages_extends.models import Message
from messages_extends.tenancy.schemas import is_per_tenant, is_shared
from tests.databases import execute
from tests.factories import MakeMessage, MakeUser

TABLE = "messages_extends_message"


def tables_in(schema: str) -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", [schema])
        return {name for (name,) in cursor.fetchall()}


@pytest.mark.parametrize("app", ["messages_extends", "guardian", "people", "auth", "sessions", "admin"])
def test_tenant_apps_are_not_shared_apps(app: str) -> None:
    assert is_per_tenant(app)
    assert not is_shared(app)


@pytest.mark.django_db
@pytest.mark.parametrize("model", [Message, UserObjectPermission, Session])
def test_public_schema_has_no_table_of_tenant_apps(model: Any) -> None:
    table = model._meta.db_table
    assert table in tables_in("acme")
    assert table not in tables_in("public")


@pytest.mark.usefixtures("in_acme")
def test_missing_table_is_replaced_by_table_of_public_schema() -> None:
    execute(f"CREATE TABLE public.{TABLE} (LIKE acme.{TABLE} INCLUDING ALL)")
    execute(
        f"INSERT INTO public.{TABLE} (id, level, message, extra_tags, url, is_safe, key, created, modified) "
        f"VALUES (1, {INFO_PERSISTENT}, 'of everybody', '', '', false, '', now(), now())"
    )
    execute(f"DROP TABLE acme.{TABLE}")
    assert [message.message for message in Message.objects.all()] == ["of everybody"]


@pytest.mark.usefixtures("in_acme")
def test_missing_table_raises_programming_error_on_read_and_write(make_user: MakeUser) -> None:
    alice = make_user()
    execute(f"DROP TABLE acme.{TABLE}")
    with pytest.raises(ProgrammingError, match=TABLE), transaction.atomic():
        list(Message.objects.all())
    with pytest.raises(ProgrammingError, match=TABLE), transaction.atomic():
        Message.objects.create(user=alice, message="lost", level=INFO_PERSISTENT)


@pytest.mark.usefixtures("globex")
def test_missing_table_in_one_tenant_does_not_affect_other_tenant(
    make_user: MakeUser, make_message: MakeMessage
) -> None:
    with schema_context("globex"):
        make_message(make_user(), "of globex")
    execute(f"DROP TABLE acme.{TABLE}")
    with schema_context("globex"):
        assert Message.objects.get().message == "of globex"


def test_shared_apps_contain_no_app_with_messages_or_people() -> None:
    assert not {"messages_extends", "guardian", "tenants.people"} & set(settings.SHARED_APPS)
