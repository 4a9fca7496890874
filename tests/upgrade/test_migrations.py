"""`migrate_schemas` turns the tables of django-messages-extends 0.6.3 into ours, and back."""

from typing import Any

import psycopg
import pytest

from tests.upgrade.conftest import SCHEMAS
from tests.upgrade.hosts import Host, connect
from tests.upgrade.table_definitions import TABLE, table_definition

pytestmark = pytest.mark.longrun

OURS = {11: 9, 21: 19, 26: 24, 31: 29, 41: 39}
UNCHANGED = ("id", "user_id", "message", "extra_tags", "created", "modified", "expires", "read")


def table_of(schema: str) -> str:
    return f'"{schema}".{TABLE}'


def rows(host: Host, schema: str) -> list[dict[str, Any]]:
    return host.rows(f"SELECT * FROM {table_of(schema)} ORDER BY id")


def snapshot(host: Host) -> dict[str, list[dict[str, Any]]]:
    return {schema: rows(host, schema) for schema in SCHEMAS}


def as_upgraded(old: dict[str, Any]) -> dict[str, Any]:
    """Say what a row of 0.6.3 must have become."""
    return {
        **{name: old[name] for name in UNCHANGED},
        "level": OURS.get(old["level"], old["level"]),
        "read_at": old["modified"] if old["read"] else None,
        "sender_id": None,
        "from_person": False,
        "params": None,
        "url": "",
        "is_safe": False,
        "key": "",
        "title": "",
        "url_label": "",
        "display": "banner",
        "category": "",
        "group": "",
        "publish_at": None,
        "archived_at": None,
        "snoozed_until": None,
        "saved_at": None,
        "marked_at": None,
        "previous_archived_at": None,
        "previous_snoozed_until": None,
        "previous_saved_at": None,
        "shows_at": old["created"],
    }


def back(host: Host) -> None:
    host.manage("migrate_schemas", "messages_extends", "0001")


def test_old_sample_rows_cover_every_variation(per_tenant: Host) -> None:
    first, second = (rows(per_tenant, schema) for schema in SCHEMAS)
    assert [row["id"] for row in first] == [row["id"] for row in second]
    assert {row["level"] for row in first} == {*OURS, *OURS.values(), 20}
    for row_filter in (
        lambda row: row["read"],
        lambda row: not row["read"],
        lambda row: row["user_id"] is None,
        lambda row: row["extra_tags"],
        lambda row: row["expires"] and row["expires"] < row["created"],
        lambda row: row["expires"] and row["expires"] > row["created"],
        lambda row: not row["message"].isascii(),
        lambda row: row["read"] and row["modified"] > row["created"],
    ):
        assert any(map(row_filter, first))


def test_migrate_keeps_rows_with_new_level_and_read_at(per_tenant: Host, migrated: Host) -> None:
    old = snapshot(per_tenant)
    assert snapshot(migrated) == {schema: [as_upgraded(row) for row in old[schema]] for schema in SCHEMAS}


def test_migrate_back_to_0001_restores_old_table_and_rows(per_tenant: Host, migrated: Host) -> None:
    old, definitions = snapshot(per_tenant), [table_definition(per_tenant, schema) for schema in SCHEMAS]
    assert [table_definition(migrated, schema) for schema in SCHEMAS] != definitions
    back(migrated)
    assert [table_definition(migrated, schema) for schema in SCHEMAS] == definitions
    assert snapshot(migrated) == old


def test_migrate_back_restores_only_original_levels(per_tenant: Host, migrated: Host) -> None:
    columns = "user_id, message, extra_tags, url, is_safe, key, created, modified"
    migrated.execute(
        f"UPDATE acme.{TABLE} SET level = 39 WHERE level = 9 AND message LIKE '%README%'",
        f"INSERT INTO acme.{TABLE} (level, {columns}) VALUES (19, 1, 'new', '', '', false, '', now(), now())",
    )
    back(migrated)
    by_hand = [row["level"] for row in rows(migrated, "acme") if "README" in row["message"]]
    assert (by_hand, rows(migrated, "acme")[-1]["level"]) == ([41, 19, 24, 29, 39], 21)
    assert migrated.rows("SELECT 1 FROM pg_tables WHERE tablename = 'messages_extends_level_before'") == []


def test_migrate_forwards_after_back_restores_upgraded_rows(migrated: Host) -> None:
    upgraded, definitions = snapshot(migrated), [table_definition(migrated, schema) for schema in SCHEMAS]
    back(migrated)
    migrated.manage("migrate_schemas")
    assert snapshot(migrated) == upgraded
    assert [table_definition(migrated, schema) for schema in SCHEMAS] == definitions


def test_upgraded_table_equals_table_of_new_tenant(migrated: Host) -> None:
    add_tenant(migrated)
    assert table_definition(migrated, "initech") == table_definition(migrated, "acme")


def test_migration_0001_creates_exact_table_of_0_6_3(per_tenant: Host, migrated: Host) -> None:
    made_by_0_6_3 = table_definition(per_tenant, "acme", in_order=True)
    add_tenant(migrated)
    back(migrated)
    migrated.execute(f"DROP TABLE initech.{TABLE}")
    migrated.execute("DELETE FROM initech.django_migrations WHERE app = 'messages_extends'")
    migrated.manage("migrate_schemas", "messages_extends", "0001", "--schema", "initech")
    assert table_definition(migrated, "initech", in_order=True) == made_by_0_6_3


def add_tenant(host: Host, schema: str = "initech") -> None:
    host.execute(f"INSERT INTO shop_customer (schema_name) VALUES ('{schema}')", f"CREATE SCHEMA {schema}")
    host.manage("migrate_schemas")


@pytest.mark.parametrize("to", ["forwards", "back"])
def test_new_rows_after_migration_get_next_ids(migrated: Host, to: str) -> None:
    last = rows(migrated, "acme")[-1]["id"]
    required = {"user_id": 1, "level": 19, "message": "new", "extra_tags": "", "url": "", "is_safe": False, "key": ""}
    if to == "back":
        back(migrated)
        required = {"user_id": 1, "level": 21, "message": "new", "extra_tags": "", "read": False}
    values = ", ".join(f"'{value}'" for value in required.values())
    migrated.execute(
        f"INSERT INTO acme.{TABLE} (created, modified, {', '.join(required)}) VALUES (now(), now(), {values})"
    )
    assert rows(migrated, "acme")[-1]["id"] == last + 1


def test_migrate_with_serial_ids_upgrades_and_restores_table(per_tenant: Host) -> None:
    """Django before 4.1 made such tables."""
    make_serial(per_tenant)
    old, before = rows(per_tenant, "acme"), table_definition(per_tenant, "acme")
    ours = per_tenant.moved_to("tenants")
    ours.manage("migrate_schemas")
    assert rows(ours, "acme") == [as_upgraded(row) for row in old]
    ours.execute(
        f"INSERT INTO acme.{TABLE} (created, modified, level, message, extra_tags, url, is_safe, key) "
        "VALUES (now(), now(), 19, 'new', '', '', false, '')"
    )
    assert rows(ours, "acme")[-1]["id"] == old[-1]["id"] + 1
    back(ours)
    assert table_definition(ours, "acme") == before


def make_serial(host: Host) -> None:
    last = rows(host, "acme")[-1]["id"]
    host.execute(
        f"ALTER TABLE acme.{TABLE} ALTER id DROP IDENTITY",
        f"CREATE SEQUENCE acme.{TABLE}_id_seq AS integer OWNED BY acme.{TABLE}.id",
        f"ALTER TABLE acme.{TABLE} ALTER id SET DEFAULT nextval('acme.{TABLE}_id_seq')",
        f"SELECT setval('acme.{TABLE}_id_seq', {last})",
    )


def test_migrate_after_failure_in_one_tenant_continues(per_tenant: Host) -> None:
    """A view of the host's own on `read` is enough to stop it."""
    old, (stopped, other) = snapshot(per_tenant), SCHEMAS
    per_tenant.execute(f"CREATE VIEW {stopped}.unread AS SELECT id FROM {table_of(stopped)} WHERE NOT read")
    ours = per_tenant.moved_to("tenants")
    failed = ours.run("migrate_schemas")
    assert failed.returncode != 0
    assert "other objects depend on it" in failed.stderr
    assert table_definition(ours, other)["columns"] == table_definition(per_tenant, other)["columns"]
    ours.execute(f"DROP VIEW {stopped}.unread")
    ours.manage("migrate_schemas")
    assert snapshot(ours) == {schema: [as_upgraded(row) for row in old[schema]] for schema in SCHEMAS}


def test_deleting_user_after_upgrade_deletes_only_received_messages(migrated: Host) -> None:
    before = rows(migrated, "acme")
    migrated.execute(f"UPDATE acme.{TABLE} SET sender_id = 1", "DELETE FROM acme.auth_user WHERE id = 1")
    assert rows(migrated, "acme") == [row for row in before if row["user_id"] != 1] != []
    assert 1 in {row["user_id"] for row in rows(migrated, SCHEMAS[1])}


def test_message_with_unknown_user_violates_foreign_key_immediately(migrated: Host) -> None:
    with connect(migrated.database) as connection:
        connection.execute("BEGIN")
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            connection.execute(f"UPDATE acme.{TABLE} SET user_id = 999")
        connection.execute("ROLLBACK")


def test_migrate_without_user_foreign_key_names_missing_key(per_tenant: Host) -> None:
    (name,) = [row["conname"] for row in table_definition(per_tenant, "acme")["constraints"] if row["contype"] == "f"]
    per_tenant.execute(f"ALTER TABLE acme.{TABLE} DROP CONSTRAINT {name}")
    failed = per_tenant.moved_to("tenants").run("migrate_schemas")
    assert failed.returncode != 0
    assert 'There is no foreign key on column user_id of "acme".' in failed.stderr
    assert "Add it again, then migrate again." in failed.stderr


def test_sqlmigrate_shows_foreign_key_statements(per_tenant: Host) -> None:
    ours = per_tenant.moved_to("tenants")
    for name in ("0001", "0002", "0003", "0004"):
        script = ours.manage("tenant_command", "sqlmigrate", "messages_extends", name, "--schema", SCHEMAS[1])
        assert "BEGIN;" in script
    assert "ON DELETE CASCADE DEFERRABLE INITIALLY IMMEDIATE" in script
    assert "ON DELETE SET NULL DEFERRABLE INITIALLY IMMEDIATE" in script


def test_migrate_without_tenant_table_keeps_public_table(shared: Host) -> None:
    """django-tenants recorded 0001 there, too, while the app was shared."""
    old, before = rows(shared, "public"), table_definition(shared, "public")
    ours = shared.moved_to("shared-users")
    assert "messages_extends.E015" in ours.run("migrate_schemas").stderr
    failed = ours.run("migrate_schemas", "--skip-checks")
    assert failed.returncode != 0
    assert "import_messages_extends --prepare" in failed.stderr
    assert rows(shared, "public") == old
    assert table_definition(shared, "public") == before
