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
from tests.upgrade.shapes import TABLE, shape

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


def test_preparing_only_renames_and_can_be_repeated(shared: Host, old: list[dict[str, Any]]) -> None:
    host = shared.moved_to("shared-users")
    for _ in range(2):
        assert ASIDE in host.manage("import_messages_extends", "--prepare")
    assert host.rows("SELECT to_regclass('public.messages_extends_message') AS name") == [{"name": None}]
    kept = rows(host, "public", ASIDE)
    assert [{name: row[name] for name in old[0]} for row in kept] == old
    assert {row["imported_into"] for row in kept} == {None}


def test_after_preparing_every_tenant_gets_a_table_of_its_own_and_public_none(ready: Host) -> None:
    first, second = (shape(ready, schema) for schema in SCHEMAS)
    assert first["columns"] == second["columns"]
    assert any(column["column_name"] == "read_at" for column in first["columns"])
    assert ready.rows("SELECT to_regclass('public.messages_extends_message') AS name") == [{"name": None}]
    ready.manage("check", "--database", "default")


def test_shared_users_find_their_messages_in_the_tenant_that_they_are_members_of(
    ready: Host, old: list[dict[str, Any]]
) -> None:
    printed = ready.manage("import_messages_extends", "--match", "pk")
    assert texts(ready, ACME) == texts_of(old, ALICE)
    assert texts(ready, OTHER) == texts_of(old, BOB)
    assert {row["user_id"] for row in rows(ready, ACME)} == {ALICE}
    assert f"{ACME}: {len(texts_of(old, ALICE))} of {len(texts_of(old, ALICE))} imported" in printed
    for number, reason in ((CAROL, "in several tenants"), (DAVE, "in no tenant"), (None, "without a user")):
        assert any(str(len(texts_of(old, number))) in line and reason in line for line in printed.splitlines())


def test_every_old_row_says_where_it_went_and_the_others_are_as_they_were(
    ready: Host, old: list[dict[str, Any]]
) -> None:
    ready.manage("import_messages_extends", "--match", "pk")
    kept = rows(ready, "public", ASIDE)
    assert [{name: row[name] for name in old[0]} for row in kept] == old
    went = {ALICE: ACME, BOB: OTHER}
    assert [row["imported_into"] for row in kept] == [went.get(row["user_id"]) for row in old]
    for schema in SCHEMAS:
        new = {row["id"]: row["message"] for row in rows(ready, schema)}
        assert new == {row["imported_id"]: row["message"] for row in kept if row["imported_into"] == schema}


def test_importing_again_adds_nothing(ready: Host) -> None:
    ready.manage("import_messages_extends", "--match", "pk")
    before = {schema: rows(ready, schema) for schema in SCHEMAS}
    ready.manage("import_messages_extends", "--match", "pk")
    assert {schema: rows(ready, schema) for schema in SCHEMAS} == before


def test_who_is_in_several_tenants_goes_only_where_the_operator_says(ready: Host, old: list[dict[str, Any]]) -> None:
    ready.manage("import_messages_extends", "--match", "pk", "--several-to", OTHER)
    assert texts(ready, ACME) == texts_of(old, ALICE)
    assert texts(ready, OTHER) == texts_of(old, BOB, CAROL)


def test_one_tenant_can_be_imported_before_the_others(ready: Host, old: list[dict[str, Any]]) -> None:
    printed = ready.manage("import_messages_extends", "--match", "pk", "--tenant", OTHER)
    assert texts(ready, ACME) == []
    assert texts(ready, OTHER) == texts_of(old, BOB)
    assert f"{len(texts_of(old, ALICE))} of tenants that --tenant left out" in printed


def test_a_dry_run_foretells_the_numbers_and_changes_nothing(shared: Host, old: list[dict[str, Any]]) -> None:
    before = shape(shared, "public")
    printed = shared.moved_to("shared-users").manage("import_messages_extends", "--match", "pk", "--dry-run")
    assert f"{ACME}: would import {len(texts_of(old, ALICE))}\n" in printed
    assert rows(shared, "public") == old
    assert shape(shared, "public") == before


def test_users_of_their_own_are_found_by_their_address_whatever_their_ids(
    with_own_users: Host, old: list[dict[str, Any]]
) -> None:
    with_own_users.manage("import_messages_extends", "--match", "email")
    assert texts(with_own_users, ACME) == texts_of(old, ALICE)
    assert {row["user_id"] for row in rows(with_own_users, ACME)} == {3}
    assert texts(with_own_users, OTHER) == texts_of(old, BOB)
    assert {row["user_id"] for row in rows(with_own_users, OTHER)} == {1}


def test_an_address_that_is_empty_or_twice_there_matches_nobody(with_own_users: Host) -> None:
    with_own_users.execute(
        f"UPDATE public.people_before SET email = '' WHERE id = {ALICE}",
        "UPDATE acme.auth_user SET email = '' WHERE username = 'alice2'",
        f"UPDATE \"{OTHER}\".auth_user SET email = 'bob@example.com' WHERE username = 'yan2'",
    )
    with_own_users.manage("import_messages_extends", "--match", "email")
    assert texts(with_own_users, ACME) == texts(with_own_users, OTHER) == []


def test_an_import_that_is_killed_goes_on_without_loss_or_doubles(ready: Host, old: list[dict[str, Any]]) -> None:
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


def test_a_row_is_in_its_tenant_only_if_the_old_table_says_so(ready: Host, old: list[dict[str, Any]]) -> None:
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


def test_two_imports_do_not_run_at_once(ready: Host) -> None:
    with connect(ready.database) as connection:
        connection.execute("SELECT pg_advisory_lock(7205759403792794)")
        refused = ready.run("import_messages_extends", "--match", "pk")
    assert refused.returncode == 1
    assert "Another import is running" in refused.stderr
    assert rows(ready, ACME) == []


def test_importing_before_the_tenants_have_tables_says_what_to_run(shared: Host) -> None:
    host = shared.moved_to("shared-users")
    refused = host.run("import_messages_extends", "--match", "pk")
    assert refused.returncode == 1
    assert "run migrate_schemas, then this command again" in refused.stderr
    host.manage("migrate_schemas")
    host.manage("import_messages_extends", "--match", "pk")
    assert rows(host, ACME)


def test_the_old_table_is_dropped_only_with_all_rows_imported_or_given_up_by_number(
    ready: Host, old: list[dict[str, Any]]
) -> None:
    left = len(texts_of(old, CAROL, DAVE, None))
    refused = ready.run("import_messages_extends", "--match", "pk", "--drop")
    assert f"--drop --discard {left}" in refused.stderr
    assert len(rows(ready, "public", ASIDE)) == len(old)
    assert ready.run("import_messages_extends", "--drop", "--discard", str(left - 1)).returncode == 1
    ready.manage("import_messages_extends", "--drop", "--discard", str(left))
    assert ready.rows(f"SELECT to_regclass('public.{ASIDE}') AS name") == [{"name": None}]
    assert texts(ready, ACME) == texts_of(old, ALICE)


def test_a_table_in_use_is_left_alone_with_a_clear_word(shared: Host) -> None:
    host = shared.moved_to("shared-users")
    with connect(host.database) as connection, connection.transaction():
        connection.execute(f"SELECT count(*) FROM public.{TABLE}")
        refused = host.run("import_messages_extends", "--prepare")
    assert refused.returncode == 1
    assert "stop the processes that run the old code" in refused.stderr


def test_what_cannot_work_is_refused_in_one_line(shared: Host) -> None:
    refused = shared.moved_to("shared-users").run("import_messages_extends", "--match", "email")
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert "users are shared by all tenants, so only --match pk is possible" in refused.stderr


def test_a_field_that_only_one_side_has_is_refused_with_the_others_named(with_own_users: Host) -> None:
    refused = with_own_users.run("import_messages_extends", "--match", "nickname")
    assert "date_joined, email, first_name" in refused.stderr


def test_a_callable_says_who_is_who_and_strangers_are_counted(ready: Host, old: list[dict[str, Any]]) -> None:
    done = ready.run("import_messages_extends", "--mapping", "shop.models.by_hand")
    assert f"{OTHER}: the mapping contains 1 unknown users." in done.stderr
    assert texts(ready, ACME) == texts_of(old, DAVE)
    assert {row["user_id"] for row in rows(ready, ACME)} == {ALICE}
    assert texts(ready, OTHER) == []
