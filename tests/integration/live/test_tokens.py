"""Streams that are reopened by a token: what the token replaces, and what it never does."""

import asyncio
import time
from collections.abc import Callable
from http.cookies import SimpleCookie
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.sessions.models import Session
from django.test import override_settings
from django_tenants.utils import schema_context

from messages_extends.live import asgi, hub
from messages_extends.live.asgi import MAX_CONCURRENT_HANDSHAKES, LiveUpdates
from messages_extends.live.queries import Subscriber
from messages_extends.live.streams import HANDSHAKE_KEY, Stream
from messages_extends.live.tokens import COOKIE_NAME, read_token, token_header
from tenants.models import Tenant
from tests.factories import BrowserOf, make_user
from tests.integration.live.conftest import OpenPage
from tests.servers import Site

HEADERS = {"host": "acme.localhost", "accept": "text/event-stream", "sec-fetch-site": "same-origin"}


class CountingApplication:
    """An application that accepts every stream request as that of one subscriber, and counts them."""

    def __init__(self, subscriber: Subscriber | None) -> None:
        self.subscriber = subscriber
        self.asked = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked += 1
        await receive()
        await asyncio.sleep(0.05)
        subscriber = self.subscriber or scope["subscriber"]
        scope[HANDSHAKE_KEY].subscriber = subscriber
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})


def request(cookies: dict[str, str], headers: dict[str, str] | None = None, **scope: Any) -> dict[str, Any]:
    cookie = "; ".join(f"{name}={value}" for name, value in cookies.items())
    given = {**HEADERS, **(headers or {}), "cookie": cookie}
    return {
        "type": "http",
        "method": "GET",
        "scheme": "http",
        "client": ("127.0.0.1", 50_000),
        "path": "/messages/stream/",
        "query_string": b"tabs=x&language=en",
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
        **scope,
    }


async def open_stream(live: LiveUpdates, scope: dict[str, Any]) -> tuple[int, dict[str, str]]:
    """Open a stream and leave after its first message; return its status and the cookies that it sets."""
    answers: asyncio.Queue[Any] = asyncio.Queue()
    incoming: asyncio.Queue[Any] = asyncio.Queue()
    incoming.put_nowait({"type": "http.request", "body": b"", "more_body": False})
    task = asyncio.ensure_future(live(scope, incoming.get, answers.put))
    async with asyncio.timeout(20):
        start = await answers.get()
        await answers.get()
        incoming.put_nowait({"type": "http.disconnect"})
        await task
    cookies: SimpleCookie = SimpleCookie()
    for name, value in start["headers"]:
        if name == b"set-cookie":
            cookies.load(value.decode())
    return start["status"], {name: morsel.value for name, morsel in cookies.items()}


@pytest.fixture
def database(committing: None) -> None:
    """Have tests commit: the hub has a connection of its own."""


@pytest.fixture
def session(alice: Any, acme: Tenant, browser_of: BrowserOf) -> str:
    return str(browser_of(acme, alice).cookies[settings.SESSION_COOKIE_NAME].value)


@pytest.fixture
def subscriber(alice: Any, session: str) -> Subscriber:
    return Subscriber("acme", str(alice.pk), "en", session, alice.get_session_auth_hash())


def asked_when_reopened(
    subscriber: Subscriber,
    again: Callable[[dict[str, str]], dict[str, Any]] = request,
    between: Callable[[], object] = lambda: None,
) -> int:
    """Open a stream and reopen it by the request that `again` makes; return how often the application was asked."""
    application = CountingApplication(subscriber)

    async def run() -> None:
        live = LiveUpdates(application)
        cookies = {settings.SESSION_COOKIE_NAME: subscriber.session_key or ""}
        status, received = await open_stream(live, request(cookies))
        assert status == 200
        await asyncio.to_thread(between)
        status, _received = await open_stream(live, again({**cookies, **received}))
        assert status == 200
        await live.close()

    asyncio.run(run())
    return application.asked


def test_reopened_stream_does_not_ask_the_application(subscriber: Subscriber) -> None:
    assert asked_when_reopened(subscriber) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"headers": {"host": "globex.localhost"}},
        {"headers": {"x-forwarded-host": "globex.localhost"}},
        {"headers": {"sec-fetch-site": "same-site"}},
        {"headers": {"x-forwarded-for": "192.0.2.1"}},
        {"headers": {"authorization": "Bearer x"}},
        {"headers": {"accept-language": "de"}},
        {"path": "/clients/globex/messages/stream/"},
        {"query_string": b"tabs=y&language=en"},
        {"query_string": b"tabs=x&language=de"},
        {"client": ("127.0.0.2", 50_000)},
        {"scheme": "https"},
    ],
    ids=str,
)
def test_token_of_a_different_request_asks_the_application(subscriber: Subscriber, change: dict[str, Any]) -> None:
    assert asked_when_reopened(subscriber, lambda cookies: request(cookies, **change)) == 2


@pytest.mark.parametrize(
    "change",
    [
        lambda cookies: {**cookies, settings.SESSION_COOKIE_NAME: "another"},
        lambda cookies: {COOKIE_NAME: cookies[COOKIE_NAME]},
        lambda cookies: {**cookies, COOKIE_NAME: cookies[COOKIE_NAME][:-1]},
        lambda cookies: {**cookies, COOKIE_NAME: "x"},
        lambda cookies: {**cookies, COOKIE_NAME: ""},
    ],
    ids=["another session", "no session", "wrong signature", "no signature", "empty"],
)
def test_invalid_token_asks_the_application(
    subscriber: Subscriber, change: Callable[[dict[str, str]], dict[str, str]]
) -> None:
    assert asked_when_reopened(subscriber, lambda cookies: request(change(cookies))) == 2


def test_token_with_the_session_of_another_user_asks_the_application(
    subscriber: Subscriber, acme: Tenant, bob: Any, browser_of: BrowserOf
) -> None:
    of_bob = browser_of(acme, bob).cookies[settings.SESSION_COOKIE_NAME].value
    again = {settings.SESSION_COOKIE_NAME: of_bob}
    assert asked_when_reopened(subscriber, lambda cookies: request({**cookies, **again})) == 2


def in_acme(act: Callable[[], object]) -> Callable[[], None]:
    def run() -> None:
        with schema_context("acme"):
            act()

    return run


def _deactivate(user: Any) -> None:
    get_user_model().objects.filter(pk=user.pk).update(is_active=False)


def _change_password(user: Any) -> None:
    user.set_password("another")
    get_user_model().objects.filter(pk=user.pk).update(password=user.password)


def _delete(user: Any) -> None:
    get_user_model().objects.filter(pk=user.pk).delete()


def _log_out(_user: Any) -> None:
    Session.objects.all().delete()


def _expire(_user: Any) -> None:
    Session.objects.update(expire_date="2001-01-01T00:00Z")


@pytest.mark.parametrize("change", [_deactivate, _change_password, _delete, _log_out, _expire])
def test_token_of_an_ended_session_or_account_asks_the_application(
    alice: Any, subscriber: Subscriber, change: Callable[[Any], None]
) -> None:
    assert asked_when_reopened(subscriber, between=in_acme(lambda: change(alice))) == 2


def test_token_of_a_tenant_not_served_lately_asks_the_application(
    subscriber: Subscriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "SERVED_FOR_S", 0)
    assert asked_when_reopened(subscriber) == 2


def test_token_asks_the_application_while_the_database_fails(
    subscriber: Subscriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("messages_extends.live.queries.revoked_subscribers", fail)
    assert asked_when_reopened(subscriber) == 2


def test_token_expires_when_the_first_stream_does(subscriber: Subscriber, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asgi, "stream_expiry", lambda: time.time() + 1)
    assert asked_when_reopened(subscriber, between=lambda: time.sleep(1.1)) == 2


def test_reopened_stream_ends_when_the_first_one_does(subscriber: Subscriber) -> None:
    scope = request({settings.SESSION_COOKIE_NAME: subscriber.session_key or ""})
    expires_at = time.time() + 100
    token = SimpleCookie(token_header(scope, subscriber, expires_at)[0][1].decode())[COOKIE_NAME].value
    cookies = {settings.SESSION_COOKIE_NAME: subscriber.session_key or "", COOKIE_NAME: token}
    assert read_token(request(cookies)) == (subscriber, expires_at)


@pytest.mark.parametrize(
    "given", [{"auth_hash": None}, {"auth_hash": ""}, {"session_key": "another"}, {"session_key": None}]
)
def test_subscriber_not_authenticated_by_the_session_gets_no_token(given: dict[str, str | None]) -> None:
    subscriber = Subscriber("acme", "1", "en", "s", "h")._replace(**given)
    assert token_header(request({settings.SESSION_COOKIE_NAME: "s"}), subscriber, time.time() + 9) == []


def test_stream_ends_when_it_expires() -> None:
    stream = Stream(Subscriber("acme", "1", "en"), {}, time.time() + 1)
    stream.update(1, changed=False, spread=0)
    written: list[Any] = []

    async def send(message: Any) -> None:
        written.append(message["body"])
        stream.update(1, changed=False, spread=0)
        await asyncio.sleep(0.1)

    asyncio.run(asyncio.wait_for(stream.write(send), 10))
    assert 2 < len(written) < 20


@pytest.mark.parametrize("is_secure", [True, False])
def test_cookie_is_limited_to_streams_of_this_host(is_secure: bool) -> None:
    subscriber = Subscriber("acme", "1", "en", "s", "h")
    with override_settings(
        SESSION_COOKIE_SECURE=is_secure, SESSION_COOKIE_DOMAIN=".localhost", SESSION_COOKIE_PATH="/"
    ):
        [(_name, value)] = token_header(request({settings.SESSION_COOKIE_NAME: "s"}), subscriber, time.time() + 9)
    cookie = SimpleCookie(value.decode())[COOKIE_NAME]
    assert {name for name, attribute in cookie.items() if attribute} == {
        "expires",
        "httponly",
        "max-age",
        "samesite",
        *(["secure"] if is_secure else []),
    }
    assert cookie["samesite"] == "Strict"


def test_reconnecting_browsers_ask_the_application_for_few(acme: Tenant, browser_of: BrowserOf) -> None:
    with schema_context("acme"):
        people = [make_user(f"person{number}") for number in range(4 * MAX_CONCURRENT_HANDSHAKES)]
    scopes = []
    for person in people:
        session = browser_of(acme, person).cookies[settings.SESSION_COOKIE_NAME].value
        subscriber = Subscriber("acme", str(person.pk), "en", session, person.get_session_auth_hash())
        cookies = {settings.SESSION_COOKIE_NAME: session}
        header = token_header(request(cookies), subscriber, time.time() + 100)[0][1].decode()
        token = SimpleCookie(header)[COOKIE_NAME].value
        scopes.append(request({**cookies, COOKIE_NAME: token}, subscriber=subscriber))
    application = CountingApplication(None)

    async def run() -> list[tuple[int, dict[str, str]]]:
        live = LiveUpdates(application)
        answers = await asyncio.gather(*(open_stream(live, scope) for scope in scopes))
        await live.close()
        return answers

    assert [status for status, _cookies in asyncio.run(run())] == [200] * len(people)
    assert application.asked <= MAX_CONCURRENT_HANDSHAKES


def _with_token(page: OpenPage, session: str) -> str:
    assert page.status == 200
    return f"{session}; {(page.answer.getheader('Set-Cookie') or '').partition(';')[0]}"


def test_token_is_refused_at_another_organisation(
    site: Site, acme: Tenant, globex: Tenant, open_page: Callable[..., OpenPage], session_cookie: Callable[..., str]
) -> None:
    with schema_context("acme"):
        of_alice = session_cookie(acme, make_user("alice", pk=1))
    with schema_context("globex"):
        of_gina = session_cookie(globex, make_user("gina", pk=1))
    cookies = _with_token(open_page(site, acme, cookies=of_alice), of_alice)
    token = cookies.partition("; ")[2]
    # The application has served both organisations.
    assert open_page(site, globex, cookies=of_gina).status == 200
    assert open_page(site, acme, cookies=cookies).unread() == 0
    assert open_page(site, globex, cookies=cookies).status == 403
    # Of two users with the same key, the session decides.
    assert "Set-Cookie" in open_page(site, globex, cookies=f"{of_gina}; {token}").answer.headers


def test_token_is_refused_after_logout(
    site: Site, in_acme: Tenant, open_page: Callable[..., OpenPage], session_cookie: Callable[..., str]
) -> None:
    of_alice, of_bob = (session_cookie(in_acme, make_user(name)) for name in ("alice", "bob"))
    cookies = _with_token(open_page(site, in_acme, cookies=of_alice), of_alice)
    assert open_page(site, in_acme, cookies=of_bob).status == 200
    Session.objects.filter(session_key=of_alice.partition("=")[2]).delete()
    assert open_page(site, in_acme, cookies=cookies).status == 403
