"""Coming in, going out, passwords and invitations, as people do it."""

import re
from datetime import timedelta
from smtplib import SMTPServerDisconnected
from typing import Any

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher
from django.contrib.auth.models import Permission
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.core.mail.message import EmailMessage
from django.test import Client
from django.utils import timezone
from django.utils.formats import date_format
from django_tenants.utils import schema_context
from pytest_django.fixtures import Settings

from tenants.models import Tenant
from tenants.people.invitations import AlreadyHere, accept, find_invitation
from tenants.people.models import Invitation, User
from tests.factories import BrowserOf, MakeUser
from tests.html import text_of
from tests.integration.tenants.conftest import PASSWORD

pytestmark = pytest.mark.django_db
NEW = "another horse battery"


class BrokenBackend(EmailBackend):
    def send_messages(self, messages: Any) -> int:
        raise SMTPServerDisconnected("no mail today")


def break_mail(settings: Settings) -> None:
    """Let e-mails fail from now on; Django 6.1 has another setting for it."""
    backend = f"{__name__}.BrokenBackend"
    if hasattr(settings, "MAILERS"):
        settings.MAILERS = {"default": {"BACKEND": backend}}
    else:
        settings.EMAIL_BACKEND = backend


@pytest.fixture
def admin(in_acme: Tenant, make_user: MakeUser) -> User:
    admin = make_user("ada", password=PASSWORD)
    admin.user_permissions.add(Permission.objects.get(codename="add_user", content_type__app_label="people"))
    return admin


@pytest.fixture
def at_admins(in_acme: Tenant, admin: User, browser_of: BrowserOf) -> Client:
    return browser_of(in_acme, admin)


def the_mail() -> EmailMessage:
    [sent] = mail.outbox
    mail.outbox.clear()
    return sent


def link_in(sent: EmailMessage) -> str:
    """Return the path of the e-mail's one long link."""
    [link] = re.findall(r"https?://acme\.localhost(?::\d+)?(/\S+)", str(sent.body))
    return str(link)


def test_user_logs_in_and_out(at_acme: Client, bob: User) -> None:
    response = at_acme.post("/login/", {"username": bob.email, "password": PASSWORD}, follow=True)
    assert "Hello, bob" in text_of(response)
    assert at_acme.get("/logout/").status_code == 405
    assert "Hello, bob" not in text_of(at_acme.post("/logout/", follow=True))


def test_login_answers_wrong_password_and_unknown_address_identically(at_acme: Client, bob: User) -> None:
    answers = {
        re.sub(r'(?:csrfmiddlewaretoken"|username") value="[^"]*"|value="[^"]*"', "", text_of(answer))
        for answer in (
            at_acme.post("/login/", {"username": bob.email, "password": "wrong"}),
            at_acme.post("/login/", {"username": "nobody@acme.example", "password": "wrong"}),
        )
    }
    assert len(answers) == 1
    assert "e-mail address or the password is wrong" in answers.pop()


class CountingHasher(MD5PasswordHasher):
    algorithm = "counting"
    runs = 0

    def encode(self, password: str, salt: str) -> str:
        CountingHasher.runs += 1
        return super().encode(password, salt)


def test_login_hashes_password_once_for_every_account_state(
    at_acme: Client, make_user: MakeUser, settings: Settings
) -> None:
    settings.PASSWORD_HASHERS = [f"{__name__}.CountingHasher"]
    people = [
        make_user("bob", password=PASSWORD),
        make_user("inactive", password=PASSWORD, is_active=False),
        make_user("new"),
    ]
    runs = []
    for email in (*(each.email for each in people), "nobody@acme.example"):
        CountingHasher.runs = 0
        at_acme.post("/login/", {"username": email, "password": "wrong"})
        runs.append(CountingHasher.runs)
    assert set(runs) == {1}


def test_login_refuses_inactive_user(at_acme: Client, bob: User) -> None:
    User.objects.update(is_active=False)
    at_acme.post("/login/", {"username": bob.email, "password": PASSWORD})
    assert "Hello" not in text_of(at_acme.get("/"))


@pytest.mark.parametrize("to", ["https://evil.example/", "//evil.example", "http://globex.localhost/"])
def test_login_does_not_redirect_to_other_host(at_acme: Client, bob: User, to: str) -> None:
    response = at_acme.post("/login/", {"username": bob.email, "password": PASSWORD, "next": to})
    assert response["Location"] == "/"


def test_login_redirects_to_requested_page(at_acme: Client, admin: User) -> None:
    assert at_acme.get("/people/")["Location"] == "/login/?next=/people/"
    response = at_acme.post("/login/", {"username": admin.email, "password": PASSWORD, "next": "/people/"})
    assert response["Location"] == "/people/"


def test_password_change_keeps_current_session_and_ends_others(
    in_acme: Tenant, bob: User, browser_of: BrowserOf
) -> None:
    here, elsewhere = browser_of(in_acme, bob), browser_of(in_acme, bob)
    passwords = {"old_password": PASSWORD, "new_password1": NEW, "new_password2": NEW}
    assert "Your password has been changed" in text_of(here.post("/password/", passwords, follow=True))
    assert "Hello, bob" in text_of(here.get("/"))
    assert "Hello, bob" not in text_of(elsewhere.get("/"))


@pytest.mark.parametrize("path", ["/people/", "/people/invitations/1/withdraw/"])
def test_invitation_pages_require_permission(
    in_acme: Tenant, bob: User, browser_of: BrowserOf, at_acme: Client, path: str
) -> None:
    assert browser_of(in_acme, bob).post(path, {"email": "new@x.example"}).status_code == 403
    assert at_acme.post(path, {"email": "new@x.example"})["Location"].startswith("/login/")
    assert not Invitation.objects.exists()
    assert not mail.outbox


def invite(client: Client, email: str = "New@x.example") -> str:
    response = client.post("/people/", {"email": email}, follow=True)
    assert f"{email} has been invited" in text_of(response)
    return link_in(the_mail())


def join(client: Client, path: str, **fields: str) -> Any:
    return client.post(path, {"name": "New Person", "password1": NEW, "password2": NEW, **fields}, follow=True)


def test_invited_user_joins_by_link_and_is_logged_in(at_admins: Client, at_acme: Client) -> None:
    path = invite(at_admins)
    assert "Join Acme" in text_of(at_acme.get(path))
    assert "Hello, New Person" in text_of(join(at_acme, path))
    person = User.objects.with_email("new@x.example").get()
    assert not person.is_staff
    assert not person.get_all_permissions()
    assert at_acme.login(username="new@x.example", password=NEW)


def test_invitation_email_names_tenant_and_inviter(at_admins: Client) -> None:
    at_admins.post("/people/", {"email": "new@x.example"})
    sent = the_mail()
    assert sent.to == ["new@x.example"]
    assert sent.subject == "You are invited to Acme"
    assert "ada invites you to join Acme." in sent.body


@pytest.mark.parametrize("hours", [1, 200])
def test_invitation_email_states_expiry(at_admins: Client, settings: Settings, hours: int) -> None:
    settings.INVITATION_TIMEOUT = hours * 60 * 60
    at_admins.post("/people/", {"email": "new@x.example"})
    until = date_format(timezone.localtime() + timedelta(hours=hours), "DATE_FORMAT")
    assert f"It works once, until {until}" in the_mail().body


def test_invitation_link_works_once(at_admins: Client, at_acme: Client) -> None:
    path = invite(at_admins)
    join(at_acme, path)
    assert at_acme.get(path).status_code == 404
    assert join(Client(headers={"host": "acme.localhost"}), path, name="Thief").status_code == 404
    assert not User.objects.filter(name="Thief").exists()


def test_concurrent_accept_of_invitation_creates_one_user(at_admins: Client, in_acme: Tenant) -> None:
    token = invite(at_admins).split("/")[2]
    first, second = (find_invitation(in_acme, token) for _ in range(2))
    assert first
    assert second
    accept(first, name="First", password=NEW)
    with pytest.raises(Invitation.DoesNotExist):
        accept(second, name="Second", password=NEW)


def test_invitation_accept_refuses_address_of_existing_account(
    at_admins: Client, at_acme: Client, make_user: MakeUser
) -> None:
    path = invite(at_admins)
    make_user("new", email="NEW@x.example", password=PASSWORD)
    assert join(at_acme, path).status_code == 404
    assert at_acme.login(username="new@x.example", password=PASSWORD)
    invitation = Invitation.objects.get()
    with pytest.raises(AlreadyHere):
        accept(invitation, name="x", password=NEW)


def test_repeated_invitation_invalidates_earlier_link(at_admins: Client, at_acme: Client) -> None:
    earlier, later = invite(at_admins), invite(at_admins)
    assert at_acme.get(earlier).status_code == 404
    assert at_acme.get(later).status_code == 200
    assert Invitation.objects.count() == 1


def test_withdrawn_invitation_returns_404(at_admins: Client, at_acme: Client) -> None:
    path = invite(at_admins)
    assert at_admins.get(f"/people/invitations/{Invitation.objects.get().pk}/withdraw/").status_code == 405
    at_admins.post(f"/people/invitations/{Invitation.objects.get().pk}/withdraw/")
    assert at_acme.get(path).status_code == 404


def test_expired_invitation_returns_404(at_admins: Client, at_acme: Client, settings: Settings) -> None:
    path = invite(at_admins)
    settings.INVITATION_TIMEOUT = -1
    assert at_acme.get(path).status_code == 404


@pytest.mark.parametrize("token", ["x", "W10:1:1", "a" * 500, "%00", "…"])
def test_malformed_invitation_token_returns_404(at_acme: Client, token: str) -> None:
    assert at_acme.get(f"/join/{token}/").status_code == 404


def test_invitation_of_existing_user_is_refused(at_admins: Client, bob: User) -> None:
    response = at_admins.post("/people/", {"email": bob.email.upper()})
    assert "person with this e-mail address already" in text_of(response)
    assert not mail.outbox


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"password2": "other"}, "match"),
        ({"password1": "1", "password2": "1"}, "too short"),
        ({"name": ""}, "required"),
    ],
)
def test_join_page_requires_name_and_valid_password(
    at_admins: Client, at_acme: Client, fields: dict[str, str], reason: str
) -> None:
    path = invite(at_admins)
    assert reason in text_of(join(at_acme, path, **fields))
    assert at_acme.get(path).status_code == 200


def test_invitation_emails_are_limited_per_mailbox_and_address(at_admins: Client, settings: Settings) -> None:
    settings.EMAILS_PER_ACCOUNT, settings.EMAILS_PER_ADDRESS = 2, 3
    for email in ("new@x.example", "NEW@x.example", "other@x.example"):
        assert at_admins.post("/people/", {"email": email}).status_code == 302
    for email, address in (("new@x.example", "192.0.2.99"), ("third@x.example", "127.0.0.1")):
        refused = at_admins.post("/people/", {"email": email}, REMOTE_ADDR=address)
        assert (refused.status_code, int(refused["Retry-After"]) > 3_500) == (429, True)
        assert "Too many e-mails have been requested. Try again in 60 minutes." in text_of(refused)
    assert at_admins.post("/people/", {"email": "third@x.example"}, REMOTE_ADDR="192.0.2.99").status_code == 302
    assert [sent.to for sent in mail.outbox] == [
        ["new@x.example"],
        ["new@x.example"],
        ["other@x.example"],
        ["third@x.example"],
    ]


def test_undelivered_invitation_is_reported(at_admins: Client, settings: Settings) -> None:
    break_mail(settings)
    response = at_admins.post("/people/", {"email": "new@x.example"}, follow=True)
    assert "could not be sent" in text_of(response)


def test_people_page_lists_no_users_of_other_tenant(globex: Tenant, at_admins: Client, make_user: MakeUser) -> None:
    with schema_context("globex"):
        make_user("stranger")
    page = text_of(at_admins.get("/people/"))
    assert "ada" in page
    assert "stranger" not in page
