"""The documented code runs, and the documented values are those of the code."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import Group
from django.core.checks import ERROR, run_checks
from django.template import engines
from django.urls import URLResolver
from django_tenants.utils import schema_context

from messages_extends import constants
from messages_extends.conf import DEFAULT_POLICY, Settings
from messages_extends.grants import grant
from messages_extends.models import Message
from tests.test_storages import make_request

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(language: str, title: str = "") -> list[Any]:
    """Return each block of a language as a test parameter; of Python, those whose first line names the file `title`."""
    return [
        pytest.param(match[2], id=f"{page.relative_to(ROOT)}:{number}")
        for page in PAGES
        for number, match in enumerate(BLOCK.finditer(page.read_text()), 1)
        if match[1] == language and match[2].startswith(f"# {title}" if title else "")
    ]


def run(code: str, **names: Any) -> dict[str, Any]:
    exec(compile(code, "documentation", "exec"), names)
    return names


def test_every_block_of_python_says_which_file_it_belongs_to() -> None:
    files = (
        "settings.py",
        "urls.py",
        "views.py",
        "storages.py",
        "people.py",
        "shell",
        "announcements.py",
        "platform.py",
        "tests.py",
    )
    lost = [
        code
        for param in blocks("python")
        for code in param.values
        if not code.startswith(tuple(f"# {f}" for f in files))
    ]
    assert lost == []


@pytest.mark.parametrize("code", blocks("python", "views.py"))
def test_views(code: str, in_acme: Any, make_user: Any) -> None:
    alice, sally = make_user("alice"), make_user("sally")
    grant(alice, sally)
    run(code, request=make_request(in_acme, alice), sally=sally, order=None)


@pytest.mark.parametrize("code", blocks("python", "settings.py"))
def test_settings_pass_our_checks(code: str, settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    [(storages,)] = [param.values for param in blocks("python", "storages.py")]
    (tmp_path / "storages.py").write_text(storages)
    monkeypatch.syspath_prepend(tmp_path)
    shared_apps, tenant_apps = (
        [app for app in apps if f'"{app}"' not in code]
        for apps in (django_settings.SHARED_APPS, django_settings.TENANT_APPS)
    )
    names = run(
        code,
        SHARED_APPS=shared_apps,
        TENANT_APPS=tenant_apps,
        DATABASES={"default": dict(django_settings.DATABASES["default"])},
    )
    for name in names:
        if name.isupper() and name != "DATABASES":
            setattr(settings, name, names[name])
    assert [check for check in run_checks() if check.level >= ERROR] == []


@pytest.mark.parametrize("code", blocks("python", "urls.py"))
def test_urls_include_ours(code: str) -> None:
    resolver = next(item for item in run(code)["urlpatterns"] if isinstance(item, URLResolver))
    assert resolver.resolve("messages/mark_read/5/").url_name == "message_mark_read"


@pytest.mark.parametrize("code", blocks("python", "announcements.py"))
def test_announcements(code: str, in_acme: Any, make_user: Any) -> None:
    Group.objects.create(name="Sales")
    run(code, alice=make_user("alice", is_superuser=True))


@pytest.mark.parametrize("code", blocks("python", "platform.py"))
@pytest.mark.parametrize("schema", ["public", "platform"])
def test_broadcasts(code: str, schema: str, acme: Any, globex: Any) -> None:
    with schema_context(schema):
        run(code, acme=acme, globex=globex)


@pytest.mark.parametrize("code", blocks("python", "tests.py"))
def test_tests(code: str, in_acme: Any, make_user: Any) -> None:
    run(code, sally=make_user("sally"), bob=make_user("bob"))


@pytest.mark.parametrize("code", blocks("html"))
def test_templates_render_every_kind(code: str, in_acme: Any, make_user: Any, make_message: Any) -> None:
    alice = make_user("alice")
    message = make_message(alice, "Hello from the database")
    html = engines["django"].from_string(code).render({"messages": [message]}, make_request(in_acme, alice))
    assert f"/messages/mark_read/{message.pk}/" in html
    assert "Hello from the database" in html


def test_the_storage_of_the_documentation_takes_its_own(in_acme: Any, settings: Any) -> None:
    [(code,)] = [param.values for param in blocks("python", "storages.py")]
    storage = run(code)["LogStorage"](make_request(in_acme))
    mine, other = (Message(message="m", extra_tags=tags) for tags in ("log", ""))
    assert storage.process_message(mine) is None
    assert storage.process_message(other) is other
    assert storage.written == ["m"]


def test_the_readmes_levels_are_the_codes() -> None:
    rows = re.findall(r"^\| (?:ordinary|`\*(_\w+)`) \|(.*)\|$", (ROOT / "README.md").read_text(), re.MULTILINE)
    documented = {
        f"{name}{suffix}": int(number)
        for suffix, numbers in rows
        for name, number in zip(("DEBUG", "INFO", "SUCCESS", "WARNING", "ERROR"), numbers.split("|"), strict=True)
    }
    assert len(documented) == 15
    assert documented == {name: getattr(constants, name) for name in documented}


def test_every_link_between_the_pages_leads_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_setting_of_the_package_is_documented_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+?) \|", (DOCS / "reference" / "settings.md").read_text(), re.MULTILINE))
    assert set(Settings.KEYS) <= set(rows)
    assert rows["MAX_BANNERS"] == f"`{Settings().max_banners}`"
    assert rows["POLICY"] == f'`"{DEFAULT_POLICY}"`'
    assert rows["RETENTION_DAYS"] == f"`{Settings().retention_days}`"
    assert rows["SEND_LIMITS"] == f"`{json.dumps(Settings().send_limits)}`"


def test_every_variable_of_the_environment_is_documented() -> None:
    used = re.findall(r'env\.\w+\(\s*"([A-Z_]+)"', (ROOT / "config" / "settings.py").read_text())
    table = (DOCS / "reference" / "settings.md").read_text()
    assert len(used) > 20
    assert [name for name in used if f"`{name}`" not in table] == []
