"""Every change is recorded by its action, without personal texts; and the database keeps the records."""

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.db.models import F
from django_tenants.utils import schema_context

from messages_extends.access.grants import grant, revoke
from messages_extends.api import ALL_TENANTS, EVERYONE, announce, broadcast, cancel, inbox, retract, revise, send
from messages_extends.broadcasts.models import BroadcastRecord
from messages_extends.exceptions import NotPublished
from messages_extends.maintenance import personal_data
from messages_extends.maintenance.personal_data import erase, export
from messages_extends.maintenance.purge import purge
from messages_extends.models import AuditRecord, Message, audit
from messages_extends.models.audit import Action
from messages_extends.tenancy.triggers import erasing_names
from tenants.models import Tenant
from tests.databases import execute
from tests.unit.maintenance.test_purge import ago, ended

Make = Callable[..., Any]

pytestmark = pytest.mark.usefixtures("in_acme")


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def fields(record: Any) -> tuple[Any, ...]:
    return (record.action, record.subject, record.audience, record.count, record.text_hash, record.text)


def only(records: Any = AuditRecord) -> Any:
    return records.objects.get()


@pytest.fixture
def operator(database: None, make_user: Make) -> Iterator[Any]:
    """Somebody who may do everything at the platform, whose schema is current."""
    with schema_context("platform"):
        yield make_user("operator", is_superuser=True)


# What is recorded


def test_send_with_sender_logs_text_hash_without_text(root: Any, bob: Any) -> None:
    send(bob, "You are fired", sender=root)
    record = only()
    assert fields(record) == ("send", "messages", f"user {bob.pk}", 1, sha256("You are fired"), "")
    assert (record.actor_id, record.actor_name) == (str(root.pk), "root")
    assert "fired" not in str(vars(record))


def test_audit_events_contain_title_as_they_contain_text(root: Any, bob: Any, operator: Any) -> None:
    with schema_context("acme"):
        send(bob, "You are fired", sender=root, title="Notice")
        assert fields(only())[4:] == (sha256("Notice: You are fired"), "")
        assert "Notice" not in str(vars(only()))
        made = announce("It is closed.", to=EVERYONE, title="Office")
        revise(made, title="Both offices")
        texts = AuditRecord.objects.exclude(text="").order_by("pk").values_list("text", "text_hash")
        assert list(texts) == [
            (text, sha256(text)) for text in ("Office: It is closed.", "Both offices: It is closed.")
        ]
    broadcast("It is closed.", to=ALL_TENANTS, sender=operator, title="Office")
    assert only(BroadcastRecord).text == "Office: It is closed."


def test_scheduled_message_is_logged_when_it_is_sent(root: Any, bob: Any) -> None:
    send(bob, "Later", sender=root, publish_at=ago(-7))
    assert fields(only())[:4] == ("send", "messages", f"user {bob.pk}", 1)


def test_triage_logs_no_audit_event(bob: Any) -> None:
    send(bob, "Backup done")
    message = Message.objects.get()
    announced = announce("Closed", to=EVERYONE)
    before = AuditRecord.objects.count()
    pks = (message.pk, str(announced.reference))
    changes = [inbox(bob).save(*pks), inbox(bob).snooze(*pks, until=ago(-7)), inbox(bob).archive(*pks)]
    inbox(bob).undo(changes[-1].at)
    assert AuditRecord.objects.count() == before


def test_send_by_application_logs_no_audit_event(bob: Any) -> None:
    send(bob, "Backup done")
    assert not AuditRecord.objects.exists()


def test_send_to_several_recipients_logs_count_without_names(root: Any, bob: Any) -> None:
    send([bob, root], "Lunch", sender=root, key="lunch")
    assert fields(only())[1:4] == ("messages with the key lunch", "2 people", 2)


def test_announce_logs_text_and_actor(root: Any, bob: Any) -> None:
    made = announce("Closed tomorrow", to=EVERYONE, sender=root)
    text = ("Closed tomorrow", sha256("Closed tomorrow"))
    assert fields(only()) == ("announce", f"announcement {made.pk}", "everyone", 2, text[1], text[0])
    assert only().actor_id == str(root.pk)


def test_revise_and_retract_log_audit_events(root: Any) -> None:
    made = announce("One", to=EVERYONE)
    revise(made, message="Two", sender=root)
    retract(made, sender=root)
    retract(made, sender=root)
    records = AuditRecord.objects.order_by("pk").values_list("action", "text", "actor_name")
    assert list(records) == [("announce", "One", ""), ("revise", "Two", "root"), ("retract", "", "root")]


def test_broadcast_changes_write_broadcast_records_with_actor(operator: Any, acme: Tenant) -> None:
    made = broadcast("Maintenance", to=[acme], sender=operator)
    revise(made, message="No maintenance", sender=operator)
    retract(made, sender=operator)
    assert not AuditRecord.objects.exists()
    records = BroadcastRecord.objects.order_by("pk")
    assert [record.action for record in records] == ["broadcast", "revise", "retract"]
    assert [record.text for record in records] == ["Maintenance", "No maintenance", ""]
    assert {(record.subject, record.audience, record.actor_name) for record in records} == {
        (f"broadcast {made.pk}", "acme", "operator")
    }


def test_cancel_logs_key_and_count(bob: Any) -> None:
    send(bob, "Pay", key="invoice")
    announce("Pay", to=EVERYONE, key="invoice")
    cancel("invoice")
    cancel("invoice")
    record = AuditRecord.objects.get(action="cancel")
    assert fields(record) == ("cancel", "messages with the key invoice", "", 2, "", "")


def test_grant_and_revoke_log_audit_events(root: Any, bob: Any) -> None:
    grant(bob, root, by=root)
    revoke(bob, root, by=root)
    assert [record.action for record in AuditRecord.objects.order_by("pk")] == ["grant", "revoke"]


def test_export_purge_and_erase_log_audit_events(root: Any, bob: Any, make_message: Make) -> None:
    make_message(bob, read_at=ago(91))
    export(bob, by=root)
    purge()
    erase(bob, by=root)
    records = AuditRecord.objects.order_by("pk").values_list("action", "subject", "actor_id")
    assert list(records) == [
        ("export", f"data of user {bob.pk}", str(root.pk)),
        ("purge", "kept for more than 90 days: 1 messages", ""),
        ("erase", f"user {bob.pk}", str(root.pk)),
    ]


@pytest.mark.parametrize("action", ["send", "announce", "cancel"])
def test_service_functions_change_nothing_when_log_event_fails(
    action: str, root: Any, bob: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(bob, "Pay", key="invoice")
    acts: dict[str, Callable[[], Any]] = {
        "send": lambda: send([bob, root], "Hello", sender=root),
        "announce": lambda: announce("Hello", to=EVERYONE),
        "cancel": lambda: cancel("invoice"),
    }

    def fail(*_args: Any, **_options: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(audit, "log_event", fail)
    with pytest.raises(RuntimeError):
        acts[action]()
    assert Message.objects.get().message == "Pay"


def test_revise_of_ended_announcement_logs_no_audit_event(in_acme: Tenant) -> None:
    made = ended(announce("x", to=EVERYONE), 1)
    with pytest.raises(NotPublished):
        revise(made, message="y")
    assert AuditRecord.objects.count() == 1


def test_log_event_truncates_long_subject_and_audience(root: Any, bob: Any) -> None:
    type(root).objects.filter(pk=root.pk).update(name="r" * 150)
    root.refresh_from_db()
    audit.log_event(Action.SEND, actor=root, subject="s" * 201, audience="a" * 501)
    record = only()
    assert (record.subject, record.audience) == ("s" * 199 + "…", "a" * 499 + "…")
    assert record.actor_name == "r" * 150
    assert str(record) == f"sent: {record.subject}"


class Actor:
    def __init__(self, pk: Any) -> None:
        self.pk = pk

    def __str__(self) -> str:
        return "somebody"


def test_log_event_stores_hash_of_too_long_primary_key(in_acme: Tenant) -> None:
    keys = ["k" * 64, "k" * 64 + "a", "k" * 64 + "b"]
    actors: list[Any] = [Actor(key) for key in keys]
    for actor in actors:
        audit.log_event(Action.SEND, actor=actor, subject="x")
    recorded = list(AuditRecord.objects.order_by("pk").values_list("actor_id", flat=True))
    assert recorded == [keys[0], sha256(keys[1]), sha256(keys[2])]


def test_export_and_erase_find_audit_records_by_hashed_actor_id(
    root: Any, bob: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (audit, personal_data):
        monkeypatch.setattr(module, "actor_id_of", lambda pk: f"hash of {pk}")
    send(bob, "x", sender=root)
    assert [record["action"] for record in export(root)["audit_records"]] == ["send"]
    erase(root)
    assert not AuditRecord.objects.exclude(actor_name="").exists()


# What the database keeps


@pytest.fixture(params=["acme", "public"])
def record(request: pytest.FixtureRequest, root: Any) -> Iterator[Any]:
    """A record of an organisation, and one of the platform, in its own schema."""
    if request.param == "public":
        with schema_context("public"):
            audit.log_event(Action.BROADCAST, actor=root, subject="x", text="y", into=BroadcastRecord)
            yield BroadcastRecord.objects.get()
    else:
        audit.log_event(Action.SEND, actor=root, subject="x", text="y")
        yield only()


def refused(act: Callable[[], Any]) -> None:
    with pytest.raises(IntegrityError, match="are kept: they can be neither changed nor deleted"), transaction.atomic():
        act()


def test_audit_record_refuses_update_and_delete_by_orm(record: Any) -> None:
    records = type(record).objects
    refused(lambda: records.update(subject="nothing"))
    refused(lambda: records.update(actor_name="mallory"))
    refused(lambda: records.all().delete())
    refused(record.delete)
    record.action = "retract"
    refused(record.save)
    assert records.get().subject == "x"


def test_audit_record_refuses_update_and_delete_by_sql(record: Any) -> None:
    table = record._meta.db_table
    refused(lambda: execute(f"UPDATE {table} SET text_hash = ''"))
    refused(lambda: execute(f"DELETE FROM {table}"))
    refused(lambda: execute(f"INSERT INTO {table} SELECT * FROM {table} ON CONFLICT (id) DO UPDATE SET subject = ''"))
    assert type(record).objects.get() == record


def test_actor_name_is_cleared_only_inside_erasing_names(record: Any) -> None:
    records = type(record).objects
    refused(lambda: records.update(actor_name=""))
    with erasing_names():
        assert records.update(actor_name="") == 1
    refused(lambda: records.update(actor_name=""))


def test_actor_name_is_protected_again_after_erase(root: Any, bob: Any) -> None:
    send(bob, "x", sender=root)
    erase(bob)
    refused(lambda: AuditRecord.objects.update(actor_name=""))
    assert AuditRecord.objects.get(action="send").actor_name == "root"


def test_actor_name_is_protected_again_after_failed_erasure(record: Any) -> None:
    with pytest.raises(RuntimeError), transaction.atomic(), erasing_names():
        raise RuntimeError
    refused(lambda: type(record).objects.update(actor_name=""))


def test_erasing_names_allows_only_clearing_actor_name(record: Any) -> None:
    records = type(record).objects
    changes: list[dict[str, Any]] = [
        {field.attname: F("pk") + 1 if field.primary_key else None}
        for field in record._meta.concrete_fields
        if field.null or field.primary_key
    ]
    changes += [{name: "other"} for name in ("actor_id", "action", "subject", "audience", "text_hash", "text")]
    changes += [{"recorded_at": ago(1)}, {"count": 7}]
    with erasing_names():
        for change in changes:
            if change != {"count": None}:
                refused(lambda change=change: records.update(actor_name="", **change))  # type: ignore[misc]
        refused(lambda: records.update(actor_name="mallory"))
        refused(lambda: records.all().delete())
        assert records.update(actor_name="") == 1
    assert records.get().actor_name == ""


def test_broadcast_record_refuses_write_from_tenant(root: Any) -> None:
    with pytest.raises(Exception, match="Only the platform writes"), transaction.atomic():
        audit.log_event(Action.BROADCAST, actor=root, subject="x", into=BroadcastRecord)


def test_audit_record_survives_deletion_of_actor(root: Any, bob: Any) -> None:
    send(bob, "x", sender=root)
    root_id = root.pk
    root.delete()
    assert (only().actor_id, only().actor_name) == (str(root_id), "root")
