"""The documented code runs, and the documented values are those of the code."""

import copy
import inspect
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

from messages_extends.access.grants import grant
from messages_extends.conf import DEFAULT_POLICY, Settings
from messages_extends.live.asgi import LiveUpdates
from messages_extends.models import Message
from messages_extends.policy import Policy
from tenants.models import Tenant
from tests.documentation import DOCS, PAGES, ROOT, all_blocks, block_of
from tests.factories import BrowserOf, MakeMessage, MakeUser
from tests.integration.hosts.operators import settings as operators
from tests.integration.hosts.shared_users import settings as shared_users
from tests.integration.hosts.tenant_users import settings as tenant_users
from tests.unit.storages.test_storages import make_request

TUTORIAL = "docs/tutorial/first-broadcast.md"
BACKUP = "docs/how-to/backup.md"
UPGRADING = "docs/how-to/upgrading.md"
UNINSTALLING = "docs/how-to/uninstalling.md"
# Pages that a test of their own follows from the first block to the last.
FOLLOWED = {TUTORIAL: "integration/docs/test_tutorial.py", BACKUP: "integration/set_up/test_backup.py"}
# Where blocks of the other pages are run: by their language, and those of Python by the file that they belong to.
RUN_BY = {
    "css": "unit/docs/test_code_blocks.py",
    "django": "unit/docs/test_code_blocks.py",
    "html": "unit/docs/test_code_blocks.py",
    "ini": "integration/set_up/test_deploying.py",
    "nginx": "integration/set_up/test_deploying.py",
    "sql": "unit/sending/test_broadcasts.py",
    "sh": "integration/docs/test_documented_commands.py",
    "console": "integration/docs/test_documented_commands.py",
    "settings.py": "unit/docs/test_code_blocks.py",
    "urls.py": "unit/docs/test_code_blocks.py",
    "views.py": "unit/docs/test_code_blocks.py",
    "storages.py": "unit/docs/test_code_blocks.py",
    "policies.py": "unit/docs/test_code_blocks.py",
    "routers.py": "integration/hosts/test_replica.py",
    "members.py": "unit/docs/test_code_blocks.py",
    "announcements.py": "unit/docs/test_code_blocks.py",
    "asgi.py": "unit/docs/test_code_blocks.py",
    "change_events.py": "unit/docs/test_code_blocks.py",
    "platform.py": "unit/docs/test_code_blocks.py",
    "tests.py": "unit/docs/test_code_blocks.py",
    "people.py": "upgrade/test_import_command.py",
    "shell": "unit/access/test_policy.py and unit/maintenance/test_personal_data.py",
    "merging.py": "unit/docs/test_recipes.py",
    "renaming.py": "unit/docs/test_recipes.py",
    "removing.py": "unit/docs/test_recipes.py",
    "company_members.py": "unit/docs/test_recipes.py",
    "conftest.py": "integration/hosts/operators/test_transactional_tests.py",
    "runner.py": "integration/hosts/operators/test_transactional_tests.py",
    "test_orders.py": "integration/hosts/operators/test_transactional_tests.py",
}
Row = dict[str, str]


def blocks(language: str, title: str = "") -> list[Any]:
    """Return each block of a language as a test parameter; of Python, those that belong to the file `title`."""
    return [
        pytest.param(block.code, id=block.name)
        for block in all_blocks()
        if block.page not in FOLLOWED
        and block.language == language
        and (not title or block.code.startswith((f"# {title}\n", f"# {title}  ")))
    ]


def run(code: str, **names: Any) -> dict[str, Any]:
    exec(compile(code, "documentation", "exec"), names)
    return names


def test_every_code_block_is_assigned_to_existing_test_file() -> None:
    lost = [
        block.name
        for block in all_blocks()
        if block.page not in FOLLOWED and not any(block.language == kind or block.is_titled(kind) for kind in RUN_BY)
    ]
    assert lost == []
    files = {file for names in {*RUN_BY.values(), *FOLLOWED.values()} for file in names.split(" and ")}
    assert [file for file in files if not (ROOT / "tests" / file).exists()] == []


def test_every_code_block_names_language() -> None:
    for page in PAGES:
        fences = re.findall(r"^```.*$", page.read_text(), re.MULTILINE)
        assert all(fence == "```" for fence in fences[1::2]), page
        assert "```" not in fences[::2], page


@pytest.mark.parametrize("code", blocks("python", "views.py"))
def test_documented_views_run(code: str, in_acme: Tenant, make_user: MakeUser) -> None:
    alice, sally = make_user("alice"), make_user("sally")
    grant(alice, sally)
    run(code, request=make_request(in_acme, alice), sally=sally, order=None)


@pytest.mark.usefixtures("known_version")
@pytest.mark.parametrize("code", blocks("python", "settings.py"))
def test_documented_settings_pass_checks(
    code: str, settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for file in ("storages.py", "policies.py", "routers.py"):
        [(content,)] = [param.values for param in blocks("python", file)]
        (tmp_path / file).write_text(content)
    monkeypatch.syspath_prepend(tmp_path)
    shared_apps, tenant_apps = (
        [app for app in apps if f'"{app}"' not in code]
        for apps in (django_settings.SHARED_APPS, django_settings.TENANT_APPS)
    )
    names = run(
        code,
        SHARED_APPS=shared_apps,
        TENANT_APPS=tenant_apps,
        DATABASES={"default": copy.deepcopy(dict(django_settings.DATABASES["default"]))},
    )
    for name in names:
        if name.isupper() and name != "DATABASES":
            setattr(settings, name, names[name])
    assert [check for check in run_checks() if check.level >= ERROR] == []


@pytest.mark.parametrize("code", blocks("python", "urls.py"))
def test_documented_urls_resolve_mark_read_page(code: str) -> None:
    resolver = next(item for item in run(code)["urlpatterns"] if isinstance(item, URLResolver))
    assert resolver.resolve("messages/mark_read/5/").url_name == "message_mark_read"


@pytest.mark.parametrize("code", blocks("python", "announcements.py"))
def test_documented_announcements_run(code: str, in_acme: Tenant, make_user: MakeUser) -> None:
    Group.objects.create(name="Sales")
    run(code, alice=make_user("alice", is_superuser=True))


@pytest.mark.parametrize("code", blocks("python", "platform.py"))
@pytest.mark.parametrize("schema", ["public", "platform"])
def test_documented_broadcasts_run_in_public_and_platform_schema(
    code: str, schema: str, acme: Tenant, globex: Tenant
) -> None:
    with schema_context(schema):
        run(code, acme=acme, globex=globex)


@pytest.mark.parametrize("code", blocks("python", "asgi.py"))
def test_documented_asgi_application_has_live_updates(code: str) -> None:
    assert isinstance(run(code)["application"], LiveUpdates)


@pytest.mark.parametrize("code", blocks("python", "change_events.py"))
def test_documented_change_events_run(code: str, in_acme: Tenant, make_user: MakeUser) -> None:
    run(code, user=make_user(), group=Group.objects.create(name="Sales"))


@pytest.mark.parametrize("code", blocks("python", "tests.py"))
def test_documented_host_tests_run(code: str, in_acme: Tenant, make_user: MakeUser) -> None:
    run(code, sally=make_user("sally"), bob=make_user("bob"))


@pytest.mark.parametrize("code", blocks("html"))
def test_documented_template_renders_persistent_message(
    code: str, in_acme: Tenant, make_user: MakeUser, make_message: MakeMessage
) -> None:
    alice = make_user("alice")
    message = make_message(alice, "Hello from the database")
    html = engines["django"].from_string(code).render({"messages": [message]}, make_request(in_acme, alice))
    assert f"/messages/mark_read/{message.pk}/" in html
    assert "Hello from the database" in html


def test_documented_storage_takes_only_messages_with_own_tag(in_acme: Tenant, settings: Any) -> None:
    [(code,)] = [param.values for param in blocks("python", "storages.py")]
    storage = run(code)["LogStorage"](make_request(in_acme))
    mine, other = (Message(message="m", extra_tags=tags) for tags in ("log", ""))
    assert storage.process_message(mine) is None
    assert storage.process_message(other) is other
    assert storage.written == ["m"]


def test_readme_has_at_most_700_words() -> None:
    assert len((ROOT / "README.md").read_text().split()) <= 700


def test_documentation_links_point_to_existing_files() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_settings_page_documents_every_setting_with_default() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+?) \|", (DOCS / "reference" / "settings.md").read_text(), re.MULTILINE))
    assert set(Settings.KEYS) <= set(rows)
    assert rows["MAX_BANNERS"] == f"`{Settings().max_banners}`"
    assert rows["POLICY"] == f'`"{DEFAULT_POLICY}"`'
    assert rows["RETENTION_DAYS"] == f"`{Settings().retention_days}`"
    assert rows["SEND_LIMITS"] == f"`{json.dumps(Settings().send_limits)}`"


def test_settings_page_documents_every_environment_variable() -> None:
    used = re.findall(r'env\.\w+\(\s*"([A-Z_]+)"', (ROOT / "config" / "settings.py").read_text())
    table = (DOCS / "reference" / "settings.md").read_text()
    assert len(used) > 20
    assert [name for name in used if f"`{name}`" not in table] == []


# The blocks of single pages -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("page", "title", "suite"),
    [
        ("shared-users", "with users that organisations share", shared_users),
        ("shared-users", "with django-tenant-users", tenant_users),
        ("operators-in-public", "with operators in the public schema", operators),
    ],
)
def test_documented_app_lists_equal_settings_of_host_suites(page: str, title: str, suite: Any) -> None:
    documented = run(block_of(f"docs/how-to/{page}.md", "python", f"settings.py, {title}"))
    own = {"customers": "tests.integration.hosts.organisations"} | {
        name: f"tests.integration.hosts.tenant_users.{name}" for name in ("companies", "users")
    }
    for name in ("SHARED_APPS", "TENANT_APPS"):
        assert [own.get(app, app) for app in documented[name]] == getattr(suite, name)
    assert documented["MESSAGES_EXTENDS"].keys() == suite.MESSAGES_EXTENDS.keys()
    assert documented["MESSAGES_EXTENDS"].get("PLATFORM_SCHEMA") == suite.MESSAGES_EXTENDS.get("PLATFORM_SCHEMA")


def test_documented_members_returns_only_users_of_tenant(in_acme: Tenant, make_user: MakeUser) -> None:
    alice, _stranger = make_user("alice"), make_user("stranger")
    alice.groups.add(Group.objects.create(name="acme"))
    members = run(block_of("docs/how-to/shared-users.md", "python", "members.py"))["members"]
    assert list(members()) == [alice]


def test_documented_policy_reaches_users_of_same_group(in_acme: Tenant, make_user: MakeUser) -> None:
    policy = run(block_of("docs/how-to/own-policy.md", "python", "policies.py"))["Colleagues"]()
    alice, bob, carol, dora = (make_user(name) for name in ("alice", "bob", "carol", "dora"))
    retired = make_user("retired", is_active=False)
    sales = Group.objects.create(name="Sales")
    sales.user_set.add(alice, bob, retired)
    assert set(policy.reachable_people(alice)) == {alice, bob}
    assert set(policy.reachable_people(dora)) == {dora}
    assert not policy.reachable_people(retired).exists()
    grant(alice, carol)
    assert set(policy.reachable_people(alice)) == {alice, bob, carol}
    assert policy.may_message(bob, alice)
    assert not policy.may_message(bob, carol)


def test_own_policy_page_documents_every_overridable_method() -> None:
    table = (DOCS / "how-to" / "own-policy.md").read_text()
    documented = dict(re.findall(r"^\| `(\w+)\(([\w, ]+)\)`", table, re.MULTILINE))
    questions = {
        name: ", ".join([*inspect.signature(member).parameters][1:])
        for name, member in vars(Policy).items()
        if not name.startswith("_") and not getattr(member, "__final__", False)
    }
    assert documented == questions


def test_documented_layout_is_used_by_inbox_page(
    in_acme: Tenant, make_user: MakeUser, browser_of: BrowserOf, settings: Any, tmp_path: Path
) -> None:
    (tmp_path / "messages_extends").mkdir()
    layout = block_of("docs/how-to/pages.md", "django")
    (tmp_path / "messages_extends" / "base.html").write_text(layout)
    (tmp_path / "base.html").write_text("<body>my own layout {% block content %}{% endblock %}</body>")
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]
    html = browser_of(in_acme, make_user()).get("/messages/").content.decode()
    assert "my own layout" in html
    assert "<h1>Inbox</h1>" in html


def test_documented_css_properties_exist_in_style_sheet() -> None:
    styles = (ROOT / "messages_extends" / "static" / "messages_extends" / "messages.css").read_text()
    documented = set(re.findall(r"--mx-[\w-]+", block_of("docs/how-to/pages.md", "css")))
    assert len(documented) > 10
    assert [name for name in documented if f"var({name}" not in styles or f"{name}:" not in styles] == []


def test_documented_connection_pool_equals_reference_settings() -> None:
    database: dict[str, Any] = {}
    run(block_of("docs/how-to/connections.md", "python", "settings.py"), DATABASES={"default": database})
    ours = django_settings.DATABASES["default"]
    assert database["OPTIONS"]["pool"] == ours["OPTIONS"]["pool"]
    assert {name: ours[name] for name in ("CONN_MAX_AGE", "CONN_HEALTH_CHECKS")} == {
        name: database[name] for name in ("CONN_MAX_AGE", "CONN_HEALTH_CHECKS")
    }
