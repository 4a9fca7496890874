"""What the pages tell a host to do by itself: merge two accounts, rename a schema, load rows again, take us out."""

import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from django_tenants.utils import schema_context

from messages_extends.access.grants import grant
from messages_extends.api import EVERYONE, announce, inbox, revise, send
from messages_extends.models import Announcement, AuditRecord, Message, Receipt
from messages_extends.models.audit import Action
from messages_extends.policy import Policy
from tenants.models import Tenant
from tests.conftest import SCHEMAS
from tests.documentation import ROOT, block_of
from tests.factories import BrowserOf, MakeUser
from tests.integration.hosts.folders import settings as folders
from tests.unit.docs.test_code_blocks import run

LIFECYCLE = "docs/how-to/lifecycle.md"


@pytest.fixture
def merge() -> Any:
    return run(block_of(LIFECYCLE, "python", "merging.py"))["merge"]


@pytest.fixture
def two(in_acme: Tenant, make_user: MakeUser) -> tuple[Any, Any]:
    return make_user("duplicate"), make_user("kept")


def test_merge_moves_received_and_sent_messages(merge: Any, two: Any, make_user: MakeUser) -> None:
    duplicate, kept = two
    other = make_user("other")
    grant(duplicate, other)
    send(duplicate, "received")
    send(other, "sent", sender=duplicate)
    announced = announce("announced", to=EVERYONE)
    Announcement.objects.filter(pk=announced.pk).update(sender=duplicate)
    merge(duplicate, kept)
    duplicate.delete()
    assert [str(each) for each in inbox(kept).page(kind="message").entries] == ["received"]
    assert Message.objects.get(message="sent").sender == kept
    assert Announcement.objects.get().sender == kept
    assert AuditRecord.objects.get(action=Action.SEND).actor_name == str(duplicate)


def test_merge_keeps_one_unread_message_per_key(merge: Any, two: Any) -> None:
    for person in two:
        send(person, f"for {person}", key="order-7")
    merge(*two)
    assert str(Message.objects.get()) == f"for {two[1]}"


@pytest.mark.parametrize("reader", [0, 1])
def test_merge_keeps_receipt_of_newer_revision(merge: Any, two: Any, reader: int) -> None:
    announced = announce("old", to=EVERYONE)
    for person in two:
        inbox(person).mark_all_read()
    revise(announced, message="new", show_again=True)
    inbox(two[reader]).mark_all_read()
    merge(*two)
    assert Receipt.objects.get(user=two[1]).revision == 2
    assert inbox(two[1]).unread_count() == 0


@pytest.mark.parametrize("reader", [0, 1])
def test_merge_keeps_what_either_account_has_read_archived_and_saved(merge: Any, two: Any, reader: int) -> None:
    announced = announce("rules", to=EVERYONE, must_acknowledge=True)
    other = announce("snoozed by one", to=EVERYONE)
    pk = str(announced.reference)
    send(two[0], "saved")
    inbox(two[0]).save(Message.objects.get().pk)
    inbox(two[0]).snooze(str(other.reference), until=timezone.now() + timedelta(days=1))
    inbox(two[reader]).acknowledge(pk)
    inbox(two[reader]).archive(pk)
    inbox(two[1 - reader]).save(pk)
    merge(*two)
    kept = inbox(two[1])
    assert [str(each) for each in kept.page(view="archived").entries] == ["rules"]
    assert {str(each) for each in kept.page(view="saved").entries} == {"rules", "saved"}
    assert [str(each) for each in kept.page(view="snoozed").entries] == ["snoozed by one"]
    assert not Receipt.objects.filter(user=two[0]).exists()


def test_merge_moves_grants_held_by_and_on_account(merge: Any, two: Any, make_user: MakeUser) -> None:
    duplicate, kept = two
    other, third, sales = make_user("other"), make_user("third"), Group.objects.create(name="Sales")
    third.groups.add(sales)
    grant(duplicate, other)
    grant(other, duplicate)
    grant(other, kept)
    grant(sales, duplicate)
    merge(duplicate, kept)
    duplicate.delete()
    assert Policy().may_message(kept, other)
    assert Policy().may_message(other, kept)
    assert Policy().may_message(third, kept)


def test_renaming_schema_keeps_users_logged_in(
    acme: Tenant, globex: Tenant, make_user: MakeUser, browser_of: BrowserOf
) -> None:
    with schema_context("acme"):
        user = make_user("alice")
    browser = browser_of(acme, user)
    assert browser.get("/messages/").status_code == 200
    with schema_context("public"):
        run(block_of(LIFECYCLE, "python", "renaming.py"), tenant=acme)
    assert browser.get("/messages/").status_code == 200
    with schema_context("harbour"):
        assert connection.schema_name == "harbour"
        send(type(user).objects.get(pk=user.pk), "Hello")


def test_loaddata_restores_dump_except_audit_records(in_acme: Tenant, make_user: MakeUser, tmp_path: Path) -> None:
    alice = make_user("alice")
    grant(alice, alice)
    send(alice, "to be kept", params={"a": 1}, title="Kept", publish_at=timezone.now() - timedelta(days=1))
    announced = announce("announced", to=EVERYONE)
    inbox(alice).mark_all_read()
    pks = (Message.objects.get().pk, str(announced.reference))
    inbox(alice).snooze(*pks, until=timezone.now() + timedelta(days=1))
    inbox(alice).save(*pks)
    before = [Message.objects.values().get(), Receipt.objects.values().get()]
    page = (ROOT / LIFECYCLE).read_text()
    [words] = re.findall(r"dumpdata (messages_extends --exclude \S+)", page)
    file = str(tmp_path / "messages.json")
    call_command("dumpdata", *words.split(), output=file, verbosity=0)
    Message.objects.all().delete()
    Receipt.objects.all().delete()
    Announcement.objects.filter(pk=announced.pk).update(message="changed")
    call_command("loaddata", file, verbosity=0)
    # A fixture has no more than milliseconds.
    assert [_in_milliseconds(each) for each in (Message.objects.values().get(), Receipt.objects.values().get())] == [
        *map(_in_milliseconds, before)
    ]
    assert str(Message.objects.get()) == "Kept: to be kept"
    assert Message.objects.get().read
    assert str(Announcement.objects.get()) == "announced"
    call_command("dumpdata", "messages_extends.auditrecord", output=file, verbosity=0)
    with pytest.raises(IntegrityError, match="neither changed nor deleted"), transaction.atomic():
        call_command("loaddata", file, verbosity=0)


def _in_milliseconds(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.replace(microsecond=value.microsecond // 1000 * 1000) if isinstance(value, datetime) else value
        for name, value in row.items()
    }


def test_uninstalling_removes_permissions_and_content_types(acme: Tenant, globex: Tenant) -> None:
    names = run(block_of("docs/how-to/uninstalling.md", "python", "removing.py"))
    for schema in SCHEMAS:
        with schema_context(schema):
            names["remove_permissions"]()
            assert not Permission.objects.filter(codename__startswith="send_").exists()
            assert Permission.objects.exists()
    names["remove_content_types"]()
    connection.check_constraints()
    assert not ContentType.objects.filter(app_label="broadcasts").exists()
    assert ContentType.objects.filter(app_label="auth").exists()


def test_documented_company_members_equal_code_of_host_suite() -> None:
    code = block_of("docs/how-to/shared-users.md", "python", "company_members.py")
    body = code.partition("return ")[2].strip()
    assert body in (ROOT / "tests" / "integration" / "hosts" / "tenant_users" / "members.py").read_text()


def test_documented_subfolder_middleware_equals_settings_of_host_suite() -> None:
    documented = run(block_of("docs/how-to/subfolders.md", "python", "settings.py"))
    assert documented["MIDDLEWARE"] == folders.MIDDLEWARE
    assert documented["TENANT_SUBFOLDER_PREFIX"] == folders.TENANT_SUBFOLDER_PREFIX
