"""Every system check: silent on the right configuration, and each single misconfiguration reported by its id."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import django
import pytest
from django.conf import global_settings, settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.core import checks as django_checks
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import connection
from django.test import override_settings
from django.urls import include, path
from django_tenants.middleware.main import TenantMainMiddleware

from messages_extends import checks
from messages_extends.checks.database import check_replica_backends
from messages_extends.checks.distributions import require_single_distribution
from messages_extends.checks.package_settings import NOT_QUESTIONS, TYPES, check_user_groups
from messages_extends.conf import Settings
from messages_extends.policy import AllowAll, Policy
from messages_extends.storages import FallbackStorage, PersistentStorage
from messages_extends.tenancy import sessions
from tenants.models import Tenant
from tests.factories import MakeUser

pytestmark = pytest.mark.usefixtures("known_version")

OURS = "messages_extends."
TESTS = "tests.unit.checks.test_checks"

ROUTER = "tests.routers.ReplicaRouter"


def found(**options: Any) -> list[str]:
    """Return the ids of ours that the checks report, without their common part."""
    reports = [report for report in django_checks.run_checks(**options) if (report.id or "").startswith(OURS)]
    assert all(report.hint for report in reports), "a report without a remedy"
    return sorted((report.id or "").removeprefix(OURS) for report in reports)


# What a host may put in place of ours -------------------------------------------------------------------------------


class HostTenantMiddleware(TenantMainMiddleware):  # type: ignore[misc]
    pass


class HostStorage(FallbackStorage):
    pass


class HostPersistentStorage(PersistentStorage):
    pass


class SessionStore(sessions.SessionStore):
    """Makes this module a session engine."""


class HostPolicy(AllowAll):
    def may_grant(self, person: Any) -> bool:
        return False


class PolicyWithDerivation(AllowAll):
    def may_message(self, sender: Any, recipient: Any) -> bool:  # type: ignore[misc]
        return True


class PolicyWithOldName(AllowAll):
    def groups_for(self, sender: Any) -> Any:
        return Group.objects.all()


def members() -> Any:
    return None


def make_key(key: str, key_prefix: str, version: int) -> str:
    return f"{connection.schema_name}/{key}"


class Included:
    urlpatterns = [path("deep/", include(([path("news/", include("messages_extends.urls"))], "host"), namespace="in"))]


class NotIncluded:
    urlpatterns: list[Any] = []


def a_function(get_response: Any) -> Any:
    return get_response


# The right configurations -------------------------------------------------------------------------------------------

PUBLIC = [
    "django_tenants",
    "tenants",
    "django.contrib.contenttypes",
    "django.contrib.staticfiles",
    "messages_extends.broadcasts",
    "config",
]
PEOPLE = ["tenants.people", "django.contrib.auth", "django.contrib.sessions", "django.contrib.admin"]
GUARDIAN = "messages_extends.tenancy.guardian.GuardianConfig"
OWN = ["django.contrib.messages", GUARDIAN, "messages_extends"]
LOCMEM = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
DUMMY = {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}
MEMBERS = f"{TESTS}.members"

SHARED_USERS = {
    "SHARED_APPS": PUBLIC + PEOPLE,
    "TENANT_APPS": OWN,
    "MESSAGES_EXTENDS": {"MEMBERS": MEMBERS},
}
OPERATORS = {
    "SHARED_APPS": PUBLIC + PEOPLE,
    "TENANT_APPS": OWN + PEOPLE,
    "MESSAGES_EXTENDS": {"PLATFORM_SCHEMA": "public"},
}


def middleware(**replaced: str | None) -> list[str]:
    """Return MIDDLEWARE with some replaced, by the last part of their path; None leaves one out."""
    listed = [replaced.get(name.rpartition(".")[2], name) for name in settings.MIDDLEWARE]
    return [name for name in listed if name is not None]


def templates(*processors: str) -> list[dict[str, Any]]:
    return [
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "APP_DIRS": True,
            "OPTIONS": {"context_processors": ["django.contrib.auth.context_processors.auth", *processors]},
        }
    ]


REQUEST = "django.template.context_processors.request"
MESSAGES = "django.contrib.messages.context_processors.messages"
SESSIONS = "django.contrib.sessions.middleware.SessionMiddleware"

FILE_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
# Django 6.1 has another setting for it.
FOLDER_OF_EMAILS: dict[str, Any] = (
    {"MAILERS": {"default": {"BACKEND": FILE_BACKEND, "OPTIONS": {"file_path": "abs"}}}}
    if django.VERSION >= (6, 1)
    else {"EMAIL_BACKEND": FILE_BACKEND, "EMAIL_FILE_PATH": "abs"}
)

RIGHT: dict[str, dict[str, Any]] = {
    "the reference SaaS": {},
    "shared users": SHARED_USERS,
    "operators in public": OPERATORS,
    "the app named by its configuration class": {
        "TENANT_APPS": [*PEOPLE, "django.contrib.messages", "guardian", "messages_extends.apps.MessagesExtendsConfig"]
    },
    "a host's own policy": {"MESSAGES_EXTENDS": {"POLICY": f"{TESTS}.HostPolicy"}},
    "a policy as a class": {"MESSAGES_EXTENDS": {"POLICY": HostPolicy}},
    "no live updates": {"MESSAGES_EXTENDS": {"PUSH_BUS": None}},
    "live updates over Redis": {"MESSAGES_EXTENDS": {"PUSH_BUS": "messages_extends.events.redis.RedisBus"}},
    "members as a callable": {**SHARED_USERS, "MESSAGES_EXTENDS": {"MEMBERS": members}},
    "no settings of ours": {"MESSAGES_EXTENDS": {}},
    "a host's own tenant middleware": {"MIDDLEWARE": middleware(TenantMiddleware=f"{TESTS}.HostTenantMiddleware")},
    "a middleware that is a function": {"MIDDLEWARE": [f"{TESTS}.a_function", *settings.MIDDLEWARE]},
    "a host's own storages": {
        "MESSAGE_STORAGE": f"{TESTS}.HostStorage",
        "MESSAGES_STORAGES": [f"{TESTS}.HostPersistentStorage"],
    },
    "a host's own sessions": {"SESSION_ENGINE": TESTS},
    "URLs at any depth in a namespace": {"ROOT_URLCONF": Included},
    "no admin": {"INSTALLED_APPS": [app for app in settings.INSTALLED_APPS if app != "django.contrib.admin"]},
    "a second template engine without messages": {
        "TEMPLATES": [{**templates()[0], "NAME": "mail"}, *templates(MESSAGES, REQUEST)]
    },
    "words of a host's own for our levels": {"MESSAGE_TAGS": {19: "note"}},
    "a cache with the tenant in its keys": {
        "CACHES": {"default": {**LOCMEM, "KEY_FUNCTION": "django_tenants.cache.make_key"}}
    },
    "a cache with a host's own keys": {"CACHES": {"default": {**LOCMEM, "KEY_FUNCTION": f"{TESTS}.make_key"}}},
    "a cache that keeps nothing": {"CACHES": {"default": DUMMY}},
    "a cache of whole pages": {
        "MIDDLEWARE": [
            "django.middleware.cache.UpdateCacheMiddleware",
            *settings.MIDDLEWARE,
            "django.middleware.cache.FetchFromCacheMiddleware",
        ]
    },
    "forms from one other origin": {"CSRF_TRUSTED_ORIGINS": ["https://one.example"]},
}


@pytest.mark.parametrize("changes", RIGHT.values(), ids=list(RIGHT))
def test_checks_accept_valid_configuration(changes: dict[str, Any]) -> None:
    with override_settings(**changes):
        assert found() == []


# Each single misconfiguration ---------------------------------------------------------------------------------------


def without(apps: list[str], *names: str) -> list[str]:
    return [app for app in apps if app not in names]


TENANT_APPS, SHARED_APPS = list(settings.TENANT_APPS), list(settings.SHARED_APPS)
BROADCASTS = "messages_extends.broadcasts"

WRONG: list[tuple[str, str, dict[str, Any]]] = [
    (
        "E001",
        "messages shared",
        {
            "SHARED_APPS": [*SHARED_APPS, "messages_extends"],
            "TENANT_APPS": without(TENANT_APPS, "messages_extends"),
        },
    ),
    ("E001", "messages in both lists", {"SHARED_APPS": [*SHARED_APPS, "messages_extends"]}),
    ("E002", "messages in no list", {"TENANT_APPS": without(TENANT_APPS, "messages_extends")}),
    (
        "E003",
        "guardian shared",
        {"SHARED_APPS": [*SHARED_APPS, "guardian"], "TENANT_APPS": without(TENANT_APPS, "guardian")},
    ),
    ("E003", "guardian in both lists", {"SHARED_APPS": [*SHARED_APPS, "guardian"]}),
    ("E003", "guardian in no list", {"TENANT_APPS": without(TENANT_APPS, "guardian")}),
    ("E004", "content types in both lists", {"TENANT_APPS": [*TENANT_APPS, "django.contrib.contenttypes"]}),
    (
        "E004",
        "content types per tenant",
        {
            "SHARED_APPS": without(SHARED_APPS, "django.contrib.contenttypes"),
            "TENANT_APPS": [*TENANT_APPS, "django.contrib.contenttypes"],
        },
    ),
    ("E005", "auth in both lists", {"SHARED_APPS": [*SHARED_APPS, "django.contrib.auth"]}),
    ("E005", "sessions in both lists", {"SHARED_APPS": [*SHARED_APPS, "django.contrib.sessions"]}),
    ("E005", "admin in both lists", {"SHARED_APPS": [*SHARED_APPS, "django.contrib.admin"]}),
    ("E005", "people in both lists", {"SHARED_APPS": [*SHARED_APPS, "tenants.people"]}),
    ("E005", "operators in public, not said so", {**OPERATORS, "MESSAGES_EXTENDS": {}}),
    ("E006", "a public platform without people", {"MESSAGES_EXTENDS": {"PLATFORM_SCHEMA": "public"}}),
    (
        "E082",
        "operators in public without sessions",
        {**OPERATORS, "SHARED_APPS": without(PUBLIC + PEOPLE, "django.contrib.sessions")},
    ),
    (
        "E007",
        "sessions shared, users not",
        {
            "SHARED_APPS": [*SHARED_APPS, "django.contrib.sessions"],
            "TENANT_APPS": without(TENANT_APPS, "django.contrib.sessions"),
        },
    ),
    ("E008", "broadcasts in no list", {"SHARED_APPS": without(SHARED_APPS, BROADCASTS)}),
    ("E008", "broadcasts in both lists", {"TENANT_APPS": [*TENANT_APPS, BROADCASTS]}),
    (
        "E008",
        "broadcasts per tenant",
        {"SHARED_APPS": without(SHARED_APPS, BROADCASTS), "TENANT_APPS": [*TENANT_APPS, BROADCASTS]},
    ),
    ("E020", "no messages app", {"INSTALLED_APPS": without(settings.INSTALLED_APPS, "django.contrib.messages")}),
    (
        "W075",
        "the admin before messages",
        {"INSTALLED_APPS": ["django.contrib.admin", *without(settings.INSTALLED_APPS, "django.contrib.admin")]},
    ),
    ("E021", "templates without messages", {"TEMPLATES": templates(REQUEST)}),
    ("E021", "templates without the request", {"TEMPLATES": templates(MESSAGES)}),
    *(
        ("E022", f"no {name}", {"MIDDLEWARE": middleware(**{name: None})})
        for name in ("TenantMiddleware", "SessionMiddleware", "AuthenticationMiddleware", "MessageMiddleware")
    ),
    (
        "E022",
        "a tenant middleware that is a function",
        {"MIDDLEWARE": middleware(TenantMiddleware=f"{TESTS}.a_function")},
    ),
    ("E023", "sessions before the tenant", {"MIDDLEWARE": [SESSIONS, *middleware(SessionMiddleware=None)]}),
    (
        "E023",
        "users before sessions",
        {
            "MIDDLEWARE": middleware(
                SessionMiddleware="django.contrib.auth.middleware.AuthenticationMiddleware",
                AuthenticationMiddleware=SESSIONS,
            )
        },
    ),
    ("E023", "messages before all", {"MIDDLEWARE": list(reversed(middleware()))}),
    (
        "W083",
        "folders of one host with one session cookie",
        {"MIDDLEWARE": middleware(TenantMiddleware="django_tenants.middleware.subfolder.TenantSubfolderMiddleware")},
    ),
    ("W024", "no URLs", {"ROOT_URLCONF": NotIncluded}),
    ("E030", "a session cookie for all hosts", {"SESSION_COOKIE_DOMAIN": ".example.com"}),
    ("W031", "a session cookie for all hosts", {**SHARED_USERS, "SESSION_COOKIE_DOMAIN": ".example.com"}),
    ("W032", "a CSRF cookie for all hosts", {"CSRF_COOKIE_DOMAIN": ".example.com"}),
    *(
        ("E033", f"sessions of {engine}", {"SESSION_ENGINE": f"django.contrib.sessions.backends.{engine}"})
        for engine in ("db", "cache", "cached_db", "file", "signed_cookies")
    ),
    ("E033", "sessions that do not import", {"SESSION_ENGINE": "no.such.module"}),
    ("W034", "sessions of all", {**SHARED_USERS, "SESSION_ENGINE": "django.contrib.sessions.backends.cache"}),
    ("E035", "an anonymous user of guardian's", {"ANONYMOUS_USER_NAME": "AnonymousUser"}),
    ("W037", "a cache that mixes tenants", {"CACHES": {"default": DUMMY, "pages": LOCMEM}}),
    ("W037", "Django's own cache", {"CACHES": global_settings.CACHES}),
    *(
        ("W061", f"{cache} after messages", {"MIDDLEWARE": [*settings.MIDDLEWARE, f"django.middleware.cache.{cache}"]})
        for cache in ("UpdateCacheMiddleware", "CacheMiddleware")
    ),
    ("W063", "forms from any subdomain", {"CSRF_TRUSTED_ORIGINS": ["https://one.example", "https://*.example.com"]}),
    ("W064", "e-mails in the current folder", FOLDER_OF_EMAILS),
    ("E040", "Django's storage", {"MESSAGE_STORAGE": "django.contrib.messages.storage.fallback.FallbackStorage"}),
    ("E040", "a storage that does not import", {"MESSAGE_STORAGE": "no.such.Storage"}),
    ("E040", "a storage that is no class", {"MESSAGE_STORAGE": f"{TESTS}.members"}),
    *(
        ("E041", f"{what} among the storages", {"MESSAGES_STORAGES": [f"{TESTS}.HostPersistentStorage", path]})
        for what, path in (
            ("a path that does not import", "no.such.Storage"),
            ("a word", "Storage"),
            ("a function", f"{TESTS}.members"),
            ("a class that is not a storage", f"{TESTS}.Included"),
            ("a number", 5),
        )
    ),
    ("W042", "no persistent storage", {"MESSAGES_STORAGES": ["messages_extends.storages.StickyStorage"]}),
    ("E043", "an unknown key", {"MESSAGES_EXTENDS": {"MAX_BANER": 5}}),
    *(
        ("E044", f"{key} is {value!r}", {"MESSAGES_EXTENDS": {key: value}})
        for key, value in (
            ("MAX_BANNERS", "10"),
            ("MAX_BANNERS", 0),
            ("MAX_BANNERS", True),
            ("PLATFORM_SCHEMA", 5),
            ("PLATFORM_SCHEMA", ""),
            ("MEMBERS", 5),
            ("SEND_LIMITS", 5),
            ("SEND_LIMITS", {"week": 5}),
            ("SEND_LIMITS", {"hour": 0}),
            ("POLICY", 5),
            ("POLICY", None),
            ("PUSH_BUS", 5),
            ("PUSH_NAME", ""),
            ("PUSH_NAME", "n" * 64),
            ("PUSH_REDIS_URL", "localhost:6379"),
            ("MAX_STREAMS", 0),
            ("MAX_STREAMS_PER_USER", None),
        )
    ),
    *(
        ("E049", f"a bus that {what}", {"MESSAGES_EXTENDS": {"PUSH_BUS": value}})
        for what, value in (
            ("does not import", "no.such.Bus"),
            ("is no class", MEMBERS),
            ("is another class", Included),
        )
    ),
    ("E044", "a list in place of a dictionary", {"MESSAGES_EXTENDS": ["MAX_BANNERS"]}),
    ("E045", "shared users without members", {**SHARED_USERS, "MESSAGES_EXTENDS": {}}),
    ("E046", "members that do not import", {**SHARED_USERS, "MESSAGES_EXTENDS": {"MEMBERS": "no.such.members"}}),
    *(
        ("W009", f"users in public beside guardian: {name}", {**host, "TENANT_APPS": [*without(apps, GUARDIAN), name]})
        for host, apps in ((SHARED_USERS, OWN), (OPERATORS, OWN + PEOPLE))
        for name in ("guardian", "guardian.apps.GuardianConfig")
    ),
    *(
        ("E047", f"a policy that {what}", {"MESSAGES_EXTENDS": {"POLICY": value}})
        for what, value in (
            ("does not import", "no.such.Policy"),
            ("is no class", MEMBERS),
            ("is another class by its path", f"{TESTS}.Included"),
            ("is another class", Included),
        )
    ),
    *(
        ("E092", f"a policy that defines {what}", {"MESSAGES_EXTENDS": {"POLICY": value}})
        for what, value in (("a derivation", PolicyWithDerivation), ("an old name", f"{TESTS}.PolicyWithOldName"))
    ),
    ("E048", "no guardian", {"INSTALLED_APPS": without(settings.INSTALLED_APPS, "guardian")}),
    ("E046", "members that are no function", {"MESSAGES_EXTENDS": {"MEMBERS": f"{TESTS}.OURS"}}),
]


@pytest.mark.parametrize(
    ("wanted", "changes"),
    [(wanted, changes) for wanted, _what, changes in WRONG],
    ids=[f"{wanted}: {what}" for wanted, what, _changes in WRONG],
)
def test_checks_report_single_misconfiguration_by_id(wanted: str, changes: dict[str, Any]) -> None:
    with override_settings(**changes):
        assert found() == [wanted]


def test_not_questions_covers_every_final_policy_method() -> None:
    derived = {name for name, member in vars(Policy).items() if getattr(member, "__final__", False)}
    assert derived == NOT_QUESTIONS.keys() & vars(Policy).keys()


def test_check_e041_reports_string_instead_of_storage_list() -> None:
    with override_settings(MESSAGES_STORAGES="messages_extends.storages.PersistentStorage"):
        assert "E041" in found()


def test_check_e036_reports_cached_guardian_anonymous_user() -> None:
    with override_settings(ANONYMOUS_USER_NAME="AnonymousUser", GUARDIAN_ANONYMOUS_USER_CACHE_TTL=-1):
        assert found() == ["E035", "E036"]


def test_check_is_silenced_by_id() -> None:
    with override_settings(CSRF_COOKIE_DOMAIN=".example.com", SILENCED_SYSTEM_CHECKS=["messages_extends.W032"]):
        call_command("check", fail_level="WARNING")


def test_setting_types_cover_every_setting() -> None:
    assert set(TYPES) == set(Settings.KEYS)


# The database -------------------------------------------------------------------------------------------------------

THEIRS = "django_tenants.postgresql_backend"


@contextmanager
def database(**changes: Any) -> Iterator[None]:
    """Change what DATABASES says; the connection that exists already goes on as it was."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in changes.items():
            patch.setitem(settings.DATABASES["default"], name, value)
        yield


@pytest.mark.parametrize(
    ("wanted", "changes", "limit"),
    [
        ([], {}, True),
        ([], {}, False),
        ([], {"CONN_MAX_AGE": 60, "OPTIONS": {}}, True),
        (["E010", "E011"], {"ENGINE": THEIRS}, True),
        (["E011"], {"ENGINE": THEIRS}, False),
        (["E011"], {"ENGINE": "django.db.backends.postgresql"}, False),
        (["E011"], {"ENGINE": "no.such.backend"}, False),
        (["E012"], {"CONN_MAX_AGE": 60, "OPTIONS": {"pool": True}}, True),
        (["E012"], {"CONN_MAX_AGE": None, "OPTIONS": {"pool": {"max_size": 5}}}, True),
        (["W014"], {"DISABLE_SERVER_SIDE_CURSORS": True}, True),
    ],
)
def test_checks_report_wrong_database_connection_settings(
    wanted: list[str], changes: dict[str, Any], limit: bool
) -> None:
    asgi = None if "OPTIONS" in changes and not changes["OPTIONS"] else settings.ASGI_APPLICATION
    with override_settings(TENANT_LIMIT_SET_CALLS=limit, ASGI_APPLICATION=asgi), database(**changes):
        assert found() == wanted


@pytest.mark.parametrize("age", [None, 60])
def test_check_w013_reports_persistent_connections_under_asgi(age: int | None) -> None:
    with database(CONN_MAX_AGE=age, OPTIONS={}):
        assert found() == ["W013"]


# E060 needs a proxy: tests/isolation/test_pgbouncer.py.
@pytest.mark.django_db
def test_database_checks_accept_clean_database() -> None:
    assert found(databases=["default"]) == []


@pytest.mark.django_db
@pytest.mark.parametrize("table", ["messages_extends_message", "people_user", "auth_group", "people_user_groups"])
@pytest.mark.parametrize("kind", ["TABLE {} (id int)", "VIEW {} AS SELECT 1 AS id"])
def test_check_e015_names_tenant_app_table_in_public(table: str, kind: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE {kind.format(f'public.{table}')}")
    assert found() == [], "without --database no check may query"
    assert found(databases=["default"]) == ["E015"]
    with pytest.raises(SystemCheckError, match=rf"(?s)public\.{table}\b.*import_messages_extends"):
        call_command("check", databases=["default"])


@pytest.mark.django_db
def test_check_e015_reports_leftover_table_in_extra_search_path() -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA extensions; CREATE TABLE extensions.messages_extends_message (id int)")
    with override_settings(PG_EXTRA_SEARCH_PATHS=["extensions"]):
        assert found(databases=["default"]) == ["E015"]


@pytest.mark.django_db
def test_migrate_schemas_refuses_leftover_table_in_public(acme: Tenant) -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE public.messages_extends_message (id int)")
    with pytest.raises(SystemCheckError, match=r"messages_extends\.E015"):
        call_command("migrate_schemas", schema_name="acme", tenant=True, skip_checks=False, verbosity=0)


@pytest.mark.django_db
def test_check_e015_ignores_table_of_app_in_both_lists() -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE public.auth_group (id int)")
    with override_settings(**OPERATORS):
        assert "E015" not in found(databases=["default"])


@pytest.mark.django_db
def test_check_e080_reports_shared_app_table_in_tenant_schema(acme: Tenant) -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE acme.django_content_type (LIKE public.django_content_type)")
        cursor.execute("CREATE TABLE acme.my_own (id int); CREATE SCHEMA of_nobody")
        cursor.execute("CREATE TABLE of_nobody.django_content_type (id int)")
    assert found() == []
    assert found(databases=["default"]) == ["E080"]
    with pytest.raises(SystemCheckError, match=r"only: acme\.django_content_type\. (?s:.*)share_content_types"):
        call_command("check", databases=["default"])
    with pytest.raises(SystemCheckError, match=r"messages_extends\.E080"):
        call_command("migrate_schemas", schema_name="acme", tenant=True, skip_checks=False, verbosity=0)


@pytest.mark.django_db
def test_check_e081_reports_applied_migration_without_table(acme: Tenant) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE acme.django_session")
    assert found() == []
    assert found(databases=["default"]) == ["E081"]
    with pytest.raises(SystemCheckError, match=r"(?s)sessions in acme\..*create_missing_tables"):
        call_command("check", databases=["default"])
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM acme.django_migrations WHERE app = 'sessions'")
    assert found(databases=["default"]) == [], "they are still to come"


@pytest.mark.django_db
def test_database_checks_accept_empty_database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET search_path = public; ALTER SCHEMA public RENAME TO other; CREATE SCHEMA public")
    assert found(databases=["default"]) == []


@pytest.mark.django_db
@pytest.mark.parametrize("right", ["auth.add_group", "auth.change_group", "people.change_user"])
@pytest.mark.parametrize("by", ["group", "person"])
def test_check_w062_reports_non_superuser_with_group_permissions(
    in_acme: Tenant, make_user: MakeUser, right: str, by: str
) -> None:
    app, codename = right.split(".")
    permission = Permission.objects.get(content_type__app_label=app, codename=codename)
    person = make_user("root", is_superuser=True)
    group = Group.objects.create(name="Administrators")
    group.permissions.add(permission)
    person.groups.add(group)
    assert found(databases=["default"]) == []
    person = make_user("clerk")
    person.groups.add(group) if by == "group" else person.user_permissions.add(permission)
    assert found() == [], "without --database no check may query"
    [report] = [each for each in django_checks.run_checks(databases=["default"]) if each.id == f"{OURS}W062"]
    assert "(acme)" in report.msg
    get_user_model().objects.update(is_active=False)
    assert found(databases=["default"]) == []


# Both distributions -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["django-messages-extends", "django_messages_extends"])
def test_check_e050_refuses_old_distribution_next_to_package(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "django_messages_extends-0.6.3.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.6.3\n")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    start = [sys.executable, "-c", "import django; django.setup()"]
    refused = subprocess.run(start, env=environment, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert re.search(r"ImproperlyConfigured: \(messages_extends\.E050\) .*pip uninstall", refused.stderr)


def test_require_single_distribution_accepts_package_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "django_messages_extends_tenants-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: django-messages-extends-tenants\nVersion: 1.0\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    require_single_distribution()


# The page -----------------------------------------------------------------------------------------------------------

ID = re.compile(r"messages_extends\.([EW]\d{3})\b")


def ids_in_code() -> list[str]:
    sources = Path(checks.__file__).parent.glob("*.py")
    constants = [node for source in sources for node in ast.walk(ast.parse(source.read_text("utf-8")))]
    texts = [node.value for node in constants if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return [match[1] for text in texts for match in ID.finditer(text)]


def ids_on_the_page() -> list[str]:
    page = (settings.BASE_DIR / "docs" / "reference" / "checks.md").read_text("utf-8")
    rows = re.findall(r"^\| `messages_extends\.([EW]\d{3})` \| .+ \| .+ \|$", page, re.MULTILINE)
    assert set(rows) == set(ID.findall(page)), "an id that has no row, or a row without meaning or remedy"
    return rows


def test_check_ids_are_unique() -> None:
    assert len(ids_in_code()) == len(set(ids_in_code()))


def test_checks_page_lists_every_check_once_in_order() -> None:
    in_order = sorted(ids_in_code(), key=lambda found: found[1:])
    assert ids_on_the_page() == in_order


@pytest.mark.parametrize(
    ("engine", "reported"),
    [
        ("django.db.backends.postgresql", ["E090"]),
        ("django_tenants.postgresql_backend", ["E090"]),
        ("messages_extends.tenancy.backend", []),
    ],
)
def test_check_e090_reports_replica_without_tenant_backend(
    monkeypatch: pytest.MonkeyPatch, engine: str, reported: list[str]
) -> None:
    monkeypatch.setitem(settings.DATABASES, "replica", {**settings.DATABASES["default"], "ENGINE": engine})
    routers = [ROUTER, *settings.DATABASE_ROUTERS]
    with override_settings(DATABASE_ROUTERS=routers):
        reports = check_replica_backends()
    assert [report.id for report in reports] == [f"{OURS}{each}" for each in reported]
    assert all(f"{ROUTER} reads from 'replica'" in report.msg for report in reports)


def test_check_w091_reports_user_model_without_groups() -> None:
    # A whole host project with such a model is in tests/integration/hosts/no_groups.
    with override_settings(AUTH_USER_MODEL="contenttypes.ContentType"):
        assert [report.id for report in check_user_groups()] == [f"{OURS}W091"]


def test_every_check_id_occurs_in_module() -> None:
    assert set(re.findall(r"\b[EW]\d{3}\b", Path(__file__).read_text("utf-8"))) == set(ids_in_code())
