"""What `import_messages_extends` says and refuses, in the reference SaaS: people are per tenant there."""

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.core.management.base import BaseCommand, OutputWrapper
from django_tenants.utils import schema_context

from messages_extends.management.commands.import_messages_extends import Command, Progress
from messages_extends.models import Message
from tests.databases import execute
from tests.upgrade.table_definitions import TABLE

ASIDE = "messages_extends_message_0_6_3"
OLD_TABLE = f"""
    CREATE TABLE public.people_before (id serial PRIMARY KEY, email text NOT NULL);
    CREATE TABLE public.{TABLE} (
        id serial PRIMARY KEY, user_id integer REFERENCES public.people_before, level integer NOT NULL,
        message text NOT NULL, extra_tags varchar(128) NOT NULL, created timestamptz NOT NULL,
        modified timestamptz NOT NULL, read boolean NOT NULL, expires timestamptz
    )
"""
ALICE, BOB = 1, 2
GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "upgrading.md"


def by_hand(schema: str) -> dict[int, int]:
    """Say that old Alice is whoever has this e-mail address in acme."""
    from tenants.people.models import User

    return dict.fromkeys([ALICE], User.objects.get(name="alice").pk) if schema == "acme" else {}


def of_the_documentation(schema: str) -> Any:
    """Return what the callable in the guide returns: a queryset's pairs."""
    names: dict[str, Any] = {}
    exec(re.findall(r"^```python\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)[0], names)
    return names["copied_with_their_ids"](schema)


def nobody_twice(_schema: str) -> list[tuple[int, int]]:
    return [(1, 1), (1, 2)]


def no_pairs(_schema: str) -> list[int]:
    return [1, 2]


def half_a_pair(_schema: str) -> list[tuple[int, None]]:
    return [(1, None)]


def no_ids(_schema: str) -> list[tuple[str, str]]:
    return [("alice", "bob")]


HERE = "tests.upgrade.test_import_command"


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("import_messages_extends", *arguments, stdout=out, stderr=out)
    return out.getvalue()


@pytest.fixture
def old_table(db: None) -> None:
    """A shared table with two people and three messages: two for Alice, one for Bob."""
    execute(OLD_TABLE)
    execute("INSERT INTO public.people_before (email) VALUES ('alice@acme.example'), ('bob@acme.example')")
    write(ALICE, "one")
    write(BOB, "two")
    write(ALICE, "three")


def write(user: int | None, text: str) -> None:
    execute(
        f"INSERT INTO public.{TABLE} (user_id, level, message, extra_tags, created, modified, read) "
        f"VALUES ({user or 'NULL'}, 21, '{text}', '', now(), now(), false)"
    )


@pytest.fixture
def alice(old_table: None, make_user: Callable[..., Any]) -> Any:
    """Alice of acme, whose id is not the one she had."""
    with schema_context("acme"):
        make_user("somebody")
        return make_user("alice", email="alice@acme.example")


def messages_in(schema: str) -> list[tuple[int, str]]:
    with schema_context(schema):
        return list(Message.objects.order_by("pk").values_list("user_id", "message"))


@pytest.mark.parametrize("how", [("--match", "email"), ("--mapping", f"{HERE}.by_hand")])
def test_import_keeps_order_and_assigns_messages_to_matching_user(alice: Any, how: tuple[str, str]) -> None:
    printed = run(*how)
    assert messages_in("acme") == [(alice.pk, "one"), (alice.pk, "three")]
    assert messages_in("globex") == []
    assert "acme: 2 of 2 imported" in printed
    assert "1 of users who are in no tenant" in printed


def test_import_with_documented_mapping_imports_messages(alice: Any) -> None:
    execute(f"INSERT INTO public.people_before (id, email) VALUES ({alice.pk}, 'x') ON CONFLICT DO NOTHING")
    write(alice.pk, "mine")
    run("--mapping", f"{HERE}.of_the_documentation")
    assert (alice.pk, "mine") in messages_in("acme")


def test_import_skips_user_in_several_tenants_without_several_to(alice: Any, make_user: Callable[..., Any]) -> None:
    with schema_context("globex"):
        elsewhere = make_user("alice", email="alice@acme.example")
    assert "2 of users who are in several tenants" in run("--match", "email")
    assert messages_in("acme") == messages_in("globex") == []
    run("--match", "email", "--several-to", "globex")
    assert messages_in("acme") == []
    assert messages_in("globex") == [(elsewhere.pk, "one"), (elsewhere.pk, "three")]


def test_import_dry_run_prints_rename_import_and_drop(alice: Any) -> None:
    assert f"Would rename public.{TABLE}." in run("--prepare", "--dry-run")
    printed = run("--match", "email", "--dry-run", "--drop")
    assert "acme: would import 2" in printed
    assert "Left in public" in printed
    assert f"Would drop public.{TABLE} if" in printed
    assert messages_in("acme") == []


def test_import_with_drop_drops_completely_imported_table(alice: Any) -> None:
    execute(f"DELETE FROM public.{TABLE} WHERE user_id = {BOB}")
    assert "Nothing is left." in run("--match", "email", "--dry-run")
    printed = run("--match", "email", "--drop")
    assert "--drop drops it" in printed
    assert f"public.{ASIDE} has been dropped." in printed
    with pytest.raises(CommandError, match="There is nothing to import: public has neither"):
        run("--match", "email")


def test_import_refuses_discard_count_above_remaining_rows(alice: Any) -> None:
    execute(f"DELETE FROM public.{TABLE} WHERE user_id = {BOB}")
    with pytest.raises(CommandError, match="all its rows are imported, but --discard is 3"):
        run("--match", "email", "--drop", "--discard", "3")


def test_import_progress_prints_at_most_once_per_second_and_at_end() -> None:
    out = io.StringIO()
    times = iter([100.0, 100.5, 101.2, 101.9, 102.3])
    progress = Progress("acme", 40, OutputWrapper(out), clock=lambda: next(times))
    for done in (10, 20, 30, 40):
        progress(done)
    progress.end(40)
    assert out.getvalue() == "acme: 20 of 40\nacme: 40 of 40\nacme: 40 of 40 imported\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Specify --prepare, --match FIELD, --mapping PATH or --drop."),
        (("--match", "pk"), "name a field that both they and the old users have: email."),
        (("--match", "nickname"), "name a field that both they and the old users have: email."),
        (("--mapping", f"{HERE}.nothing"), 'does not define a "nothing" attribute'),
        (("--mapping", "nothing"), "doesn't look like a module path"),
        (("--mapping", f"{HERE}.HERE"), "expected a callable that takes a schema"),
        (("--mapping", f"{HERE}.nobody_twice"), "maps the old user 1 to two users: 1, 2"),
        (("--mapping", f"{HERE}.no_pairs"), r"must return pairs \(old id, new id\), not 1"),
        (("--mapping", f"{HERE}.half_a_pair"), r"must return pairs \(old id, new id\), not \(1, None\)"),
        (("--mapping", f"{HERE}.no_ids"), "contains a value that is not a user id"),
        (("--match", "email", "--tenant", "nowhere"), "no tenant 'nowhere'. The tenants are: acme, globex, platform."),
        (("--match", "email", "--several-to", "nowhere"), "There is no tenant 'nowhere'."),
        (("--match", "email", "--batch-size", "0"), "'0' is not a positive number"),
        (("--match", "email", "--discard", "3"), "--discard requires --drop"),
        (("--match", "email", "--mapping", "x.y"), "not allowed with argument"),
    ],
)
def test_import_refuses_invalid_arguments(old_table: None, arguments: tuple[str, ...], said: str) -> None:
    with pytest.raises(CommandError, match=said):
        run(*arguments)
    assert messages_in("acme") == []


@pytest.mark.parametrize(
    "arguments",
    [("--match", "nickname"), ("--mapping", "nothing"), ("--match", "email", "--tenant", "nowhere"), ("--drop",)],
)
def test_import_with_invalid_arguments_keeps_old_table(old_table: None, arguments: tuple[str, ...]) -> None:
    with pytest.raises(CommandError):
        run(*arguments)
    assert f"Would rename public.{TABLE}." in run("--prepare", "--dry-run")
    run("--prepare")
    assert f"The old table is public.{ASIDE}." in run("--prepare", "--dry-run")


def test_import_with_shared_users_requires_match_pk_and_members(old_table: None, settings: Any) -> None:
    settings.TENANT_APPS = [app for app in settings.TENANT_APPS if app != "tenants.people"]
    with pytest.raises(CommandError, match="only --match pk is possible"):
        run("--match", "email")
    with pytest.raises(CommandError, match=r'MESSAGES_EXTENDS\["MEMBERS"\] is not set'):
        run("--match", "pk")


def test_import_refuses_app_in_shared_apps(old_table: None, settings: Any) -> None:
    settings.SHARED_APPS = [*settings.SHARED_APPS, "messages_extends"]
    with pytest.raises(CommandError, match="still in SHARED_APPS"):
        run("--prepare")


def test_import_refuses_two_old_tables(old_table: None) -> None:
    execute(f"CREATE TABLE public.{ASIDE} ()")
    with pytest.raises(CommandError, match="public has both"):
        run("--prepare")


def test_import_refuses_table_not_of_0_6_3(old_table: None) -> None:
    execute(f"ALTER TABLE public.{TABLE} ADD COLUMN read_at timestamptz")
    with pytest.raises(CommandError, match=r"is not the table of django-messages-extends 0\.6\.3"):
        run("--prepare")


def test_import_without_user_foreign_key_requires_mapping(old_table: None) -> None:
    execute("DROP TABLE public.people_before CASCADE")
    with pytest.raises(CommandError, match="no longer has a foreign key"):
        run("--match", "email")


def test_upgrade_guide_documents_every_import_option() -> None:
    parser = Command().create_parser("manage.py", "import_messages_extends")
    inherited = BaseCommand().create_parser("manage.py", "import_messages_extends")
    own = set(parser._option_string_actions) - set(inherited._option_string_actions)
    assert own == set(re.findall(r"--[a-z-]+", GUIDE.read_text())) & set(parser._option_string_actions) - {"--database"}
