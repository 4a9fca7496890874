"""What is made in one schema and used in another: callbacks, querysets, cursors.

Each runs where it is used, not where it was made. What is ours takes the schema along, or refuses.
"""

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import connection, transaction
from django.test import override_settings
from django_tenants.utils import schema_context

from messages_extends.api import inbox
from messages_extends.events import changes
from messages_extends.events.bus import Bus
from messages_extends.exceptions import WrongTenant
from messages_extends.maintenance.personal_data import export
from messages_extends.models import Message
from messages_extends.tenancy.schemas import current_schema
from tests.factories import MakeMessage, MakeUser
from tests.isolation.test_tenant_context_rules import SOURCES

published: list[str] = []


class RecordingBus(Bus):
    """A bus that records what is published, and delivers nothing."""

    def publish(self, texts: Any) -> None:
        published.extend(texts)

    def listen(self) -> Any:
        raise NotImplementedError


@pytest.fixture
def both(make_user: MakeUser, make_message: MakeMessage) -> dict[str, Any]:
    """People of the same key in acme and globex, each with a message of the same key."""
    people = {}
    for schema in ("acme", "globex"):
        with schema_context(schema):
            people[schema] = make_user(pk=1)
            make_message(people[schema], f"of {schema}", pk=1)
    return people


# Callbacks ----------------------------------------------------------------------------------------------------------


def in_globex_within_a_transaction_of_acme(act: Callable[[], object]) -> None:
    with schema_context("acme"), transaction.atomic(), schema_context("globex"):
        act()
        # The way back comes first: the transaction ends in acme.


@pytest.mark.usefixtures("committing")
def test_on_commit_callback_runs_in_schema_current_at_commit() -> None:
    ran_in: list[str] = []
    in_globex_within_a_transaction_of_acme(lambda: transaction.on_commit(lambda: ran_in.append(current_schema())))
    assert ran_in == ["acme"]


@pytest.mark.usefixtures("committing")
def test_change_event_names_schema_of_change() -> None:
    published.clear()
    own = {**django_settings.MESSAGES_EXTENDS, "PUSH_BUS": RecordingBus}
    with override_settings(MESSAGES_EXTENDS=own):
        in_globex_within_a_transaction_of_acme(lambda: changes.notify_changed(users=[1]))
    assert [changes.ChangeEvent.parse(text).schema for text in published] == ["globex"]


# Querysets ----------------------------------------------------------------------------------------------------------


def test_queryset_reads_schema_current_at_evaluation(both: dict[str, Any]) -> None:
    with schema_context("globex"):
        messages = Message.objects.filter(user=both["globex"])
    with schema_context("acme"):
        assert [message.message for message in messages] == ["of acme"]


def test_inbox_in_other_tenant_raises_wrong_tenant(both: dict[str, Any]) -> None:
    with schema_context("globex"):
        theirs = inbox(both["globex"])
        assert [str(entry) for entry in theirs.page().entries] == ["of globex"]
    with schema_context("acme"):
        for ask in (theirs.page, theirs.unread_count, theirs.mark_all_read, theirs.banners):
            with pytest.raises(WrongTenant):
                ask()
        assert inbox(both["acme"]).unread_count() == 1


def test_export_read_in_other_tenant_raises_wrong_tenant(both: dict[str, Any]) -> None:
    with schema_context("globex"):
        exported = export(both["globex"])
    with schema_context("acme"), pytest.raises(WrongTenant):
        list(exported["messages_received"])
    with schema_context("globex"):
        assert [row["text"] for row in export(both["globex"])["messages_received"]] == ["of globex"]


# Cursors ------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("both")
def test_cursor_opened_before_schema_change_reads_previous_schema() -> None:
    with schema_context("acme"), connection.cursor() as cursor:
        connection.set_schema("globex")
        cursor.execute("SELECT message FROM messages_extends_message")
        assert cursor.fetchall() == [("of acme",)]


def kept_cursors(source: str) -> list[str]:
    """Return where a cursor is opened other than for one block, in which the schema may then change."""
    tree = ast.parse(source)
    items = [item for node in ast.walk(tree) if isinstance(node, ast.With | ast.AsyncWith) for item in node.items]
    entered = {id(item.context_expr) for item in items}
    opened = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _opens_cursor(node)]
    return [f"line {node.lineno}: {ast.unparse(node)}" for node in opened if id(node) not in entered]


def blocks_that_change_schema(source: str) -> list[str]:
    """Return where the schema changes while a cursor is open."""
    return [
        f"line {inner.lineno}"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.With) and any(_opens_cursor(item.context_expr) for item in node.items)
        for inner in ast.walk(node)
        if isinstance(inner, ast.Call) and _name(inner) in {"schema_context", "in_schema", "set_schema", "set_tenant"}
    ]


def _opens_cursor(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and _name(node) in {"cursor", "chunked_cursor"}


def _name(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: str(source.relative_to(django_settings.BASE_DIR)))
def test_package_code_opens_cursors_in_with_blocks_of_one_schema(source: Path) -> None:
    text = source.read_text("utf-8")
    assert kept_cursors(text) == []
    assert blocks_that_change_schema(text) == []


def test_cursor_rules_detect_each_violation() -> None:
    assert kept_cursors("cursor = connection.cursor()")
    assert kept_cursors("with connection.cursor() as c:\n pass\nother = connections['x'].chunked_cursor()")
    assert blocks_that_change_schema("with connection.cursor() as c:\n with schema_context('x'):\n  c.execute('')")
    assert not kept_cursors("with connection.cursor() as cursor:\n pass")
