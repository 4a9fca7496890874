"""Each migration of ours, forwards and back, over what the one before it has left: nothing is lost that both know."""

from pathlib import Path
from typing import Any

import pytest

import messages_extends
from tests.upgrade.conftest import SCHEMAS
from tests.upgrade.hosts import Host, connect

pytestmark = pytest.mark.longrun

FOLDER = Path(messages_extends.__path__[0])
STEPS = sorted(path.stem[:4] for path in (FOLDER / "migrations").glob("0*.py"))
SHARED_STEPS = sorted(path.stem[:4] for path in (FOLDER / "broadcasts" / "migrations").glob("0*.py"))
# What is filled in after which step: by SQL, which knows no later columns.
ANNOUNCEMENT = """
INSERT INTO {schema}.messages_extends_announcement
    (id, level, message, extra_tags, url, is_safe, key, created, publish_at, expires, must_acknowledge, revision,
     audience)
VALUES (gen_random_uuid(), 19, 'to all', '', '', false, '', now(), now(), now() + interval '30 days', false, 1,
        'everyone')
"""
RECORD = """
INSERT INTO {schema}.messages_extends_auditrecord
    (recorded_at, actor_id, actor_name, action, subject, audience, text_hash, text)
VALUES (now(), '1', 'ann', 'send', 'messages', '', '', '')
"""
RECEIPT = """
INSERT INTO {schema}.messages_extends_receipt (user_id, publication_id, revision, read_at)
SELECT 1, id, 1, now() FROM {schema}.messages_extends_announcement
"""
SUBMISSION = (
    "INSERT INTO {schema}.messages_extends_submission (id, sent_at, count) VALUES (gen_random_uuid(), now(), 3)"
)
TRIAGED_MESSAGE = """
INSERT INTO {schema}.messages_extends_message
    (user_id, level, title, message, extra_tags, url, url_label, display, category, "group", is_safe, key, created,
     modified, publish_at, read_at, archived_at, snoozed_until, saved_at, marked_at)
VALUES (1, 19, 'title', 'text', '', '/x/', 'label', 'inbox', 'category', 'group', false, '', now(), now(),
        now() - interval '1 day', now(), now(), now() + interval '1 day', now(), now())
"""
# Of a publication that is saved and snoozed, and was never read.
SAVED_RECEIPT = """
INSERT INTO {schema}.messages_extends_receipt (user_id, publication_id, revision, saved_at, snoozed_until)
VALUES (2, gen_random_uuid(), 1, now(), now() + interval '1 day')
"""
FILL = {
    "0005": (ANNOUNCEMENT, RECORD, RECEIPT),
    "0007": (SUBMISSION,),
    "0012": (TRIAGED_MESSAGE, SAVED_RECEIPT),
}
BROADCAST = """
INSERT INTO broadcasts_broadcast
    (id, level, message, extra_tags, url, is_safe, key, created, publish_at, expires, must_acknowledge, revision,
     author, audience)
VALUES (gen_random_uuid(), 19, 'to all', '', '', false, '', now(), now(), now() + interval '30 days', false, 1, 'us',
        'all')
"""
BROADCAST_RECORD = """
INSERT INTO broadcasts_broadcastrecord
    (recorded_at, actor_id, actor_name, action, subject, audience, text_hash, text)
VALUES (now(), '1', 'ann', 'broadcast', 'broadcast', '', '', '')
"""


def quoted(schema: str) -> str:
    return f'"{schema}"'


def tables(host: Host, schema: str) -> list[str]:
    found = host.rows(
        "SELECT tablename FROM pg_tables WHERE schemaname = %s AND tablename ~ '^(messages_extends|broadcasts)_'"
        " ORDER BY tablename",
        schema,
    )
    return [row["tablename"] for row in found]


def contents(host: Host, *schemas: str) -> dict[str, list[dict[str, Any]]]:
    """Return all rows of our tables in these schemas."""
    return {
        f"{schema}.{table}": host.rows(f'SELECT * FROM {quoted(schema)}."{table}" ORDER BY id')
        for schema in schemas
        for table in tables(host, schema)
    }


def in_common(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> tuple[list[Any], list[Any]]:
    """Return both with the columns alone that both have."""
    names = set(one[0]) & set(other[0]) if one and other else set()
    narrow = [[{name: row[name] for name in names} for row in rows] for rows in (one, other)]
    return narrow[0], narrow[1]


def require_nothing_lost(before: dict[str, Any], after: dict[str, Any], *, but: tuple[str, ...] = ()) -> None:
    for table in set(before) & set(after):
        assert len(before[table]) == len(after[table]), table
        old, new = in_common(before[table], after[table])
        for name in but:
            for row in (*old, *new):
                row.pop(name, None)
        assert old == new, table


def fill(host: Host, step: str) -> None:
    for schema in SCHEMAS:
        with connect(host.database) as connection:
            for statement in FILL.get(step, ()):
                connection.execute(statement.format(schema=quoted(schema)))


def test_migration_steps_are_consecutive_and_cover_fill() -> None:
    assert [int(step) for step in STEPS] == list(range(1, len(STEPS) + 1))
    assert set(FILL) <= set(STEPS)


def test_each_migration_forwards_keeps_existing_rows(per_tenant: Host) -> None:
    """The one that turns levels into ours is held to its own rule elsewhere; here all else is."""
    ours = per_tenant.moved_to("tenants")
    for step in STEPS:
        before = contents(ours, *SCHEMAS)
        ours.manage("migrate_schemas", "messages_extends", step)
        require_nothing_lost(before, contents(ours, *SCHEMAS), but=("level",))
        fill(ours, step)
    assert {table.rpartition("_")[2] for table in tables(ours, SCHEMAS[0])} >= {"announcement", "receipt", "submission"}
    assert all(contents(ours, *SCHEMAS)[f"{SCHEMAS[0]}.messages_extends_{name}"] for name in ("receipt", "submission"))


def test_each_migration_backwards_keeps_common_columns(per_tenant: Host) -> None:
    ours = per_tenant.moved_to("tenants")
    ours.manage("migrate_schemas")
    for step in STEPS:
        fill(ours, step)
    for step in reversed(STEPS[:-1]):
        before = contents(ours, *SCHEMAS)
        ours.manage("migrate_schemas", "messages_extends", step)
        if step == "0011":
            # Where a receipt says nothing but that somebody has read.
            for rows in before.values():
                rows[:] = [row for row in rows if row.get("read_at", True) or "publication_id" not in row]
        require_nothing_lost(before, contents(ours, *SCHEMAS), but=("level",))
    ours.manage("migrate_schemas", "messages_extends")
    assert contents(ours, *SCHEMAS)[f"{SCHEMAS[0]}.messages_extends_message"]


@pytest.mark.parametrize("step", SHARED_STEPS[:-1])
def test_broadcast_migrations_keep_rows_in_both_directions(per_tenant: Host, step: str) -> None:
    ours = per_tenant.moved_to("tenants")
    ours.manage("migrate_schemas", "--shared", "broadcasts", step)
    ours.execute(BROADCAST, BROADCAST_RECORD)
    before = contents(ours, "public")
    assert all(before[f"public.broadcasts_{name}"] for name in ("broadcast", "broadcastrecord"))
    for to in (*SHARED_STEPS[SHARED_STEPS.index(step) + 1 :], step, SHARED_STEPS[-1]):
        ours.manage("migrate_schemas", "--shared", "broadcasts", to)
        require_nothing_lost(before, contents(ours, "public"))
