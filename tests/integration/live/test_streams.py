"""Who is given a stream, how many, and when it ends."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

import httpx
import pytest
from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.urls import reverse
from django_tenants.utils import schema_context

from messages_extends import api
from messages_extends.live.hub import RECHECK_INTERVAL_S
from tenants.models import Tenant
from tests.factories import BrowserOf, MakeUser
from tests.integration.live.conftest import OpenPage
from tests.processes import eventually
from tests.servers import Site, at_the_database, redis_server, served

Open = Callable[..., OpenPage]


@pytest.fixture
def alice_opens(site: Site, in_acme: Tenant, make_user: MakeUser, open_page: Open) -> Open:
    return partial(open_page, site, in_acme, make_user())


class TestAuthentication:
    def test_stream_without_session_returns_403(self, site: Site, acme: Tenant, open_page: Open) -> None:
        assert open_page(site, acme).status == 403

    def test_stream_with_session_of_other_tenant_returns_403(
        self, site: Site, in_acme: Tenant, make_user: MakeUser, session_cookie: Any, open_page: Open
    ) -> None:
        make_user("alice", pk=1)
        globex = apps.get_model("tenants", "Tenant").objects.get(schema_name="globex")
        with schema_context("globex"):
            cookie = session_cookie(globex, make_user("gina", pk=1))
        assert open_page(site, in_acme, cookies=cookie).status == 403

    @pytest.mark.parametrize("cookies", ["sessionid=x", "sessionid=" + "a" * 4_000, "sessionid=%00;;=;", "\x7f"])
    def test_stream_with_malformed_cookie_returns_403(
        self, site: Site, acme: Tenant, open_page: Open, cookies: str
    ) -> None:
        assert open_page(site, acme, cookies=cookies).status == 403

    @pytest.mark.parametrize("host", ["www", "initech"])
    def test_stream_on_public_or_unknown_host_returns_404(self, site: Site, host: str) -> None:
        page = OpenPage(site, host, "", "/messages/stream/")
        assert page.status == 404
        page.close()

    @pytest.mark.parametrize("last", ["1", "\xff", "x" * 5_000, "-1", "null", "../../etc"])
    def test_stream_ignores_last_event_id(
        self, site: Site, in_acme: Tenant, make_user: MakeUser, open_page: Open, last: str
    ) -> None:
        assert open_page(site, in_acme, make_user(), **{"Last-Event-ID": last}).unread() == 0

    @pytest.mark.parametrize(
        ("site_of_page", "status"), [("cross-site", 403), ("same-site", 403), ("same-origin", 200)]
    )
    def test_stream_from_other_origin_returns_403(self, alice_opens: Open, site_of_page: str, status: int) -> None:
        assert alice_opens(**{"Sec-Fetch-Site": site_of_page}).status == status

    def test_stream_without_asgi_server_returns_204(
        self, in_acme: Tenant, make_user: MakeUser, browser_of: BrowserOf
    ) -> None:
        answer = browser_of(in_acme, make_user()).get("/messages/stream/", headers={"accept": "text/event-stream"})
        assert (answer.status_code, answer.content) == (204, b"")

    @pytest.mark.parametrize("method", ["post", "put", "delete"])
    def test_stream_refuses_other_methods_with_405(
        self, in_acme: Tenant, make_user: MakeUser, browser_of: BrowserOf, method: str
    ) -> None:
        assert getattr(browser_of(in_acme, make_user()), method)("/messages/stream/").status_code == 405


class TestLimits:
    def test_streams_beyond_limit_per_user_return_429(
        self, site: Site, in_acme: Tenant, make_user: MakeUser, open_page: Open, session_cookie: Any
    ) -> None:
        alice, bob = make_user("alice"), make_user("bob")
        cookies = session_cookie(in_acme, alice)
        pages = [open_page(site, in_acme, cookies=cookies) for _ in range(25)]
        assert [page.status for page in pages] == [200] * 10 + [429] * 15
        assert pages[-1].answer.getheader("Retry-After") == "30"
        assert b"per user" in pages[-1].answer.read()
        assert open_page(site, in_acme, bob).unread() == 0
        for page in pages:
            page.close()
        # Their places are free again once they have gone.
        assert eventually(lambda: open_page(site, in_acme, cookies=cookies).status == 200)

    def test_streams_beyond_limit_per_process_return_503(
        self, in_acme: Tenant, make_user: MakeUser, open_page: Open, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        people = [make_user(f"person{number}") for number in range(4)]
        with served(tmp_path_factory.mktemp("small"), DJANGO_SETTINGS_MODULE="tests.integration.live.small") as site:
            pages = [open_page(site, in_acme, person) for person in people]
            assert [page.status for page in pages] == [200, 200, 503, 503]
            assert pages[-1].answer.getheader("Retry-After") == "30"

    def test_open_streams_hold_no_database_connection(
        self, in_acme: Tenant, make_user: MakeUser, open_page: Open, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        with served(tmp_path_factory.mktemp("pool"), DATABASE_POOL_MAX="4") as site:
            pages = [open_page(site, in_acme, make_user(f"person{number}")) for number in range(20)]
            assert [page.unread() for page in pages] == [0] * 20
            # Those of the pool that are not in use, and the one that listens.
            assert eventually(lambda: _sessions_in_use(site) == 0)
            api.announce("Hello", to=api.EVERYONE)
            assert [page.unread() for page in pages] == [1] * 20


def _sessions_in_use(site: Site) -> int:
    """Return how many sessions of the site are within a transaction, or are asking something."""
    with at_the_database() as session:
        found = session.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s AND state <> 'idle'", [site.application]
        )
        return int((found.fetchone() or [0])[0])


class TestRevokedSubscribers:
    """A stream ends within a minute when its session does. All at once, because each takes its time."""

    def test_streams_of_revoked_users_end_after_recheck(
        self, site: Site, in_acme: Tenant, make_user: MakeUser, open_page: Open, session_cookie: Any
    ) -> None:
        names = ("stays", "logs_out", "changes_password", "is_deactivated", "is_deleted", "session_expires")
        people = {name: make_user(name) for name in names}
        cookies = {name: session_cookie(in_acme, person) for name, person in people.items()}
        pages = {name: open_page(site, in_acme, cookies=cookies[name]) for name in names}
        assert [page.unread() for page in pages.values()] == [0] * len(names)

        browser = Client(headers={"host": "acme.localhost"})
        browser.cookies.load(cookies["logs_out"])
        browser.post(reverse("logout"))
        people["changes_password"].set_password("another")
        people["changes_password"].save()
        get_user_model().objects.filter(pk=people["is_deactivated"].pk).update(is_active=False)
        people["is_deleted"].delete()
        key = cookies["session_expires"].removeprefix(f"{settings.SESSION_COOKIE_NAME}=")
        Session.objects.filter(session_key=key).update(expire_date="2001-01-01T00:00Z")

        for name in names[1:]:
            assert pages[name].next(timeout=2 * RECHECK_INTERVAL_S) is None, name
        assert open_page(site, in_acme, cookies=cookies["logs_out"]).status == 403
        pages["stays"].require_silence()

    def test_streams_of_suspended_tenant_end(
        self, site: Site, acme: Tenant, globex: Tenant, make_user: MakeUser, open_page: Open
    ) -> None:
        with schema_context("acme"):
            of_alice = open_page(site, acme, make_user())
        with schema_context("globex"):
            of_gina = open_page(site, globex, make_user())
        assert (of_alice.unread(), of_gina.unread()) == (0, 0)
        tenants = apps.get_model("tenants", "Tenant").objects.filter(schema_name="acme")
        tenants.update(suspended_at="2001-01-01T00:00Z")
        try:
            assert of_alice.next(timeout=60) is None
            of_gina.require_silence()
        finally:
            tenants.update(suspended_at=None)


def log_out(site: Site, organisation: str, cookie: str) -> None:
    """Log out as a browser does, by a page of this site."""
    host = {"Host": f"{organisation}.localhost"}
    with httpx.Client(base_url=f"http://127.0.0.1:{site.port}") as browser:
        page = browser.get("/", headers={**host, "Cookie": cookie})
        [token] = set(re.findall(r'csrfmiddlewaretoken" value="([^"]+)"', page.text)[:1])
        cookies = f"{cookie}; {settings.CSRF_COOKIE_NAME}={page.cookies[settings.CSRF_COOKIE_NAME]}"
        answer = browser.post("/logout/", data={"csrfmiddlewaretoken": token}, headers={**host, "Cookie": cookies})
    assert answer.status_code == 302


# Long before anybody looks at who may stay.
AT_ONCE = RECHECK_INTERVAL_S / 2


class TestImmediateEnd:
    @pytest.fixture(params=["postgres", "valkey"])
    def two_sites(
        self, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
    ) -> Iterator[list[Site]]:
        """Serve the site by two processes, over each of the buses."""
        with ExitStack() as stack:
            is_redis = request.param != "postgres"
            env = {"REDIS_URL": stack.enter_context(redis_server(request.param)).url} if is_redis else {}
            yield [stack.enter_context(served(tmp_path_factory.mktemp("site"), **env)) for _ in range(2)]

    def test_logout_ends_streams_of_session_in_every_process(
        self, two_sites: list[Site], in_acme: Tenant, make_user: MakeUser, session_cookie: Any, open_page: Open
    ) -> None:
        alice = make_user()
        cookie, elsewhere = session_cookie(in_acme, alice), session_cookie(in_acme, alice)
        pages = [open_page(site, in_acme, cookies=cookie) for site in two_sites for _ in range(2)]
        other = open_page(two_sites[0], in_acme, cookies=elsewhere)
        assert [page.unread() for page in (*pages, other)] == [0] * 5
        log_out(two_sites[1], "acme", cookie)
        for page in pages:
            assert page.next(timeout=AT_ONCE) is None
        assert open_page(two_sites[0], in_acme, cookies=cookie).status == 403
        # The same person at another browser stays.
        other.require_silence()

    @pytest.mark.parametrize("change", ["deactivated", "another password", "deleted"])
    def test_account_change_ends_streams_of_revoked_user_at_once(
        self, site: Site, in_acme: Tenant, make_user: MakeUser, open_page: Open, change: str
    ) -> None:
        alice, bob = make_user("alice"), make_user("bob")
        pages = {person: open_page(site, in_acme, person) for person in (alice, bob)}
        assert [page.unread() for page in pages.values()] == [0, 0]
        alice.name = "Alice"
        alice.save()
        pages[alice].require_silence()
        page = pages.pop(alice)
        if change == "deleted":
            alice.delete()
        else:
            alice.is_active = change != "deactivated"
            if change == "another password":
                alice.set_password("another")
            alice.save()
        assert page.next(timeout=AT_ONCE) is None
        pages[bob].require_silence()


class TestRecovery:
    def test_stream_recounts_after_lost_database_connection(
        self, site: Site, in_acme: Tenant, make_user: MakeUser, open_page: Open
    ) -> None:
        alice = make_user()
        page = open_page(site, in_acme, alice)
        assert page.unread() == 0
        with at_the_database() as session:
            session.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s", [site.application]
            )
        # Perhaps in the gap, perhaps after it.
        api.send(alice, "Hello")
        assert eventually(lambda: page.unread() == 1)

    @pytest.mark.parametrize("kind", ["valkey", "redis"])
    def test_stream_recounts_after_redis_restart(
        self, kind: str, in_acme: Tenant, make_user: MakeUser, open_page: Open, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        alice = make_user()
        with (
            redis_server(kind) as redis,
            served(tmp_path_factory.mktemp("redis"), REDIS_URL=redis.url) as site,
        ):
            page = open_page(site, in_acme, alice)
            assert page.unread() == 0
            redis.kill()
            api.send(alice, "Hello")
            redis.start()
            assert eventually(lambda: page.unread() == 1)

    def test_stream_ignores_invalid_change_events(
        self, site: Site, in_acme: Tenant, make_user: MakeUser, open_page: Open
    ) -> None:
        alice = make_user()
        page = open_page(site, in_acme, alice)
        assert page.unread() == 0
        for text in ("", "{", '{"schema": "acme", "users": 1}', '{"schema": "acme", "users": ["x"], "groups": ["y"]}'):
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_notify('messages_extends', %s)", [text])
        api.send(alice, "Hello")
        assert page.unread() == 1
