"""One person's data: all of it is handed over, all of it is erased, and nobody else's."""

import io
import json
import re
import stat
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.management import CommandError, call_command
from django_tenants.utils import schema_context

from messages_extends.access.grants import EVERYBODY, grant
from messages_extends.api import ALL_TENANTS, EVERYONE, announce, broadcast, inbox, send
from messages_extends.broadcasts.models import Broadcast, BroadcastRecord
from messages_extends.constants import INFO_PERSISTENT
from messages_extends.exceptions import WrongTenant
from messages_extends.maintenance import personal_data
from messages_extends.maintenance.personal_data import as_json, erase, erase_deleted, export
from messages_extends.models import Announcement, AuditRecord, Message, Receipt
from messages_extends.models.marks import UNDO_FIELDS
from tests.unit.docs.test_code_blocks import ROOT, blocks, run
from tests.unit.maintenance.test_purge import ago

Make = Callable[..., Any]

pytestmark = pytest.mark.usefixtures("in_acme")


def exported(user: Any, **options: Any) -> dict[str, Any]:
    """Return what somebody would get, read back from its JSON."""
    values: dict[str, Any] = json.loads("".join(as_json(export(user, **options))))
    return values


def texts(rows: list[dict[str, Any]]) -> list[str]:
    return [row["text"] for row in rows]


def everything() -> str:
    """Return all that our tables say in the current schema, but for the account itself."""
    found = []
    for model in (Message, Announcement, Receipt, AuditRecord, Broadcast, BroadcastRecord):
        found += [str(list(model.objects.values_list()))]
    return "\n".join(found)


@pytest.fixture
def alice(bob: Any, make_user: Make) -> Any:
    """Somebody who has written to Bob, to Sales and to everybody, and was written to by all sorts."""
    alice = make_user("alice-zwölf", is_superuser=True)
    sales = Group.objects.create(name="sales")
    grant(alice, bob)
    grant(alice, sales)
    grant(bob, EVERYBODY)
    send(bob, "from alice", sender=alice, url="/x/")
    send(alice, "from bob", sender=bob)
    send(alice, "%(n)s boxes", params={"n": 3}, key="boxes")
    send(alice, "to herself", sender=alice)
    announce("to sales", to=sales, sender=alice)
    announce("by the application", to=EVERYONE)
    with schema_context("public"):
        broadcast("by the platform", to=ALL_TENANTS)
    for entry in inbox(alice).page().entries:
        inbox(alice).mark_read(entry.pk)
    for entry in inbox(bob).page().entries:
        inbox(bob).mark_read(entry.pk)
    return alice


@pytest.fixture
def operator(database: None, make_user: Make) -> Iterator[Any]:
    """Somebody of the platform who has written to all organisations; the platform's schema is current."""
    with schema_context("platform"):
        operator = make_user("olga", is_superuser=True)
        broadcast("by olga", to=ALL_TENANTS, sender=operator)
        broadcast("by olga for the team", to=ALL_TENANTS, sender=operator, author="The platform")
        broadcast("by a namesake", to=ALL_TENANTS, sender=make_user("olga", email="2@x.example", is_superuser=True))
        yield operator


# Handing over


def test_export_contains_all_rows_of_user(alice: Any, bob: Any) -> None:
    data = exported(alice)
    assert data["schema"] == "acme"
    assert data["person"] == {"id": alice.pk, "login": alice.email, "name": "alice-zwölf"}
    assert texts(data["messages_received"]) == ["from bob", "3 boxes", "to herself"]
    assert [row["sender"] for row in data["messages_received"]] == ["bob", None, None]
    assert data["messages_received"][1]["params"] == {"n": 3}
    assert texts(data["messages_sent"]) == ["from alice"]
    assert (data["messages_sent"][0]["recipient"], data["messages_sent"][0]["url"]) == ("bob", "/x/")
    assert [(row["text"], row["groups"]) for row in data["announcements_sent"]] == [("to sales", ["sales"])]
    assert {(row["kind"], row["text"]) for row in data["read"]} == {
        ("announcement", "by the application"),
        ("broadcast", "by the platform"),
    }
    assert {(row["permission"], row["on"]) for row in data["grants"]} == {
        ("people.send_message", str(bob.pk)),
        ("auth.send_group_message", str(Group.objects.get().pk)),
    }
    assert [row["action"] for row in data["audit_records"]] == ["send", "announce"]
    assert "broadcasts_sent" not in data


def test_export_excludes_read_time_of_sent_messages(alice: Any) -> None:
    data = exported(alice)
    assert all(row["read_at"] for row in data["messages_received"])
    assert "read_at" not in data["messages_sent"][0]


def test_export_for_user_without_activity_returns_empty_lists(bob: Any) -> None:
    data = exported(bob)
    assert [key for key, value in data.items() if value == []] == [
        "messages_received", "messages_sent", "announcements_sent", "read", "grants", "audit_records",
    ]  # fmt: skip


def test_export_includes_receipt_of_deleted_publication(alice: Any) -> None:
    Announcement.objects.all().delete()
    gone = [row for row in exported(alice)["read"] if row["kind"] is None]
    assert [row["text"] for row in gone] == [None]
    assert gone[0]["read_at"]


def test_export_for_operator_includes_broadcasts_and_platform_records(operator: Any) -> None:
    data = exported(operator)
    assert texts(data["broadcasts_sent"]) == ["by olga", "by olga for the team"]
    assert [row["author"] for row in data["broadcasts_sent"]] == ["olga", "The platform"]
    assert [row["text"] for row in data["platform_audit_records"]] == ["by olga", "by olga for the team"]
    broadcast("It is due.", to=ALL_TENANTS, sender=operator, **LABELS)
    assert labels(exported(operator)["broadcasts_sent"][-1]) == LABELS
    assert BroadcastRecord.objects.filter(action="export").count() == 2


LABELS = {"title": "Invoice", "url_label": "Pay", "display": "inbox", "category": "billing", "group": "invoice-7"}
MARKS = ("archived_at", "snoozed_until", "saved_at")


def labels(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in LABELS}


@pytest.fixture
def triaged(bob: Any, make_user: Make) -> Any:
    """Somebody with one message, announcement and broadcast, each of them archived, snoozed and saved; unread alike."""
    tom = make_user("tom", is_superuser=True)
    send(tom, "It is due.", url="/pay/", **LABELS)
    announce("It is due.", to=EVERYONE, sender=tom, **LABELS)
    with schema_context("public"):
        broadcast("It is due.", to=ALL_TENANTS, **LABELS)
    pks = [entry.pk for entry in inbox(tom).page().entries]
    inbox(tom).snooze(*pks, until=ago(-7))
    inbox(tom).save(*pks)
    return tom


def test_export_contains_labels_and_marks(triaged: Any) -> None:
    inbox(triaged).archive(Message.objects.get().pk)
    data = exported(triaged)
    (message,), (announcement,) = data["messages_received"], data["announcements_sent"]
    assert labels(message) == labels(announcement) == LABELS
    assert [name for name in MARKS if not message[name]] == []
    assert [(row["text"], row["read_at"], row["archived_at"]) for row in data["read"]] == [
        ("Invoice: It is due.", None, None)
    ] * 2
    assert all(row["saved_at"] and row["snoozed_until"] for row in data["read"])


def test_export_contains_every_column_of_what_user_has_received(triaged: Any) -> None:
    data = exported(triaged)
    # Who it is for, what the database derives, and what only `undo` and the storage need.
    without = {"user", "message", "modified", "read", "shows_at", *UNDO_FIELDS, "is_safe"}
    columns = {field.name for field in Message._meta.concrete_fields} - without | {"text"}
    assert columns - data["messages_received"][0].keys() == set()
    columns = {field.name for field in Receipt._meta.concrete_fields}
    columns -= {"id", "user", "publication_id", *UNDO_FIELDS, "earlier_revision", "earlier_read_at"}
    assert columns - data["read"][0].keys() == set()


def test_export_of_sent_messages_excludes_marks_of_recipient(bob: Any, make_user: Make) -> None:
    sender = make_user("sender", is_superuser=True)
    send(bob, "It is due.", sender=sender, publish_at=ago(-7), **LABELS)
    (sent,) = exported(sender)["messages_sent"]
    assert labels(sent) == LABELS
    assert sent["publish_at"]
    assert sent.keys() & {*MARKS, "read_at", *UNDO_FIELDS} == set()


def test_export_json_has_iso_times_and_unescaped_letters(alice: Any) -> None:
    written = "".join(as_json(export(alice)))
    assert "alice-zwölf" in written
    data = json.loads(written)
    times = [data["exported_at"], data["messages_received"][0]["created"], data["read"][0]["read_at"]]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", time) for time in times)


def test_export_and_erase_refuse_user_of_other_tenant(alice: Any, make_user: Make) -> None:
    data = export(alice)
    with schema_context("globex"):
        gina = make_user("gina")
        for act in (export, erase):
            with pytest.raises(WrongTenant):
                act(alice)
            with pytest.raises(WrongTenant):
                act(gina, by=alice)
        with pytest.raises(WrongTenant, match="'acme' and cannot be read in 'globex'"):
            list(data["messages_received"])


def test_export_streams_rows_with_bounded_memory(bob: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(personal_data, "CHUNK_SIZE", 20)
    text = "x" * 10_000
    Message.objects.bulk_create(Message(user=bob, message=text, level=INFO_PERSISTENT) for _ in range(400))
    tracemalloc.start()
    try:
        assert sum(len(piece) for piece in as_json(export(bob))) > 4_000_000
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


# Erasing


def test_erase_removes_all_rows_and_names_of_user(alice: Any, bob: Any) -> None:
    assert "alice-zwölf" in everything()
    gone = erase(alice, by=bob)
    assert gone == {"messages received": 3, "receipts": 2, "messages sent": 1, "announcements": 1, "records": 2}
    assert "alice-zwölf" not in everything()
    assert not Message.objects.filter(user=alice).exists()
    assert not Receipt.objects.filter(user=alice).exists()
    assert [(each.message, each.sender) for each in Message.objects.all()] == [("from alice", None)]
    assert [each.sender for each in Announcement.objects.all()] == [None, None]
    deeds = AuditRecord.objects.exclude(action__in=["grant"]).order_by("pk")
    assert [(deed.action, deed.actor_id, deed.actor_name) for deed in deeds if deed.actor_id] == [
        ("send", str(alice.pk), ""),
        ("send", str(bob.pk), "bob"),
        ("announce", str(alice.pk), ""),
        ("erase", str(bob.pk), "bob"),
    ]
    assert type(alice).objects.filter(pk=alice.pk).exists()


def test_erase_keeps_messages_and_receipts_of_others(alice: Any, bob: Any) -> None:
    read = Receipt.objects.filter(user=bob).count()
    erase(alice)
    assert [str(entry) for entry in inbox(bob).page().entries] == [
        "by the platform", "by the application", "from alice",
    ]  # fmt: skip
    assert Receipt.objects.filter(user=bob).count() == read == 2


def test_erase_of_oneself_logs_audit_event_without_name(alice: Any) -> None:
    erase(alice, by=alice)
    record = AuditRecord.objects.get(action="erase")
    assert (record.subject, record.actor_id, record.actor_name) == (f"user {alice.pk}", str(alice.pk), "")


def test_erase_keeps_user_with_same_primary_key_in_other_tenant(
    alice: Any, make_user: Make, make_message: Make
) -> None:
    with schema_context("globex"):
        namesake = make_user("gina", pk=alice.pk)
        make_message(namesake, "there")
    erase(alice)
    with schema_context("globex"):
        assert Message.objects.get().user == namesake
        assert not AuditRecord.objects.exists()


def test_erase_of_erased_user_finds_nothing(alice: Any) -> None:
    erase(alice)
    assert not any(erase(alice).values())


def test_erase_dry_run_returns_counts_and_changes_nothing(alice: Any, make_message: Make) -> None:
    make_message(alice, "to herself by hand", sender=alice)
    before = everything()
    foretold = erase(alice, dry_run=True)
    assert everything() == before
    assert erase(alice) == foretold


def test_erase_changes_nothing_when_one_step_fails(alice: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    before = everything()

    erase_rows = personal_data.PersonalRows.erase

    def fail_at_the_last(trace: personal_data.PersonalRows) -> int:
        if trace.kind == "records":
            assert everything() != before
            raise RuntimeError
        return erase_rows(trace)

    monkeypatch.setattr(personal_data.PersonalRows, "erase", fail_at_the_last)
    with pytest.raises(RuntimeError):
        erase(alice)
    assert everything() == before


def test_erase_of_operator_clears_name_in_broadcasts_but_not_of_namesake(operator: Any, make_user: Make) -> None:
    # The name that they had when they wrote it.
    type(operator).objects.filter(pk=operator.pk).update(name="somebody else")
    gone = erase(operator)
    assert (gone["broadcasts"], gone["records of the platform"]) == (1, 2)
    assert dict(Broadcast.objects.values_list("message", "author")) == {
        "by olga": "",
        "by olga for the team": "The platform",
        "by a namesake": "olga",
    }
    with schema_context("public"):
        named = BroadcastRecord.objects.exclude(actor_name="").values_list("text", flat=True)
        assert list(named) == ["by a namesake"]
        assert BroadcastRecord.objects.get(action="erase").subject == f"user {operator.pk}"


def test_erase_in_ordinary_tenant_keeps_platform_records(alice: Any, operator: Any, make_user: Make) -> None:
    with schema_context("acme"):
        namesake = make_user("olga", pk=operator.pk)
        gone = erase(namesake)
    assert "broadcasts" not in gone
    with schema_context("public"):
        assert BroadcastRecord.objects.filter(actor_name="olga").count() == 3
        assert not BroadcastRecord.objects.filter(action="erase").exists()


def test_erase_deleted_erases_rows_of_deleted_account_by_id(alice: Any) -> None:
    key = alice.pk
    with pytest.raises(ValueError, match=f"A user with the id {key}"):
        erase_deleted(key)
    alice.delete()
    assert "alice-zwölf" in everything()
    assert erase_deleted(key)["records"] == 2
    assert "alice-zwölf" not in everything()


def test_erase_removes_what_was_saved_snoozed_or_scheduled(triaged: Any, bob: Any) -> None:
    send(triaged, "later", publish_at=ago(-7))
    inbox(bob).save(*[entry.pk for entry in inbox(bob).page().entries])
    kept = Receipt.objects.filter(user=bob).values()
    before = list(kept)
    assert erase(triaged, dry_run=True) == erase(triaged)
    assert not Message.objects.filter(user=triaged).exists()
    assert not Receipt.objects.filter(user=triaged).exists()
    assert list(kept) == before != []


# The commands


def command(name: str, *arguments: str, schema: str = "acme") -> str:
    out = io.StringIO()
    call_command(name, "--schema", schema, *arguments, stdout=out, stderr=out)
    return out.getvalue()


def test_export_messages_writes_to_stdout(alice: Any) -> None:
    assert json.loads(command("export_messages", alice.email.upper()))["person"]["id"] == alice.pk


def test_export_messages_creates_new_file_with_mode_0600(alice: Any, tmp_path: Path) -> None:
    path = tmp_path / "alice.json"
    assert f"Written to {path}" in command("export_messages", alice.email, "--output", str(path))
    assert json.loads(path.read_text())["person"]["id"] == alice.pk
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(CommandError, match="File exists"):
        command("export_messages", alice.email, "--output", str(path))


def test_export_messages_leaves_no_incomplete_file(alice: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(personal_data, "_recorded", lambda deed: {"broken": object()})
    with pytest.raises(TypeError):
        command("export_messages", alice.email, "--output", str(tmp_path / "alice.json"))
    assert list(tmp_path.iterdir()) == []


def test_erase_messages_asks_for_confirmation(alice: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def answer(text: str) -> Callable[[str], str]:
        return lambda question: asked.append(question) or text  # type: ignore[func-returns-value]

    monkeypatch.setattr("builtins.input", answer("y"))
    with pytest.raises(CommandError, match="Nothing was erased"):
        command("erase_messages", alice.email)
    assert Message.objects.filter(user=alice).exists()
    monkeypatch.setattr("builtins.input", answer("yes"))
    assert "This permanently erases messages received: 3, receipts: 2" in command("erase_messages", alice.email)
    assert not Message.objects.filter(user=alice).exists()
    assert len(asked) == 2


def test_erase_messages_without_terminal_erases_nothing(alice: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    with pytest.raises(CommandError, match="Nothing was erased"):
        command("erase_messages", alice.email)


def test_erase_messages_with_yes_or_dry_run_asks_nothing(alice: Any) -> None:
    assert "Would erase messages received: 3" in command("erase_messages", alice.email, "--dry-run")
    assert "Erased messages received: 3" in command("erase_messages", alice.email, "--yes")
    assert "Erased nothing" in command("erase_messages", alice.email, "--yes")


def test_erase_messages_with_deleted_accepts_id_of_deleted_account(alice: Any) -> None:
    key = str(alice.pk)
    with pytest.raises(CommandError, match="A user with the id"):
        command("erase_messages", "--deleted", key, "--yes")
    alice.delete()
    assert command("erase_messages", "--deleted", key, "--yes") == "Erased records: 2.\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Specify a person"),
        (("bob@acme.example", "--deleted", "5"), "Specify a person"),
        (("--deleted", "five"), "'five' is not a valid id"),
        (("nobody@acme.example",), "There is no user"),
    ],
)
def test_erase_messages_refuses_missing_or_ambiguous_user(bob: Any, arguments: tuple[str, ...], said: str) -> None:
    with pytest.raises(CommandError, match=said):
        command("erase_messages", *arguments, "--yes")


@pytest.mark.parametrize("name", ["export_messages", "erase_messages"])
def test_personal_data_commands_look_up_user_in_one_tenant(name: str, alice: Any) -> None:
    with pytest.raises(CommandError, match="no user"):
        command(name, alice.email, schema="globex")
    for schema in ("initech", "public"):
        with pytest.raises(CommandError, match="no organisation"):
            command(name, alice.email, schema=schema)


# The page


@pytest.mark.parametrize("code", [param for param in blocks("python", "shell") if "lifecycle" in str(param.id)])
def test_lifecycle_page_shell_code_runs(code: str, alice: Any, bob: Any, tmp_path: Path) -> None:
    run(code, user=alice, admin=bob, path=tmp_path / "alice.json")


@pytest.mark.parametrize("name", ["purge_messages", "export_messages", "erase_messages"])
def test_lifecycle_page_documents_every_command_option(name: str) -> None:
    page = (ROOT / "docs" / "how-to" / "lifecycle.md").read_text()
    source = (ROOT / "messages_extends" / "management" / "commands" / f"{name}.py").read_text()
    options = re.findall(r'"(--[a-z-]+)"', source)
    assert options
    assert [option for option in options if option not in page] == []
