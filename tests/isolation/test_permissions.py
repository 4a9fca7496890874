"""Facts 6 and 7: what one organisation grants means nothing in another, whatever the process has cached."""

from collections.abc import Callable
from functools import partial
from threading import Barrier
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django_tenants.utils import schema_context
from guardian.shortcuts import assign_perm, get_objects_for_user, get_perms

from tests.databases import execute
from tests.factories import MakeUser

SCHEMAS = ("acme", "globex", "platform")


def schemas_with(table: str) -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT schemaname FROM pg_tables WHERE tablename = %s", [table])
        return {schema for (schema,) in cursor.fetchall()}


def grant(make_user: MakeUser, schema: str, permission: str) -> None:
    """Make user 1 and group 1 in a schema, and grant one on the other."""
    with schema_context(schema):
        group = Group.objects.create(pk=1, name="Sales")
        assign_perm(permission, make_user(pk=1), group)


# Fact 6: content types ----------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_content_types_exist_in_public_schema_only() -> None:
    assert schemas_with("django_content_type") == {"public"}


@pytest.mark.django_db
def test_content_type_has_same_id_in_all_schemas() -> None:
    found = set()
    for schema in ("public", *SCHEMAS):
        with schema_context(schema):
            found.add(ContentType.objects.get(app_label="auth", model="group").pk)
    assert len(found) == 1


@pytest.mark.django_db
def test_content_type_cache_with_tenant_tables_returns_id_of_other_tenant() -> None:
    execute(
        "CREATE TABLE acme.django_content_type AS SELECT id + 1000 AS id, app_label, model FROM django_content_type"
    )
    with schema_context("acme"):
        of_acme = ContentType.objects.get_for_model(Group)
    # Another thread's look-up in acme may come at any moment: the cache is the process's.
    with schema_context("globex"):
        ContentType.objects._add_to_cache("default", of_acme)
        assert ContentType.objects.get_for_model(Group).pk == of_acme.pk
        assert not ContentType.objects.filter(pk=of_acme.pk).exists()
    ContentType.objects.clear_cache()


@pytest.mark.django_db
def test_permission_ids_may_differ_between_tenants() -> None:
    # The premise of a rule of the house: name a permission by its codename.
    execute("UPDATE acme.auth_permission SET id = id + 100000")
    found = set()
    for schema in ("acme", "globex"):
        with schema_context(schema):
            found.add(Permission.objects.get(codename="change_group").pk)
    assert len(found) == 2


def test_object_permissions_of_two_threads_stay_in_their_tenants(
    in_threads: Callable[..., list[Any]], make_user: MakeUser
) -> None:
    grant(make_user, "acme", "change_group")
    grant(make_user, "globex", "delete_group")
    start = Barrier(2, timeout=10)

    def ask(schema: str) -> set[tuple[bool, bool]]:
        start.wait()
        answers = set()
        for _ in range(100):
            with schema_context(schema):
                user, group = get_user_model()._default_manager.get(pk=1), Group.objects.get(pk=1)
                answers.add((user.has_perm("change_group", group), user.has_perm("delete_group", group)))
        return answers

    assert in_threads(partial(ask, "acme"), partial(ask, "globex")) == [{(True, False)}, {(False, True)}]


# Fact 7: guardian ---------------------------------------------------------------------------------------------------


def grant_in_acme_only(make_user: MakeUser) -> None:
    """Make the same user and the same group in acme and in globex, and grant in acme."""
    with schema_context("globex"):
        make_user(pk=1)
        Group.objects.create(pk=1, name="Sales")
    grant(make_user, "acme", "change_group")


def granted_in(schema: str) -> bool:
    with schema_context(schema):
        user, group = get_user_model()._default_manager.get(pk=1), Group.objects.get(pk=1)
        answers = {
            user.has_perm("change_group", group),
            "change_group" in get_perms(user, group),
            group in get_objects_for_user(user, "change_group", klass=Group),
            group in get_objects_for_user(user, "auth.change_group"),
        }
    assert len(answers) == 1, "guardian contradicts itself"
    return answers.pop()


@pytest.mark.django_db
def test_object_permission_counts_in_its_tenant_only(make_user: MakeUser) -> None:
    grant_in_acme_only(make_user)
    assert granted_in("acme")
    assert not granted_in("globex")
    assert granted_in("acme")


@pytest.mark.django_db
def test_object_permissions_in_public_schema_count_in_other_tenant(make_user: MakeUser) -> None:
    execute("CREATE TABLE public.guardian_userobjectpermission (LIKE acme.guardian_userobjectpermission INCLUDING ALL)")
    for schema in ("acme", "globex"):
        execute(f"DROP TABLE {schema}.guardian_userobjectpermission")
    # guardian's look-ups join the permission by its id, which agrees between tenants made by the same migrations.
    grant_in_acme_only(make_user)
    assert granted_in("globex")


@pytest.mark.django_db
def test_guardian_creates_no_anonymous_user(make_user: MakeUser) -> None:
    for schema in SCHEMAS:
        with schema_context(schema):
            assert not get_user_model()._default_manager.filter(email__icontains="anonymous").exists()
