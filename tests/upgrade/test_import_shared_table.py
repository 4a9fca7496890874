"""`import_messages_extends` brings a table that all tenants of 0.6.3 shared into the tenants."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.upgrade.conftest import SCHEMAS
from tests.upgrade.hosts import Host, connect, database
from tests.upgrade.table_definitions import TABLE, table_definition

pytestmark = pytest.mark.longrun

ACME, OTHER = SCHEMAS
ASIDE = "messages_extends_message_0_6_3"
OURS = {11: 9, 21: 19, 26: 24, 31: 29, 41: 39}
ALICE, BOB, CAROL, DAVE = 1, 2, 3, 4


def rows(host: Host, schema: str, table: str = TABLE) -> list[dict[str, Any]]:
    return host.rows(f'SELECT * FROM "{schema}".{table} ORDER BY id')


def texts_of(old: list[dict[str, Any]], *users: int | None) -> list[tuple[Any, ...]]:
    """Say what the old rows of these users must have become, in their order, without the new ids."""
    return [
        (
            OURS.get(row["level"], row["level"]),
            row["message"],
            row["extra_tags"],
            row["created"],
            row["modified"],
            row["expires"],
            row["read"],
            row["modified"] if row["read"] else None,
        )
        for row in old
        if row["user_id"] in users
    ]


def texts(host: Host, schema: str) -> list[tuple[Any, ...]]:
    names = ("level", "message", "extra_tags", "created", "modified", "expires", "read", "read_at")
    return [tuple(row[name] for name in names) for row in rows(host, schema)]


@pytest.fixture
def old(shared: Host) -> list[dict[str, Any]]:
    """The rows of 0.6.3 before anything was done to them."""
    return rows(shared, "public")


@pytest.fixture(scope="module")
def prepared(filled_public: Host) -> Iterator[Host]:
    with database(filled_public.database) as name:
        host = Host(name, "shared-users")
        host.manage("import_messages_extends", "--prepare")
        host.manage("migrate_schemas")
        yield host


@pytest.fixture
def ready(prepared: Host, old: list[dict[str, Any]]) -> Iterator[Host]:
    """The host after the first two steps of the guide, with shared users as before."""
    with database(prepared.database) as name:
        yield Host(name, prepared.layout)


@pytest.fixture(scope="module")
def prepared_with_own_users(filled_public: Host) -> Iterator[Host]:
    with database(filled_public.database) as name:
        host = Host(name, "own-users")
        move_users_aside(host)
        host.manage("import_messages_extends", "--prepare")
        host.manage("migrate_schemas")
        make_users(host, ACME, "zoe", "carol", "alice")
        make_users(host, OTHER, "bob", "yan", "carol")
        yield host


@pytest.fixture
def with_own_users(prepared_with_own_users: Host, old: list[dict[str, Any]]) -> Iterator[Host]:
    """The host after its users moved into the tenants, with other ids, and after the first two steps."""
    with database(prepared_with_own_users.database) as name:
        yield Host(name, prepared_with_own_users.layout)


def move_users_aside(host: Host) -> None:
    """Do what a host's developer does about their own shared tables: trap 6 is about them as well."""
    tables = ("group_permissions", "user_groups", "user_user_permissions", "permission", "group")
    host.execute(
        "ALTER TABLE public.auth_user RENAME TO people_before",
        *(f"DROP TABLE public.auth_{table} CASCADE" for table in tables),
        *(f"DELETE FROM \"{schema}\".django_migrations WHERE app = 'auth'" for schema in SCHEMAS),
    )


def make_users(host: Host, schema: str, *names: str) -> None:
    for name in names:
        host.execute(
            f'INSERT INTO "{schema}".auth_user (username, email, password, first_name, last_name, is_superuser, '
            f"is_staff, is_active, date_joined) VALUES ('{name}2', '{name}@example.com', '', '', '', false, false, "
            "true, now())"
        )


def test_import_prepare_only_renames_table_and_is_repeatable(shared: Host, old: list[dict[str, Any]]) -> None:
    host = shared.moved_to("shared-users")
    for _ in range(2):
        assert ASIDE in host.manage("import_messages_extends", "--prepare")
    assert host.rows("SELECT to_regclass('public.messages_extends_message') AS name") == [{"name": None}]
    kept = rows(host, "public", ASIDE)
    assert [{name: row[name] for name in old[0]} for row in kept] == old
    assert {row["imported_into"] for row in kept} == {None}


def test_migrate_after_prepare_creates_table_in_every_tenant_only(ready: Host) -> None:
    first, second = (table_definition(ready, schema) for schema in SCHEMAS)
    assert first["columns"] == second["columns"]
    assert any(column["column_name"] == "read_at" for column in first["columns"])
    assert ready.rows("SELECT to_regclass('public.messages_extends_message') AS name") == [{"name": None}]
    ready.manage("check", "--database", "default")


def test_import_by_pk_moves_messages_to_tenant_of_member(ready: Host, old: list[dict[str, Any]]) -> None:
    printed = ready.manage("import_messages_extends", "--match", "pk")
    assert texts(ready, ACME) == texts_of(old, ALICE)
    assert texts(ready, OTHER) == texts_of(old, BOB)
    assert {row["user_id"] for row in rows(ready, ACME)} == {ALICE}
    assert f"{ACME}: {len(texts_of(old, ALICE))} of {len(texts_of(old, ALICE))} imported" in printed
    for number, reason in ((CAROL, "in several tenants"), (DAVE, "in no tenant"), (None, "without a user")):
        assert any(str(len(texts_of(old, number))) in line and reason in line for line in printed.splitlines())


def test_import_notes_target_in_old_rows_and_keeps_other_values(ready: Host, old: list[dict[str, Any]]) -> None:
    ready.manage("import_messages_extends", "--match", "pk")
    kept = rows(ready, "public", ASIDE)
    assert [{name: row[name] for name in old[0]} for row in kept] == old
    went = {ALICE: ACME, BOB: OTHER}
    assert [row["imported_into"] for row in kept] == [went.get(row["user_id"]) for row in old]
    for schema in SCHEMAS:
        new = {row["id"]: row["message"] for row in rows(ready, schema)}
        assert new == {row["imported_id"]: row["message"] for row in kept if row["imported_into"] == schema}


def test_import_repeated_adds_nothing(ready: Host) -> None:
    ready.manage("import_messages_extends", "--match", "pk")
    before = {schema: rows(ready, schema) for schema in SCHEMAS}
    ready.manage("import_messages_extends", "--match", "pk")
    assert {schema: rows(ready, schema) for schema in SCHEMAS} == before


def test_import_with_several_to_moves_messages_of_shared_member(ready: Host, old: list[dict[str, Any]]) -> None:
    ready.manage("import_messages_extends", "--match", "pk", "--several-to", OTHER)
    assert texts(ready, ACME) == texts_of(old, ALICE)
    assert texts(ready, OTHER) == texts_of(old, BOB, CAROL)


def test_import_with_tenant_imports_only_that_tenant(ready: Host, old: list[dict[str, Any]]) -> None:
    printed = ready.manage("import_messages_extends", "--match", "pk", "--tenant", OTHER)
    assert texts(ready, ACME) == []
    assert texts(ready, OTHER) == texts_of(old, BOB)
    assert f"{len(texts_of(old, ALICE))} of tenants that --tenant left out" in printed


def test_import_dry_run_prints_counts_and_changes_nothing(shared: Host, old: list[dict[str, Any]]) -> None:
    before = table_definition(shared, "public")
    printed = shared.moved_to("shared-users").manage("import_messages_extends", "--match", "pk", "--dry-run")
    assert f"{ACME}: would import {len(texts_of(old, ALICE))}\n" in printed
    assert rows(shared, "public") == old
    assert table_definition(shared, "public") == before


def test_import_by_email_finds_tenant_users_with_other_ids(with_own_users: Host, old: list[dict[str, Any]]) -> None:
    with_own_users.manage("import_messages_extends", "--match", "email")
    assert texts(with_own_users, ACME) == texts_of(old, ALICE)
    assert {row["user_id"] for row in rows(with_own_users, ACME)} == {3}
    assert texts(with_own_users, OTHER) == texts_of(old, BOB)
    assert {row["user_id"] for row in rows(with_own_users, OTHER)} == {1}


def test_import_by_email_ignores_empty_or_ambiguous_address(with_own_users: Host) -> None:
    with_own_users.execute(
        f"UPDATE public.people_before SET email = '' WHERE id = {ALICE}",
        "UPDATE acme.auth_user SET email = '' WHERE username = 'alice2'",
        f"UPDATE \"{OTHER}\".auth_user SET email = 'bob@example.com' WHERE username = 'yan2'",
    )
    with_own_users.manage("import_messages_extends", "--match", "email")
    assert texts(with_own_users, ACME) == texts(with_own_users, OTHER) == []


def test_import_after_kill_continues_without_loss_or_duplicates(ready: Host, old: list[dict[str, Any]]) -> None:
    make_many(ready, 3000)
    expected = [row["message"] for row in rows(ready, "public", ASIDE) if row["user_id"] == ALICE]
    arguments = ("import_messages_extends", "--match", "pk", "--batch-size", "5")
    for _ in range(2):
        kill_in_the_middle(ready, arguments)
    imported = len(rows(ready, ACME))
    assert 0 < imported < len(expected)
    ready.manage(*arguments)
    assert [row["message"] for row in rows(ready, ACME)] == expected
    assert texts(ready, OTHER) == texts_of(old, BOB)
    into = ready.rows(f"SELECT imported_into, count(*) FROM public.{ASIDE} GROUP BY 1")
    assert {row["imported_into"]: row["count"] for row in into} == {
        ACME: len(expected),
        OTHER: len(texts_of(old, BOB)),
        None: len(texts_of(old, CAROL, DAVE, None)),
    }


def make_many(host: Host, number: int) -> None:
    host.execute(
        f"INSERT INTO public.{ASIDE} (user_id, level, message, extra_tags, created, modified, read) SELECT {ALICE}, "
        f"21, 'number ' || n, '', now(), now(), n % 2 = 0 FROM generate_series(1, {number}) n"
    )


def kill_in_the_middle(host: Host, arguments: tuple[str, ...]) -> None:
    """Start an import, and kill it as soon as it has written something more."""
    command, environment = host.command(*arguments)
    before = len(rows(host, ACME))
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as running:
        while running.poll() is None and len(rows(host, ACME)) == before:
            time.sleep(0.005)
        assert running.poll() is None, "it had ended before it could be killed"
        os.kill(running.pid, signal.SIGKILL)
    wait_until_gone(host)


def wait_until_gone(host: Host) -> None:
    """Wait until the server has noticed, too: it holds the lock until then."""
    query = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    while host.rows(query):
        time.sleep(0.02)


def test_import_rolls_back_batch_when_old_row_update_fails(ready: Host, old: list[dict[str, Any]]) -> None:
    """The note of the seventh row fails: its whole batch of three is not in the tenant."""
    seventh = [row["id"] for row in old if row["user_id"] == ALICE][6]
    ready.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'disk full'; END $$",
        f"CREATE TRIGGER refuse BEFORE UPDATE ON public.{ASIDE} FOR EACH ROW WHEN (old.id = {seventh}) "
        "EXECUTE FUNCTION refuse()",
    )
    assert "disk full" in ready.run("import_messages_extends", "--match", "pk", "--batch-size", "3").stderr
    assert texts(ready, ACME) == texts_of(old, ALICE)[:6]
    ready.execute(f"DROP TRIGGER refuse ON public.{ASIDE}")
    ready.manage("import_messages_extends", "--match", "pk", "--batch-size", "3")
    assert texts(ready, ACME) == texts_of(old, ALICE)


def test_import_refuses_concurrent_run(ready: Host) -> None:
    with connect(ready.database) as connection:
        connection.execute("SELECT pg_advisory_lock(7205759403792794)")
        refused = ready.run("import_messages_extends", "--match", "pk")
    assert refused.returncode == 1
    assert "Another import is running" in refused.stderr
    assert rows(ready, ACME) == []


def test_import_before_migration_names_migrate_schemas(shared: Host) -> None:
    host = shared.moved_to("shared-users")
    refused = host.run("import_messages_extends", "--match", "pk")
    assert refused.returncode == 1
    assert "run migrate_schemas, then this command again" in refused.stderr
    host.manage("migrate_schemas")
    host.manage("import_messages_extends", "--match", "pk")
    assert rows(host, ACME)


def test_import_drop_requires_exact_discard_count_of_remaining_rows(ready: Host, old: list[dict[str, Any]]) -> None:
    left = len(texts_of(old, CAROL, DAVE, None))
    refused = ready.run("import_messages_extends", "--match", "pk", "--drop")
    assert f"--drop --discard {left}" in refused.stderr
    assert len(rows(ready, "public", ASIDE)) == len(old)
    assert ready.run("import_messages_extends", "--drop", "--discard", str(left - 1)).returncode == 1
    ready.manage("import_messages_extends", "--drop", "--discard", str(left))
    assert ready.rows(f"SELECT to_regclass('public.{ASIDE}') AS name") == [{"name": None}]
    assert texts(ready, ACME) == texts_of(old, ALICE)


def test_import_prepare_refuses_table_in_use(shared: Host) -> None:
    host = shared.moved_to("shared-users")
    with connect(host.database) as connection, connection.transaction():
        connection.execute(f"SELECT count(*) FROM public.{TABLE}")
        refused = host.run("import_messages_extends", "--prepare")
    assert refused.returncode == 1
    assert "stop the processes that run the old code" in refused.stderr


def test_import_by_email_with_shared_users_is_refused_in_one_line(shared: Host) -> None:
    refused = shared.moved_to("shared-users").run("import_messages_extends", "--match", "email")
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert "users are shared by all tenants, so only --match pk is possible" in refused.stderr


def test_import_match_with_unknown_field_names_common_fields(with_own_users: Host) -> None:
    refused = with_own_users.run("import_messages_extends", "--match", "nickname")
    assert "date_joined, email, first_name" in refused.stderr


def test_import_with_mapping_assigns_users_and_counts_unknown_users(ready: Host, old: list[dict[str, Any]]) -> None:
    done = ready.run("import_messages_extends", "--mapping", "shop.models.by_hand")
    assert f"{OTHER}: the mapping contains 1 unknown users." in done.stderr
    assert texts(ready, ACME) == texts_of(old, DAVE)
    assert {row["user_id"] for row in rows(ready, ACME)} == {ALICE}
    assert texts(ready, OTHER) == []
