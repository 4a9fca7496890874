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


class TestWhoGetsIn:
    def test_nobody_at_another_organisation_superusers_included(
        self, acme: Tenant, globex: Tenant, make_user: MakeUser, browser_of: BrowserOf
    ) -> None:
        with schema_context("acme"):
            root = make_user("root", is_superuser=True)
        assert answers(browser_of(acme, root), globex) == {404}
        assert answers(browser_of(acme), globex) == {404}

    def test_of_the_platform_nobody_without_a_permission(self, globex: Tenant, at_platform: Any) -> None:
        browser = at_platform("view", "delete")
        assert answers(browser, globex) == {404}
        globex.refresh_from_db()
        assert globex.is_open

    def test_whoever_is_not_logged_in_is_asked_to(
        self, platform: Tenant, globex: Tenant, browser_of: BrowserOf
    ) -> None:
        browser = browser_of(platform)
        for method, path in pages_of(globex):
            assert getattr(browser, method)(path)["Location"] == f"/login/?next={path}"

    def test_who_may_only_add_suspends_nothing(self, globex: Tenant, at_platform: Any) -> None:
        browser = at_platform("add")
        assert (browser.get(LIST).status_code, browser.get(NEW).status_code) == (200, 200)
        assert "/suspend/" not in text_of(browser.get(LIST))
        for act in ("suspend", "resume"):
            assert browser.post(f"/organisations/{globex.pk}/{act}/").status_code == 404

    def test_who_may_only_change_makes_nothing(self, at_platform: Any) -> None:
        browser = at_platform("change")
        assert browser.get(LIST).status_code == 200
        assert NEW not in text_of(browser.get(LIST))
        assert (browser.get(NEW).status_code, browser.post(NEW).status_code) == (404, 404)

    def test_without_a_platform_there_are_no_such_pages(self, operator: Client, settings: Settings) -> None:
        settings.TENANTS_PLATFORM_SCHEMA = None
        assert operator.get(LIST).status_code == 404


class TestNavigation:
    def test_it_leads_there_for_who_may(self, operator: Client) -> None:
        assert f'href="{LIST}"' in text_of(operator.get("/"))

    def test_for_nobody_else(self, acme: Tenant, at_platform: Any, make_user: MakeUser, browser_of: BrowserOf) -> None:
        assert LIST not in text_of(at_platform("view").get("/"))
        with schema_context("acme"):
            root = make_user("root", is_superuser=True)
        assert LIST not in text_of(browser_of(acme, root).get("/"))

    def test_it_costs_no_query(
        self, platform: Tenant, make_user: MakeUser, browser_of: BrowserOf, settings: Settings
    ) -> None:
        with schema_context("platform"):
            browser = browser_of(platform, make_user("bob"))
        browser.get("/")
        with_link = queries_of(lambda: browser.get("/"))
        settings.TENANTS_PLATFORM_SCHEMA = None
        assert with_link == queries_of(lambda: browser.get("/"))


class TestList:
    def test_it_shows_name_address_and_state(self, operator: Client, acme: Tenant, globex: Tenant) -> None:
        Tenant.objects.filter(pk=globex.pk).update(suspended_at=timezone.now())
        Tenant.objects.create(schema_name="halfway", name="Half way")
        text = text_of(operator.get(LIST))
        assert all(word in text for word in ("Acme", "acme.localhost", "Open", "Suspended since", "Being created"))
        assert f"/organisations/{globex.pk}/resume/" in text
        assert f"/organisations/{acme.pk}/suspend/" in text

    @pytest.mark.parametrize("wanted", ["gLOb", "globex", "globex.local"])
    def test_a_search_finds_by_name_short_name_and_address(self, operator: Client, wanted: str) -> None:
        text = text_of(operator.get(LIST, {"q": wanted}))
        assert "1 organisation found" in text
        assert "acme.localhost" not in text

    def test_a_search_that_finds_nothing_says_so(self, operator: Client) -> None:
        assert "No organisation matches" in text_of(operator.get(LIST, {"q": "nothing like it"}))

    @pytest.mark.parametrize("wanted", ["\0", "x" * 101])
    def test_a_search_that_cannot_be_is_an_error(self, operator: Client, wanted: str) -> None:
        assert operator.get(LIST, {"q": wanted}).status_code == 400

    def test_the_platform_itself_cannot_be_suspended(self, operator: Client, platform: Tenant) -> None:
        assert f"/organisations/{platform.pk}/" not in text_of(operator.get(LIST))
        assert operator.post(f"/organisations/{platform.pk}/suspend/").status_code == 404
        platform.refresh_from_db()
        assert platform.is_open

    def test_its_queries_do_not_grow_with_the_organisations(self, operator: Client) -> None:
        operator.get(LIST)
        few = queries_of(lambda: operator.get(LIST))
        connection.set_schema_to_public()
        for number in range(60):
            tenant = Tenant.objects.create(schema_name=f"more{number}", name=f"A {number}", ready_at=timezone.now())
            Domain.objects.create(tenant=tenant, domain=f"more{number}.localhost", is_primary=True)
        assert queries_of(lambda: operator.get(LIST)) == few
        assert "Page 1 of 2" in text_of(operator.get(LIST))
        assert "platform.localhost" in text_of(operator.get(LIST, {"page": 2}))

    def test_a_hostile_name_is_text(self, operator: Client) -> None:
        Tenant.objects.create(schema_name="hostile", name="<script>alert(1)</script>")
        assert "<script>alert" not in text_of(operator.get(LIST))


class TestSuspending:
    def test_it_asks_first(self, operator: Client, globex: Tenant) -> None:
        assert "Suspend Globex?" in text_of(operator.get(f"/organisations/{globex.pk}/suspend/"))
        globex.refresh_from_db()
        assert globex.is_open

    def test_nobody_gets_in_until_it_is_resumed(self, operator: Client, globex: Tenant, browser_of: BrowserOf) -> None:
        assert operator.post(f"/organisations/{globex.pk}/suspend/")["Location"] == LIST
        assert browser_of(globex).get("/").status_code == 503
        assert "Globex is suspended" in text_of(operator.get(LIST))
        assert operator.get(f"/organisations/{globex.pk}/resume/").status_code == 405
        assert operator.post(f"/organisations/{globex.pk}/resume/")["Location"] == LIST
        assert browser_of(globex).get("/").status_code == 200

    def test_one_that_is_half_made_or_not_there_is_404(self, operator: Client) -> None:
        halfway = Tenant.objects.create(schema_name="halfway", name="Half way")
        for pk in (halfway.pk, 10**9, 10**30):
            assert operator.post(f"/organisations/{pk}/suspend/").status_code == 404


class TestMaking:
    """Made for real, so committed; the operator is deleted afterwards with everything else in the schema."""

    @pytest.fixture
    def operator(self, committing: None, names: Any, at_platform: Any) -> Client:
        browser: Client = at_platform("add", "change")
        return browser

    def data(self, short: str, **other: str) -> dict[str, str]:
        return {"name": "New One", "schema": short, "email": f"ada@{short}.example", "administrator": "Ada"} | other

    def test_it_is_there_with_its_first_administrator(
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

    def test_a_hyphen_of_the_address_is_an_underscore_of_the_schema(self, operator: Client, names: Any) -> None:
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
    def test_what_cannot_be_is_an_error_and_the_input_is_kept(
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

    def test_when_it_fails_nothing_is_left_and_the_page_says_why(
        self, operator: Client, names: Any, settings: Settings
    ) -> None:
        settings.TENANTS_ADMIN_PERMISSIONS = ["people.nonsense"]
        schema = names()
        response = operator.post(NEW, self.data(schema))
        assert response.status_code == 400
        assert "people.nonsense" in text_of(response)
        assert not Tenant.objects.filter(schema_name=schema).exists()
        assert not schema_exists(schema)

    def test_an_error_of_another_kind_leaves_nothing_either(
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

    def test_without_the_e_mail_the_page_says_what_helps(
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

    def test_times_are_those_of_the_organisation(
        self, in_acme: Tenant, make_user: MakeUser, browser_of: BrowserOf
    ) -> None:
        bob = make_user("bob")
        assert self.shown_at(in_acme, bob, browser_of) == "12:00"
        Tenant.objects.filter(pk=in_acme.pk).update(time_zone="Asia/Tokyo")
        assert self.shown_at(in_acme, bob, browser_of) == "21:00"
        assert timezone.get_current_timezone_name() == "UTC"

    def test_a_zone_that_this_machine_does_not_know_is_that_of_the_site(
        self, in_acme: Tenant, make_user: MakeUser, browser_of: BrowserOf
    ) -> None:
        Tenant.objects.filter(pk=in_acme.pk).update(time_zone="Mars/Olympus")
        assert self.shown_at(in_acme, make_user("bob"), browser_of) == "12:00"

    def test_places_are_known_and_a_machines_own_setting_is_none(self) -> None:
        assert {"Europe/Berlin", "UTC"} <= set(time_zones())
        assert "localtime" not in time_zones()
