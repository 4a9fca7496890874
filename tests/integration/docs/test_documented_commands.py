"""The commands on the pages: Django's are run, on two organisations; of the others the words are looked at."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.management import call_command, get_commands, load_command_class
from django_tenants.utils import schema_context

from config.running import commands
from config.running.main import COMMANDS
from tests.documentation import Block, all_blocks
from tests.factories import MakeUser
from tests.unit.docs.test_code_blocks import FOLLOWED, UNINSTALLING, UPGRADING

pytestmark = pytest.mark.integration

PYTHON = re.compile(r"^(?:docker compose exec web )?python manage\.py (?P<words>.+)$")
# These are run elsewhere, or change what no test may: the tests of the upgrade, of organisations, of the catalogues.
ONLY_READ = {"create_organisation", "makemigrations", "import_messages_extends"}
# What is no command of ours: installing is done by the test of the tutorial, catalogues are looked at by test_i18n.
OTHERS = {"pip", "django-admin", "export", "docker", "pytest", "."}
RUN = re.compile(r"^python3(?:\.\d+)? run\.py (?P<name>\w+)(?P<words>.*)$")


def shell_blocks() -> list[Block]:
    return [block for block in all_blocks() if block.language in {"sh", "console"} and block.page not in FOLLOWED]


def lines_of(block: Block) -> list[str]:
    """Return the commands of a block; of a console's, what stands behind the prompt."""
    lines = block.code.splitlines()
    if block.language == "console":
        lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    return [line.partition("  #")[0].strip() for line in lines if line and not line.startswith("#")]


def of_django() -> list[Any]:
    """Return each command of Django's as a test parameter: the page, and the words behind `manage.py`."""
    found = [(block, PYTHON.match(line)) for block in shell_blocks() for line in lines_of(block)]
    return [
        pytest.param(block.page, match["words"], id=f"{block.name}-{match['words']}") for block, match in found if match
    ]


def test_documented_lines_are_known_commands() -> None:
    lost = [
        line
        for block in shell_blocks()
        for line in lines_of(block)
        if not (PYTHON.match(line) or RUN.match(line) or line.split()[0] in OTHERS or line == "python3 -m venv .venv")
    ]
    assert lost == []


@pytest.mark.parametrize(
    ("name", "words"),
    sorted(
        {(match["name"], match["words"]) for b in shell_blocks() for line in lines_of(b) if (match := RUN.match(line))}
    ),
)
def test_documented_run_py_commands_and_options_exist(name: str, words: str) -> None:
    assert name in COMMANDS
    parse = getattr(commands, f"_{name}_options", None)
    if parse is not None:
        parse(shlex.split(words))


@pytest.fixture
def people(committing: None, make_user: MakeUser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make those whom the pages name, in a folder where commands may leave files, and answer yes to what is asked."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("builtins.input", lambda *_: "yes")
    with schema_context("acme"):
        sales, _managers = (Group.objects.create(name=name) for name in ("Sales", "Managers"))
        for name in ("alice", "bob", "sally"):
            email = "sally@example.com" if name == "sally" else f"{name}@acme.example"
            sales.user_set.add(make_user(name, email=email))


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize(("page", "words"), of_django())
def test_documented_django_commands_work(page: str, words: str) -> None:
    name, *arguments = shlex.split(words)
    is_of_tenant = name == "tenant_command"
    if is_of_tenant:
        name, *arguments = " ".join(arguments).removesuffix(" --schema acme").split()
    if page in {UPGRADING, UNINSTALLING} or name in ONLY_READ or is_of_tenant:
        load_command_class(get_commands()[name], name).create_parser("manage.py", name).parse_args(arguments)
    else:
        call_command(name, *arguments, *(["--verbosity", "0"] if name.startswith("migrate") else []))


def consoles() -> Iterator[Any]:
    for block in shell_blocks():
        if block.language == "console" and [line for line in block.code.splitlines() if not line.startswith("$ ")]:
            yield pytest.param(block, id=block.name)


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize("block", list(consoles()))
def test_documented_console_output_matches_command_output(block: Block, capsys: pytest.CaptureFixture[str]) -> None:
    parts = re.split(r"^\$ python manage\.py (.+)\n", block.code, flags=re.MULTILINE)[1:]
    for words, expected in zip(parts[::2], parts[1::2], strict=True):
        capsys.readouterr()
        call_command(*shlex.split(words))
        assert expected in ("", capsys.readouterr().out)
