"""A product in use whose tenants have content types of their own: found by a check, and moved without a loss."""

import io
from threading import Thread
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.core.checks import run_checks
from django.core.management import CommandError, call_command
from django.db import connection
from django_tenants.utils import schema_context
from guardian.models import GroupObjectPermission, UserObjectPermission
from guardian.shortcuts import assign_perm

from messages_extends.api import send
from messages_extends.tenancy.content_types import has_own_content_types
from tests.integration.hosts.live.conftest import BEFORE, TENANTS
from tests.integration.hosts.shop.models import Label, Visit

pytestmark = pytest.mark.usefixtures("live")
OF_TYPES = {
    Permission: "codename",
    UserObjectPermission: "permission__codename",
    GroupObjectPermission: "permission__codename",
    Label: "text",
    Visit: "pk",
    LogEntry: "object_id",
}


def ids_of_findings(*ids: str) -> list[str]:
    return sorted(each.id for each in run_checks(databases=["default"]) if each.id in ids)


def move(*arguments: str) -> str:
    out = io.StringIO()
    call_command("share_content_types", *arguments, stdout=out, stderr=out)
    return out.getvalue()


def everything_in(schema: str) -> dict[str, Any]:
    """Return what refers to content types, with the model that each row means, and who holds what."""
    with schema_context(schema):
        rows = {
            model.__name__: sorted(
                model._default_manager.values_list("pk", name, "content_type__app_label", "content_type__model")
            )
            for model, name in OF_TYPES.items()
        }
        held = sorted(User.objects.get(username="alice").get_all_permissions())
        groups = sorted(Group.permissions.through.objects.values_list("group_id", "permission_id"))
        return {**rows, "held": held, "groups": groups}


def id_of_users(schema: str) -> int:
    with schema_context(schema):
        return ContentType.objects.get(app_label="auth", model="user").pk


def test_tenant_content_type_ids_differ_and_share_one_cache() -> None:
    ids = {schema: id_of_users(schema) for schema in ("public", *TENANTS)}
    assert len(set(ids.values())) == 3
    with schema_context("t2"):
        alice, bob = User.objects.get(username="alice"), User.objects.get(username="bob")
        fill_cache_in_t1()
        assert ContentType.objects.get_for_model(User).pk == ids["t1"]
        assert not alice.has_perm("auth.send_message", bob), "it was granted"


def fill_cache_in_t1() -> None:
    """Look up a content type in t1, in another thread, as a request of that tenant does."""

    def look() -> None:
        connection.set_schema("t1")
        ContentType.objects.get_for_model(User)
        connection.close()

    other = Thread(target=look)
    other.start()
    other.join()


def test_check_reports_shared_app_tables_in_tenants() -> None:
    assert ids_of_findings("messages_extends.E080") == ["messages_extends.E080"]
    [found] = [each for each in run_checks(databases=["default"]) if each.id == "messages_extends.E080"]
    assert "t1.django_content_type, t2.django_content_type" in found.msg
    assert run_checks() == []


def test_check_reports_current_tenant_only_during_migration() -> None:
    move("--schema", "t1")
    with schema_context("t1"):
        assert ids_of_findings("messages_extends.E080") == []
    with schema_context("t2"):
        assert ids_of_findings("messages_extends.E080") == ["messages_extends.E080"]


def test_share_content_types_keeps_permissions_and_generic_rows() -> None:
    before = {schema: everything_in(schema) for schema in TENANTS}
    assert all(len(each["Permission"]) > 30 and len(each["held"]) > 30 for each in before.values())
    move()
    assert {schema: everything_in(schema) for schema in TENANTS} == before
    assert not any(has_own_content_types(schema) for schema in TENANTS)
    assert {id_of_users(schema) for schema in TENANTS} == {id_of_users("public")}
    call_command("check", databases=["default"], fail_level="WARNING")


def test_permissions_after_share_content_types_hold_with_shared_cache() -> None:
    move()
    with schema_context("t2"):
        alice, bob = User.objects.get(username="alice"), User.objects.get(username="bob")
        fill_cache_in_t1()
        assert alice.has_perm("auth.send_message", bob)
        assert not bob.has_perm("auth.send_message", alice)
        assert send(bob, "Hello", sender=alice) == 1
        assign_perm("auth.send_message", bob, alice)
        assert User.objects.get(pk=bob.pk).has_perm("auth.send_message", alice)


def test_share_content_types_keeps_foreign_key_constraints() -> None:
    def rules() -> set[Any]:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT conrelid::regclass::text, conname, condeferrable, condeferred, confdeltype::text FROM "
                "pg_constraint WHERE confrelid::regclass::text LIKE '%%django_content_type' AND contype = 'f'"
            )
            return set(cursor.fetchall())

    before = rules()
    assert len(before) == 2 * 5
    move()
    assert rules() == before


def test_share_content_types_with_schema_changes_that_tenant_only() -> None:
    before = {schema: everything_in(schema) for schema in TENANTS}
    assert "t1: changed" in move("--schema", "t1")
    assert [has_own_content_types(schema) for schema in TENANTS] == [False, True]
    assert move().startswith("t1: already uses the content types of the public schema\nt2: changed")
    assert {schema: everything_in(schema) for schema in TENANTS} == before


def test_share_content_types_names_failed_tenant_and_changes_others() -> None:
    before = {schema: everything_in(schema) for schema in TENANTS}
    with connection.cursor() as cursor:
        cursor.execute("CREATE VIEW t1.kinds AS SELECT * FROM t1.django_content_type")
    with pytest.raises(CommandError, match="1 of 2 could not be moved: t1"):
        move()
    assert [has_own_content_types(schema) for schema in TENANTS] == [True, False]
    assert {schema: everything_in(schema) for schema in TENANTS} == before
    with connection.cursor() as cursor:
        cursor.execute("DROP VIEW t1.kinds")
    move()
    assert {schema: everything_in(schema) for schema in TENANTS} == before


def test_share_content_types_dry_run_reports_changes_and_changes_nothing() -> None:
    before = {schema: everything_in(schema) for schema in TENANTS}
    foretold = move("--dry-run")
    assert {schema: everything_in(schema) for schema in TENANTS} == before
    assert all(has_own_content_types(schema) for schema in TENANTS)
    assert move() == foretold.replace("would change", "changed")


def test_share_content_types_with_unknown_schema_raises_command_error() -> None:
    with pytest.raises(CommandError, match="There is no tenant 'nowhere'"):
        move("--schema", "nowhere")


def test_share_content_types_with_unchanged_settings_raises_command_error(settings: Any) -> None:
    settings.TENANT_APPS = BEFORE
    with pytest.raises(CommandError, match="List django"):
        move()
    assert all(has_own_content_types(schema) for schema in TENANTS)


def test_share_content_types_adds_missing_content_types_to_public() -> None:
    move()
    assert ContentType.objects.filter(app_label__startswith="gone").count() == 6


def test_tenants_can_be_migrated_and_created_after_share_content_types() -> None:
    from tests.integration.hosts.organisations.models import Tenant

    move()
    call_command("migrate_schemas", verbosity=0)
    Tenant(schema_name="t3").save(verbosity=0)
    assert not has_own_content_types("t3")
    with schema_context("t3"):
        assert Permission.objects.filter(codename="send_message", content_type__model="user").count() == 1
