"""The operator's pages for organisations: who gets in, what they show, what they do."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.core import mail
from django.db import connection
from django.template import Context, Template
from django.test import Client
from django.utils import timezone
from django_tenants.utils import schema_context, schema_exists
from pytest_django.fixtures import Settings

from tenants import provisioning
from tenants.models import Domain, Tenant
from tenants.people.models import User
from tenants.time_zones import time_zones
from tests.conftest import queries_of
from tests.factories import BrowserOf, MakeUser
from tests.html import text_of
from tests.integration.tenants.conftest import drop
from tests.integration.tenants.test_people_pages import break_mail

pytestmark = pytest.mark.integration

LIST, NEW = "/organisations/", "/organisations/new/"


@pytest.fixture
def at_platform(platform: Tenant, make_user: MakeUser, browser_of: BrowserOf) -> Callable[..., Client]:
    """Make a browser of somebody of the platform who holds these permissions on organisations."""

    def make(*actions: str, **fields: Any) -> Client:
        with schema_context("platform"):
            user = make_user("olivia", **fields)
            codenames = [f"{action}_tenant" for action in actions]
            user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
        return browser_of(platform, user)

    return make


@pytest.fixture
def operator(at_platform: Any) -> Client:
    browser: Client = at_platform("add", "change")
    return browser


def pages_of(tenant: Tenant) -> list[tuple[str, str]]:
    one = f"/organisations/{tenant.pk}"
    reading = [("get", LIST), ("get", NEW), ("get", f"{one}/suspend/")]
    return [*reading, ("post", NEW), ("post", f"{one}/suspend/"), ("post", f"{one}/resume/")]


def answers(browser: Client, tenant: Tenant) -> set[int]:
    return {getattr(browser, method)(path).status_code for method, path in pages_of(tenant)}


class TestAccess:
    def test_organisation_pages_in_other_tenant_return_404(
        self, acme: Tenant, globex: Tenant, make_user: MakeUser, browser_of: BrowserOf
    ) -> None:
        with schema_context("acme"):
            root = make_user("root", is_superuser=True)
        assert answers(browser_of(acme, root), globex) == {404}
        assert answers(browser_of(acme), globex) == {404}

    def test_organisation_pages_without_permission_return_404(self, globex: Tenant, at_platform: Any) -> None:
        browser = at_platform("view", "delete")
        assert answers(browser, globex) == {404}
        globex.refresh_from_db()
        assert globex.is_open

    def test_organisation_pages_without_login_redirect_to_login(
        self, platform: Tenant, globex: Tenant, browser_of: BrowserOf
    ) -> None:
        browser = browser_of(platform)
        for method, path in pages_of(globex):
            assert getattr(browser, method)(path)["Location"] == f"/login/?next={path}"

    def test_organisation_add_permission_does_not_allow_suspending(self, globex: Tenant, at_platform: Any) -> None:
        browser = at_platform("add")
        assert (browser.get(LIST).status_code, browser.get(NEW).status_code) == (200, 200)
        assert "/suspend/" not in text_of(browser.get(LIST))
        for act in ("suspend", "resume"):
            assert browser.post(f"/organisations/{globex.pk}/{act}/").status_code == 404

    def test_organisation_change_permission_does_not_allow_creating(self, at_platform: Any) -> None:
        browser = at_platform("change")
        assert browser.get(LIST).status_code == 200
        assert NEW not in text_of(browser.get(LIST))
        assert (browser.get(NEW).status_code, browser.post(NEW).status_code) == (404, 404)

    def test_organisation_pages_without_platform_return_404(self, operator: Client, settings: Settings) -> None:
        settings.TENANTS_PLATFORM_SCHEMA = None
        assert operator.get(LIST).status_code == 404


class TestNavigation:
    def test_navigation_links_to_organisations_for_operator(self, operator: Client) -> None:
        assert f'href="{LIST}"' in text_of(operator.get("/"))

    def test_navigation_has_no_organisations_link_without_permission(
        self, acme: Tenant, at_platform: Any, make_user: MakeUser, browser_of: BrowserOf
    ) -> None:
        assert LIST not in text_of(at_platform("view").get("/"))
        with schema_context("acme"):
            root = make_user("root", is_superuser=True)
        assert LIST not in text_of(browser_of(acme, root).get("/"))

    def test_navigation_link_runs_no_queries(
        self, platform: Tenant, make_user: MakeUser, browser_of: BrowserOf, settings: Settings
    ) -> None:
        with schema_context("platform"):
            browser = browser_of(platform, make_user("bob"))
        browser.get("/")
        with_link = queries_of(lambda: browser.get("/"))
        settings.TENANTS_PLATFORM_SCHEMA = None
        assert with_link == queries_of(lambda: browser.get("/"))


class TestList:
    def test_organisation_list_shows_name_address_and_state(
        self, operator: Client, acme: Tenant, globex: Tenant
    ) -> None:
        Tenant.objects.filter(pk=globex.pk).update(suspended_at=timezone.now())
        Tenant.objects.create(schema_name="halfway", name="Half way")
        text = text_of(operator.get(LIST))
        assert all(word in text for word in ("Acme", "acme.localhost", "Open", "Suspended since", "Being created"))
        assert f"/organisations/{globex.pk}/resume/" in text
        assert f"/organisations/{acme.pk}/suspend/" in text

    @pytest.mark.parametrize("wanted", ["gLOb", "globex", "globex.local"])
    def test_organisation_list_search_finds_by_name_schema_and_host(self, operator: Client, wanted: str) -> None:
        text = text_of(operator.get(LIST, {"q": wanted}))
        assert "1 organisation found" in text
        assert "acme.localhost" not in text

    def test_organisation_list_search_without_results_shows_notice(self, operator: Client) -> None:
        assert "No organisation matches" in text_of(operator.get(LIST, {"q": "nothing like it"}))

    @pytest.mark.parametrize("wanted", ["\0", "x" * 101])
    def test_organisation_list_search_with_invalid_text_returns_400(self, operator: Client, wanted: str) -> None:
        assert operator.get(LIST, {"q": wanted}).status_code == 400

    def test_organisation_pages_refuse_suspending_platform(self, operator: Client, platform: Tenant) -> None:
        assert f"/organisations/{platform.pk}/" not in text_of(operator.get(LIST))
        assert operator.post(f"/organisations/{platform.pk}/suspend/").status_code == 404
        platform.refresh_from_db()
        assert platform.is_open

    def test_organisation_list_query_count_is_constant(self, operator: Client) -> None:
        operator.get(LIST)
        few = queries_of(lambda: operator.get(LIST))
        connection.set_schema_to_public()
        for number in range(60):
            tenant = Tenant.objects.create(schema_name=f"more{number}", name=f"A {number}", ready_at=timezone.now())
            Domain.objects.create(tenant=tenant, domain=f"more{number}.localhost", is_primary=True)
        assert queries_of(lambda: operator.get(LIST)) == few
        assert "Page 1 of 2" in text_of(operator.get(LIST))
        assert "platform.localhost" in text_of(operator.get(LIST, {"page": 2}))

    def test_organisation_list_escapes_html_in_name(self, operator: Client) -> None:
        Tenant.objects.create(schema_name="malicious", name="<script>alert(1)</script>")
        assert "<script>alert" not in text_of(operator.get(LIST))


class TestSuspending:
    def test_organisation_suspend_page_asks_for_confirmation(self, operator: Client, globex: Tenant) -> None:
        assert "Suspend Globex?" in text_of(operator.get(f"/organisations/{globex.pk}/suspend/"))
        globex.refresh_from_db()
        assert globex.is_open

    def test_suspended_tenant_returns_503_until_resumed(
        self, operator: Client, globex: Tenant, browser_of: BrowserOf
    ) -> None:
        assert operator.post(f"/organisations/{globex.pk}/suspend/")["Location"] == LIST
        assert browser_of(globex).get("/").status_code == 503
        assert "Globex is suspended" in text_of(operator.get(LIST))
        assert operator.get(f"/organisations/{globex.pk}/resume/").status_code == 405
        assert operator.post(f"/organisations/{globex.pk}/resume/")["Location"] == LIST
        assert browser_of(globex).get("/").status_code == 200

    def test_organisation_suspend_of_incomplete_or_missing_tenant_returns_404(self, operator: Client) -> None:
        halfway = Tenant.objects.create(schema_name="halfway", name="Half way")
        for pk in (halfway.pk, 10**9, 10**30):
            assert operator.post(f"/organisations/{pk}/suspend/").status_code == 404


class TestCreating:
    """Made for real, so committed; the operator is deleted afterwards with everything else in the schema."""

    @pytest.fixture
    def operator(self, committing: None, names: Any, at_platform: Any) -> Client:
        browser: Client = at_platform("add", "change")
        return browser

    def data(self, short: str, **other: str) -> dict[str, str]:
        return {"name": "New One", "schema": short, "email": f"ada@{short}.example", "administrator": "Ada"} | other

    def test_organisation_create_page_creates_tenant_with_first_administrator(
        self, operator: Client, names: Any, browser_of: BrowserOf
    ) -> None:
        schema = names()
        assert operator.post(NEW, self.data(schema, time_zone="Asia/Tokyo"))["Location"] == LIST
        tenant = Tenant.objects.get(schema_name=schema)
        assert (tenant.name, tenant.is_open, tenant.time_zone) == ("New One", True, "Asia/Tokyo")
        with schema_context(schema):
            [ada] = User.objects.all()
            assert (ada.email, str(ada), ada.has_perm("people.add_user")) == (f"ada@{schema}.example", "Ada", True)
        text = text_of(operator.get(LIST))
        assert f"{schema}.localhost" in text
        assert f"ada@{schema}.example has been sent a link" in text
        [sent] = mail.outbox
        [link] = re.findall(rf"https?://{schema}\.localhost\S*?(/password/set/\S+)", str(sent.body))
        assert browser_of(tenant).get(link, follow=True).status_code == 200

    def test_organisation_create_page_maps_hyphen_to_underscore_in_schema(self, operator: Client, names: Any) -> None:
        schema = f"{names()}_x"
        try:
            operator.post(NEW, self.data(schema.replace("_", "-").upper()))
            assert Tenant.objects.get(schema_name=schema).host == f"{schema.replace('_', '-')}.localhost"
        finally:
            drop(schema)

    @pytest.mark.parametrize(
        ("field", "value", "error"),
        [
            ("schema", "acme", "already"),
            ("schema", "www", "reserved"),
            ("schema", "9x", "not a valid short name"),
            ("schema", "a" * 49, "at most 48"),
            ("schema", "a<script>", "not a valid short name"),
            ("name", " ", "required"),
            ("name", "x" * 101, "at most 100"),
            ("email", "nobody", "valid email"),
            ("time_zone", "Mars/Olympus", "not one of the available choices"),
            ("administrator", "a\0b", "Null characters"),
        ],
    )
    def test_organisation_create_page_with_invalid_input_returns_400(
        self, operator: Client, names: Any, field: str, value: str, error: str
    ) -> None:
        schema = names()
        before = Tenant.objects.count()
        response = operator.post(NEW, self.data(schema, **{field: value}))
        assert response.status_code == 400
        assert error in text_of(response)
        assert "a<script>" not in text_of(response)
        kept = f"ada@{schema}.example" if field != "email" else "New One"
        assert kept in text_of(response)
        assert (Tenant.objects.count(), mail.outbox) == (before, [])

    def test_organisation_create_page_after_provisioning_error_leaves_nothing(
        self, operator: Client, names: Any, settings: Settings
    ) -> None:
        settings.TENANTS_ADMIN_PERMISSIONS = ["people.nonsense"]
        schema = names()
        response = operator.post(NEW, self.data(schema))
        assert response.status_code == 400
        assert "people.nonsense" in text_of(response)
        assert not Tenant.objects.filter(schema_name=schema).exists()
        assert not schema_exists(schema)

    def test_organisation_create_page_after_unexpected_error_leaves_nothing(
        self, operator: Client, names: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_arguments: Any) -> None:
            raise RuntimeError("out of paper")

        monkeypatch.setattr(provisioning, "_finish", fail)
        schema = names()
        with pytest.raises(RuntimeError):
            operator.post(NEW, self.data(schema))
        assert not Tenant.objects.filter(schema_name=schema).exists()
        assert not schema_exists(schema)

    def test_organisation_create_page_reports_undelivered_invitation(
        self, operator: Client, names: Any, settings: Settings
    ) -> None:
        break_mail(settings)
        schema = names()
        operator.post(NEW, self.data(schema))
        text = text_of(operator.get(LIST))
        assert "could not be sent" in text
        assert f"{schema}.localhost/password/forgotten/" in text
        assert Tenant.objects.get(schema_name=schema).is_open


class TestTimeZones:
    TIMES = Template("{{ at|time:'H:i' }}")

    @pytest.fixture(autouse=True)
    def _page(self, monkeypatch: pytest.MonkeyPatch) -> None:
        at, times = datetime(2026, 1, 1, 12, tzinfo=UTC), self.TIMES
        monkeypatch.setattr(
            "config.views.KINDS",
            [{"title": "It is", "levels": [], "description": type("Now", (), {"__str__": lambda _: shown()})()}],
        )

        def shown() -> str:
            return times.render(Context({"at": at}))

    def shown_at(self, tenant: Tenant, user: Any, browser_of: BrowserOf) -> str:
        [shown] = re.findall(r"\d\d:\d\d", text_of(browser_of(tenant, user).get("/")))
        return str(shown)

    def test_message_times_are_in_time_zone_of_tenant(
        self, in_acme: Tenant, make_user: MakeUser, browser_of: BrowserOf
    ) -> None:
        bob = make_user("bob")
        assert self.shown_at(in_acme, bob, browser_of) == "12:00"
        Tenant.objects.filter(pk=in_acme.pk).update(time_zone="Asia/Tokyo")
        assert self.shown_at(in_acme, bob, browser_of) == "21:00"
        assert timezone.get_current_timezone_name() == "UTC"

    def test_unknown_time_zone_falls_back_to_site_time_zone(
        self, in_acme: Tenant, make_user: MakeUser, browser_of: BrowserOf
    ) -> None:
        Tenant.objects.filter(pk=in_acme.pk).update(time_zone="Mars/Olympus")
        assert self.shown_at(in_acme, make_user("bob"), browser_of) == "12:00"

    def test_time_zones_include_places_and_exclude_localtime(self) -> None:
        assert {"Europe/Berlin", "UTC"} <= set(time_zones())
        assert "localtime" not in time_zones()
