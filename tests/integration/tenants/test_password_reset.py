"""Links to set a new password: whoever asks for one learns nothing of who is here, and fills nobody's mailbox.

They are sent once the answer has been sent, so these tests commit what they make.
"""

import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiosmtpd.controller import Controller
from django.core import mail
from django.core.mail.message import EmailMessage
from django.db import connection, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import translation
from pytest_django.fixtures import Settings

from tenants import background
from tenants.models import Tenant
from tenants.people.models import LoginAttempt, User
from tests.factories import MakeUser
from tests.html import text_of
from tests.integration.tenants.test_people_pages import NEW, break_mail, link_in
from tests.processes import eventually
from tests.servers import Site, free_port, served

ASK = "/password/forgotten/"
SENT = "/password/forgotten/sent/"


@pytest.fixture(autouse=True)
def _nothing_is_left(committing: None) -> Iterator[None]:
    yield
    background.wait_for_all()


def sent() -> list[EmailMessage]:
    background.wait_for_all()
    found = list(mail.outbox)
    mail.outbox.clear()
    return found


def the_mail() -> EmailMessage:
    [found] = sent()
    return found


def test_password_link_sets_new_password_once(at_acme: Client, bob: User) -> None:
    assert at_acme.post(ASK, {"email": bob.email.upper()})["Location"] == SENT
    path = link_in(the_mail())
    form = at_acme.get(path, follow=True)
    passwords = {"new_password1": NEW, "new_password2": NEW}
    done = at_acme.post(form.redirect_chain[-1][0], passwords, follow=True)
    assert "You can log in with it now" in text_of(done)
    assert at_acme.login(username=bob.email, password=NEW)
    assert "This link is not valid" in text_of(at_acme.get(path, follow=True))


def test_password_email_names_tenant_and_ignores_host_header(in_acme: Tenant, bob: User) -> None:
    second = in_acme.domains.create(domain="acme2.localhost", is_primary=False)
    try:
        client = Client(headers={"host": "ACME2.localhost:6666"})
        client.post(ASK, {"email": bob.email}, headers={"x-forwarded-host": "evil.example"})
        found = the_mail()
    finally:
        second.delete()
    assert found.to == [bob.email]
    assert "Acme" in found.subject
    assert "Acme" in found.body
    assert "acme2" not in found.body
    assert "evil" not in found.body
    assert "6666" not in found.body


def test_password_email_is_in_language_of_request(in_acme: Tenant, bob: User) -> None:
    Client(headers={"host": "acme.localhost", "accept-language": "de"}).post(ASK, {"email": bob.email})
    with translation.override("de"):
        assert the_mail().subject == translation.gettext("Your password at %(organisation)s") % {"organisation": "Acme"}


@pytest.mark.parametrize("address", ["nobody@acme.example", "inactive@acme.example"])
def test_password_request_answers_unknown_address_identically(
    at_acme: Client, bob: User, make_user: MakeUser, address: str
) -> None:
    make_user("inactive", is_active=False)
    theirs, bobs = (at_acme.post(ASK, {"email": email}) for email in (address, bob.email))
    assert (theirs.status_code, theirs["Location"]) == (bobs.status_code, bobs["Location"])
    assert the_mail().to == [bob.email]


def test_password_request_runs_same_queries_for_unknown_address(
    at_acme: Client, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is left to the background is not looked at before the answer has been sent."""
    left: list[Any] = []
    monkeypatch.setattr(background, "_start", left.append)
    asked = []
    for email in (bob.email, "nobody@acme.example"):
        with CaptureQueriesContext(connection) as queries:
            at_acme.post(ASK, {"email": email})
        asked.append([re.sub(r"'[^']*'|[0-9]+", "…", query["sql"]) for query in queries])
    assert asked[0] == asked[1]
    assert not [query for query in asked[0] if "people_user" in query]
    assert len(left) == 2


def test_password_request_succeeds_when_mail_server_is_down(at_acme: Client, bob: User, settings: Settings) -> None:
    break_mail(settings)
    assert at_acme.post(ASK, {"email": bob.email}).status_code == 302


# How often ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("known", [True, False])
def test_password_emails_are_limited_per_mailbox(
    at_acme: Client, bob: User, settings: Settings, *, known: bool
) -> None:
    settings.EMAILS_PER_ACCOUNT = 2
    email = bob.email if known else "nobody@acme.example"
    for number, written in enumerate((email, email.upper())):
        assert at_acme.post(ASK, {"email": written}, REMOTE_ADDR=f"192.0.2.{number}").status_code == 302
    refused = at_acme.post(ASK, {"email": email}, REMOTE_ADDR="192.0.2.99")
    assert (refused.status_code, int(refused["Retry-After"]) > 3_500) == (429, True)
    assert "Too many e-mails have been requested. Try again in 60 minutes." in text_of(refused)
    assert len(sent()) == (2 if known else 0)
    kept = set(LoginAttempt.objects.values_list("by", flat=True))
    assert not [by for by in kept if "bob" in by or len(by) != 64]


@pytest.mark.parametrize(
    ("first", "second"), [("192.0.2.7", "192.0.2.7"), ("2001:db8::1", "2001:db8::ffff:1")], ids=["IPv4", "IPv6"]
)
def test_password_emails_are_limited_per_network(
    at_acme: Client, bob: User, settings: Settings, first: str, second: str
) -> None:
    settings.EMAILS_PER_ADDRESS = 2
    for number in range(2):
        assert at_acme.post(ASK, {"email": f"p{number}@acme.example"}, REMOTE_ADDR=first).status_code == 302
    assert at_acme.post(ASK, {"email": bob.email}, REMOTE_ADDR=second).status_code == 429
    assert at_acme.post(ASK, {"email": bob.email}, REMOTE_ADDR="198.51.100.1").status_code == 302


def test_login_failures_and_password_emails_are_counted_separately(
    at_acme: Client, bob: User, settings: Settings
) -> None:
    settings.EMAILS_PER_ACCOUNT = settings.LOGIN_FAILURES_PER_ACCOUNT = 1
    assert at_acme.post("/login/", {"username": bob.email, "password": "wrong"}).status_code == 200
    assert at_acme.post(ASK, {"email": bob.email}).status_code == 302
    assert at_acme.post(ASK, {"email": bob.email}).status_code == 429


def test_password_email_is_dropped_when_background_queue_is_full(
    at_acme: Client, bob: User, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(background, "MAX_WAITING", 0)
    assert at_acme.post(ASK, {"email": bob.email}).status_code == 302
    assert sent() == []
    assert "dropped" in caplog.text


# With a real mail server, which takes its time, and a real web server ------------------------------------------------


class SlowHandler:
    """Takes an e-mail once it is let; says what it has taken."""

    def __init__(self) -> None:
        self.may_answer = threading.Event()
        self.is_asked = threading.Event()
        self.taken: list[str] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.is_asked.set()
        await server.loop.run_in_executor(None, self.may_answer.wait, 30)
        self.taken += envelope.rcpt_tos
        return "250 OK"


@pytest.fixture
def mail_server() -> Iterator[tuple[SlowHandler, int]]:
    handler, port = SlowHandler(), free_port()
    controller = Controller(handler, hostname="127.0.0.1", port=port)
    controller.start()
    yield handler, port
    handler.may_answer.set()
    controller.stop()


@pytest.fixture
def site(mail_server: tuple[SlowHandler, int], tmp_path: Path) -> Iterator[Site]:
    with served(tmp_path, EMAIL_URL=f"smtp://127.0.0.1:{mail_server[1]}", EMAILS_PER_ACCOUNT="4") as site:
        yield site


def ask(site: Site, email: str) -> int:
    with httpx.Client(base_url=f"http://127.0.0.1:{site.port}", headers={"Host": "acme.localhost"}) as browser:
        [token] = re.findall(r'csrfmiddlewaretoken" value="([^"]+)"', browser.get(ASK).text)
        cookie = f"{next(iter(browser.cookies))}={next(iter(browser.cookies.values()))}"
        return browser.post(
            ASK, data={"email": email, "csrfmiddlewaretoken": token}, headers={"Cookie": cookie}
        ).status_code


def test_slow_mail_server_does_not_delay_responses_or_exceed_limit(
    bob: User, site: Site, mail_server: tuple[SlowHandler, int]
) -> None:
    connections.close_all()
    handler, _port = mail_server
    assert ask(site, bob.email) == 302
    assert handler.is_asked.wait(30), "the e-mail was never handed over"
    # The mail server has still not answered, and nobody notices.
    assert ask(site, "nobody@acme.example") == 302
    assert ask(site, bob.email) == 302
    assert handler.taken == []
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda _number: ask(site, bob.email), range(24)))
    assert set(statuses) <= {302, 429}
    allowed = statuses.count(302) + 2
    assert 2 <= allowed <= 4
    handler.may_answer.set()
    assert eventually(lambda: len(handler.taken) == allowed)
    assert set(handler.taken) == {bob.email}
