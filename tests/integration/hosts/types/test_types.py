"""Tenants of a type without messages: nothing of ours is shown there, nothing fails, and commands leave them out."""

import io
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import Group, User
from django.core.checks import run_checks
from django.core.management import CommandError, call_command
from django.core.management.base import SystemCheckError
from django.db import connection
from django.test import RequestFactory
from django_tenants.utils import schema_context

from messages_extends import constants
from messages_extends.access.grants import grant
from messages_extends.api import ALL_TENANTS, EVERYONE, announce, aunread_count, broadcast, send
from messages_extends.exceptions import NoTenant
from messages_extends.inbox.broadcast_counts import count_readers
from messages_extends.maintenance.personal_data import erase, export
from messages_extends.maintenance.purge import count_expired, purge
from messages_extends.tenancy.content_types import has_own_content_types
from messages_extends.tenancy.schemas import has_messages
from messages_extends.web.search import search_organisations
from tests.integration.hosts.contract import MakeBrowser, add, grants_in, page
from tests.integration.hosts.types.tenants_of_types.models import Tenant

pytestmark = pytest.mark.django_db


def make_user(schema: str, name: str = "alice") -> User:
    with schema_context(schema):
        return User.objects.create_user(name, is_staff=True, is_superuser=True)


def run(name: str, *arguments: str) -> str:
    out = io.StringIO()
    call_command(name, *arguments, stdout=out, stderr=out)
    return out.getvalue()


def test_checks_report_nothing() -> None:
    call_command("check", databases=["default"], fail_level="WARNING")


def test_message_tables_exist_for_tenant_type_with_messages_only() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT schemaname FROM pg_tables WHERE tablename = 'messages_extends_message'")
        assert cursor.fetchall() == [("t1",)]


@pytest.mark.parametrize("schema", ["t1", "t2"])
def test_ordinary_messages_are_shown_for_both_tenant_types(schema: str, browser_at: MakeBrowser) -> None:
    browser = browser_at(schema, make_user(schema))
    assert "alice" in page(browser)
    add(browser, "saved", constants.SUCCESS)
    assert "saved" in page(browser)
    assert "saved" not in page(browser)


def test_persistent_message_is_shown_for_tenant_type_with_messages(browser_at: MakeBrowser) -> None:
    browser = browser_at("t1", make_user("t1"))
    add(browser, "the till is open")
    assert "the till is open" in page(browser)
    assert browser.get("/messages/").status_code == 200


def test_package_pages_return_404_for_tenant_type_without_messages(browser_at: MakeBrowser) -> None:
    browser = browser_at("t2", make_user("t2"))
    for path in ("", "compose/", "announcements/", "broadcasts/", "grants/", "badge/", "panel/", "banners/", "stream/"):
        assert browser.get(f"/messages/{path}").status_code == 404, path
    for path in ("mark_read/1/", "mark_read/all/", "acknowledge/1/", "undo/"):
        assert browser.post(f"/messages/{path}").status_code == 404, path
    assert browser.get("/admin/").status_code == 200
    assert browser.get("/admin/messages_extends/message/").status_code in {403, 404}


def test_page_is_shown_for_tenant_type_without_users(browser_at: MakeBrowser) -> None:
    browser = browser_at("t3")
    browser.cookies["sessionid"] = "abcdefghijklmnopqrstuvwxyz012345"
    assert "alice" not in page(browser)


def test_writing_raises_no_tenant_for_tenant_type_without_messages() -> None:
    user = make_user("t2")
    with schema_context("t2"):
        for write in (lambda: send(user, "hello"), lambda: announce("hello", to=EVERYONE)):
            with pytest.raises(NoTenant, match="type of the schema 't2' does not include messages_extends"):
                write()
        for act in (export, erase):
            with pytest.raises(NoTenant):
                act(user)


def test_persistent_message_raises_no_tenant_for_type_without_messages(browser_at: MakeBrowser) -> None:
    with pytest.raises(NoTenant):
        add(browser_at("t2", make_user("t2")), "hello")


def test_commands_skip_tenant_type_without_messages() -> None:
    assert "t2" not in run("purge_messages")
    assert "t1: deleted nothing" in run("purge_messages")
    with pytest.raises(CommandError, match="no organisation 't2'"):
        run("purge_messages", "--schema", "t2")
    with pytest.raises(CommandError, match="The schemas are: t1"):
        run("grant_messaging", "--schema", "t2", "alice", "alice")
    with schema_context("t2"):
        assert not purge()
        assert not count_expired()


def test_broadcast_audience_excludes_tenant_type_without_messages(browser_at: MakeBrowser) -> None:
    user = make_user("t1")
    with schema_context("public"):
        published = broadcast("Maintenance", to=ALL_TENANTS)
        assert published.audience_size == 1
        progress = count_readers(published)
        assert (progress.total, progress.failed, progress.people) == (1, [], 1)
        assert [tenant.schema_name for tenant in search_organisations("")] == ["t1"]
    assert "Maintenance" in page(browser_at("t1", user))
    assert "Maintenance" not in page(browser_at("t2", make_user("t2")))


@pytest.mark.parametrize("schema", ["t1", "t2"])
@pytest.mark.parametrize("in_bulk", [False, True])
def test_users_and_groups_can_be_deleted_for_both_tenant_types(schema: str, in_bulk: bool) -> None:
    user, other = make_user(schema), make_user(schema, "bob")
    with schema_context(schema):
        group = Group.objects.create(name="Sales")
        if schema == "t1":
            grant(user, other)
            grant(other, user)
            grant(group, other)
        for each in (user, group):
            type(each)._default_manager.filter(pk=each.pk).delete() if in_bulk else each.delete()
        connection.check_constraints()
        assert User.objects.get() == other
    assert grants_in("t1") == 0


def test_aunread_count_is_zero_for_tenant_type_without_messages() -> None:
    request = RequestFactory().get("/")
    request.user, request.tenant = make_user("t2"), Tenant.objects.get(schema_name="t2")
    assert async_to_sync(aunread_count)(request) == 0


def test_check_reports_tenant_tables_of_apps_shared_for_its_type() -> None:
    assert not has_own_content_types("t2")
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE t2.django_content_type (LIKE public.django_content_type)")
    with pytest.raises(SystemCheckError, match=r"t2\.django_content_type"):
        call_command("check", databases=["default"])


def test_permission_change_succeeds_without_audit_table() -> None:
    user = make_user("t2")
    with schema_context("t2"):
        user.user_permissions.clear()


def test_has_messages_is_false_for_unknown_and_public_schema(browser_at: Any) -> None:
    assert not has_messages("nowhere")
    assert not has_messages("public")
    assert has_messages("t1")


def test_check_warns_of_default_guardian_config(settings: Any) -> None:
    full = settings.TENANT_TYPES["full"]
    apps = ["guardian" if app == settings.GUARDIAN else app for app in full["APPS"]]
    settings.TENANT_TYPES = {**settings.TENANT_TYPES, "full": {**full, "APPS": apps}}
    assert [each.id for each in run_checks()] == ["messages_extends.W009"]
