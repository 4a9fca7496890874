"""The pages to look things up in hold what the code holds: nothing is missing, and nothing is there that is not."""

import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.messages import constants as django_levels
from django.core.management import get_commands, load_command_class
from django.core.management.base import BaseCommand
from django.urls import URLPattern, URLResolver

from config.running.main import COMMANDS as RUN_PY
from messages_extends import api, constants, exceptions, urls
from messages_extends.inbox.inbox import Inbox
from messages_extends.inbox.sent import SentMessages
from messages_extends.templatetags.messages_extends import register
from messages_extends.tenancy.schemas import in_schema
from tenants.models import Tenant
from tests.documentation import DOCS
from tests.factories import BrowserOf, MakeUser
from tests.isolation.test_leak_scenarios import is_there

REFERENCE = DOCS / "reference"
COMMANDS = (REFERENCE / "commands.md").read_text("utf-8")


def rows(page: Path) -> Iterator[tuple[str, ...]]:
    """Give the cells of each row of a page's tables that begins with code."""
    for line in page.read_text("utf-8").splitlines():
        if line.startswith("| `"):
            yield tuple(cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1])


# The API ------------------------------------------------------------------------------------------------------------


def signature_of(function: Callable[..., Any]) -> str:
    """Return the parameters as a caller sees them: names and defaults, without types."""
    signature = inspect.signature(function)
    parameters = [each.replace(annotation=each.empty) for each in signature.parameters.values() if each.name != "self"]
    return str(signature.replace(parameters=parameters, return_annotation=signature.empty))


def test_api_page_documents_every_function_signature() -> None:
    page = (REFERENCE / "api.md").read_text("utf-8")
    shortcuts = {name for name in api.__all__ if re.search(r"(persist[ae]nt|sticky)_", name)}
    documented = dict(re.findall(r"^### `(\w+)(\(.*\))`$", page, re.MULTILINE))
    functions = {name for name in api.__all__ if inspect.isfunction(getattr(api, name))} - shortcuts
    assert documented == {name: signature_of(getattr(api, name)) for name in functions}
    assert [name for name in api.__all__ if f"`{name}`" not in page and name not in documented] == []


def test_api_page_documents_every_shortcut_with_signature() -> None:
    page = (REFERENCE / "api.md").read_text("utf-8")
    documented = set(re.findall(r"`((?:add_)?(?:persist[ae]nt|sticky)_\w+)`", page))
    assert documented == {name for name in api.__all__ if re.search(r"(persist[ae]nt|sticky)_", name)}
    [signature] = {signature_of(getattr(api, name)) for name in documented}
    assert f"`{signature}`" in page


@pytest.mark.parametrize(("function", "kind"), [("inbox", Inbox), ("sent", SentMessages)])
def test_api_page_documents_every_method(function: str, kind: type) -> None:
    page = (REFERENCE / "api.md").read_text("utf-8")
    section = page.partition(f"\n### `{function}(user)`\n")[2].partition("\n### ")[0]
    documented = dict(re.findall(r"^\| `(\w+)(\(.*?\))` \|", section, re.MULTILINE))
    methods = {name: method for name, method in vars(kind).items() if not name.startswith("_")}
    assert documented == {name: signature_of(method) for name, method in methods.items()}


def test_api_page_documents_every_exception_with_base_class() -> None:
    base = exceptions.MessagesExtendsError
    errors = {
        name: error.__bases__[1].__name__
        for name, error in vars(exceptions).items()
        if inspect.isclass(error) and issubclass(error, base) and error is not base
    }
    page = (REFERENCE / "api.md").read_text("utf-8").partition("## Errors")[2].partition("\n## ")[0]
    assert dict(re.findall(r"^\| `(\w+)` \| `(\w+)` \|", page, re.MULTILINE)) == errors


# Levels -------------------------------------------------------------------------------------------------------------


def test_levels_page_documents_every_level_with_number_and_tags() -> None:
    documented = {
        name.strip("`"): (int(number), tags.strip("`")) for name, number, _kind, tags in rows(REFERENCE / "levels.md")
    }
    tags = {**django_levels.DEFAULT_TAGS, **constants.DEFAULT_TAGS}
    levels = {name: level for name, level in vars(constants).items() if name.isupper() and isinstance(level, int)}
    assert documented == {name: (level, tags[level]) for name, level in levels.items()}


def test_levels_page_documents_kind_of_every_level() -> None:
    sets = {"persistent": constants.PERSISTENT_MESSAGE_LEVELS, "sticky": constants.STICKY_MESSAGE_LEVELS}
    for name, _number, kind, _tags in rows(REFERENCE / "levels.md"):
        level = getattr(constants, name.strip("`"))
        assert [each for each, levels in sets.items() if level in levels] == ([] if kind == "ordinary" else [kind])


# Template tags ------------------------------------------------------------------------------------------------------


def test_template_tags_page_documents_every_tag_and_filter() -> None:
    page = (REFERENCE / "template-tags.md").read_text("utf-8")
    assert set(re.findall(r"^\| `\{% (\w+)", page, re.MULTILINE)) == set(register.tags)
    assert set(re.findall(r"^\| `\w+\\\|(\w+)`", page, re.MULTILINE)) == set(register.filters)


# Addresses ----------------------------------------------------------------------------------------------------------


def addresses(patterns: list[Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for each in patterns:
        path = f"{prefix}{each.pattern}"
        if isinstance(each, URLResolver):
            yield from addresses(each.url_patterns, path)
        elif isinstance(each, URLPattern):
            yield path, str(each.name)


def test_urls_page_documents_every_url() -> None:
    plain = {"<str:message_id>": "<id>", "<int:message_id>": "<id>", "<str:field>": "<field>", "<uuid:pk>": "<uuid>"}
    found = {re.sub("<.*>", lambda part: plain[part[0]], path): name for path, name in addresses(urls.urlpatterns)}
    page = (REFERENCE / "urls.md").read_text("utf-8")
    documented = re.findall(r"^\| (\(itself\)|`\S+`) \| `(\w+)` \|", page, re.MULTILINE)
    assert {("" if path == "(itself)" else path.strip("`")): name for path, name in documented} == found


@pytest.mark.parametrize(
    ("path", "methods"),
    [(path.strip("`"), methods) for path, _name, methods, _what in rows(REFERENCE / "urls.md")],
)
def test_url_answers_405_except_to_documented_methods(
    path: str, methods: str, acme: Tenant, make_user: MakeUser, browser_of: BrowserOf
) -> None:
    """Not to others, that is: what a method leads to is the matter of other tests."""
    schema = "platform" if path.startswith("broadcasts/") else "acme"
    tenant = type(acme).objects.get(schema_name=schema)
    with_id = path.replace("<id>", "1").replace("<uuid>", "00000000-0000-4000-8000-000000000000")
    with in_schema(schema):
        browser = browser_of(tenant, make_user(is_superuser=True))
    for method in ("GET", "POST"):
        response = browser.generic(method, f"/messages/{with_id.replace('<field>', 'holder')}")
        assert (response.status_code == 405) == (method not in methods.split(", ")), f"{method} {path}"


# Commands -----------------------------------------------------------------------------------------------------------


def our_commands() -> list[str]:
    ours = {"messages_extends", "messages_extends.broadcasts", "tenants"}
    # django-tenants' own, which only wait for each other.
    return sorted(name for name, app in get_commands().items() if app in ours and not name.startswith("migrate"))


def documented_commands() -> dict[str, str]:
    parts = re.split(r"^### (\w+)$", COMMANDS.partition("\n## run.py")[0], flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_commands_page_documents_every_command() -> None:
    assert sorted(documented_commands()) == our_commands()


@pytest.mark.parametrize("name", our_commands())
def test_commands_page_documents_every_argument(name: str) -> None:
    parser = load_command_class(get_commands()[name], name).create_parser("manage.py", name)
    inherited = {action.dest for action in BaseCommand().create_parser("manage.py", name)._actions}
    arguments = {
        (action.option_strings or [action.dest])[-1] for action in parser._actions if action.dest not in inherited
    }
    assert set(re.findall(r"^\| `([\w-]+)` \|", documented_commands()[name], re.MULTILINE)) == arguments


def test_commands_page_documents_every_run_py_command() -> None:
    assert set(re.findall(r"^\| `python3 run\.py (\w+)` \|", COMMANDS, re.MULTILINE)) == set(RUN_PY)


# Tests --------------------------------------------------------------------------------------------------------------


def test_security_page_names_existing_tests() -> None:
    names = re.findall(r"`([\w/]+\.py::[\w:]+)`", (DOCS / "security.md").read_text("utf-8"))
    assert len(names) > 50
    assert [name for name in names if not is_there(f"tests/{name}")] == []
