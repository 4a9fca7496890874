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


def test_a_person_logs_in_and_out(at_acme: Client, bob: User) -> None:
    response = at_acme.post("/login/", {"username": bob.email, "password": PASSWORD}, follow=True)
    assert "Hello, bob" in text_of(response)
    assert at_acme.get("/logout/").status_code == 405
    assert "Hello, bob" not in text_of(at_acme.post("/logout/", follow=True))


def test_a_wrong_password_and_an_unknown_address_get_the_same_answer(at_acme: Client, bob: User) -> None:
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


def test_a_wrong_password_is_hashed_as_often_whoever_it_is_for(
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


def test_an_inactive_person_does_not_get_in(at_acme: Client, bob: User) -> None:
    User.objects.update(is_active=False)
    at_acme.post("/login/", {"username": bob.email, "password": PASSWORD})
    assert "Hello" not in text_of(at_acme.get("/"))


@pytest.mark.parametrize("to", ["https://evil.example/", "//evil.example", "http://globex.localhost/"])
def test_logging_in_leads_to_no_other_host(at_acme: Client, bob: User, to: str) -> None:
    response = at_acme.post("/login/", {"username": bob.email, "password": PASSWORD, "next": to})
    assert response["Location"] == "/"


def test_logging_in_leads_back_to_where_one_wanted_to_go(at_acme: Client, admin: User) -> None:
    assert at_acme.get("/people/")["Location"] == "/login/?next=/people/"
    response = at_acme.post("/login/", {"username": admin.email, "password": PASSWORD, "next": "/people/"})
    assert response["Location"] == "/people/"


def test_a_changed_password_keeps_this_browser_in_and_puts_others_out(
    in_acme: Tenant, bob: User, browser_of: BrowserOf
) -> None:
    here, elsewhere = browser_of(in_acme, bob), browser_of(in_acme, bob)
    passwords = {"old_password": PASSWORD, "new_password1": NEW, "new_password2": NEW}
    assert "Your password has been changed" in text_of(here.post("/password/", passwords, follow=True))
    assert "Hello, bob" in text_of(here.get("/"))
    assert "Hello, bob" not in text_of(elsewhere.get("/"))


@pytest.mark.parametrize("path", ["/people/", "/people/invitations/1/withdraw/"])
def test_inviting_needs_the_permission(
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


def test_an_invited_person_joins_by_the_link_and_is_in(at_admins: Client, at_acme: Client) -> None:
    path = invite(at_admins)
    assert "Join Acme" in text_of(at_acme.get(path))
    assert "Hello, New Person" in text_of(join(at_acme, path))
    person = User.objects.with_email("new@x.example").get()
    assert not person.is_staff
    assert not person.get_all_permissions()
    assert at_acme.login(username="new@x.example", password=NEW)


def test_an_invitation_e_mail_names_the_organisation_and_who_invites(at_admins: Client) -> None:
    at_admins.post("/people/", {"email": "new@x.example"})
    sent = the_mail()
    assert sent.to == ["new@x.example"]
    assert sent.subject == "You are invited to Acme"
    assert "ada invites you to join Acme." in sent.body


@pytest.mark.parametrize("hours", [1, 200])
def test_an_e_mail_says_how_long_its_link_works(at_admins: Client, settings: Settings, hours: int) -> None:
    settings.INVITATION_TIMEOUT = hours * 60 * 60
    at_admins.post("/people/", {"email": "new@x.example"})
    until = date_format(timezone.localtime() + timedelta(hours=hours), "DATE_FORMAT")
    assert f"It works once, until {until}" in the_mail().body


def test_an_invitation_works_once(at_admins: Client, at_acme: Client) -> None:
    path = invite(at_admins)
    join(at_acme, path)
    assert at_acme.get(path).status_code == 404
    assert join(Client(headers={"host": "acme.localhost"}), path, name="Thief").status_code == 404
    assert not User.objects.filter(name="Thief").exists()


def test_of_two_simultaneous_clicks_one_joins(at_admins: Client, in_acme: Tenant) -> None:
    token = invite(at_admins).split("/")[2]
    first, second = (find_invitation(in_acme, token) for _ in range(2))
    assert first
    assert second
    accept(first, name="First", password=NEW)
    with pytest.raises(Invitation.DoesNotExist):
        accept(second, name="Second", password=NEW)


def test_whoever_came_in_another_way_keeps_their_account(
    at_admins: Client, at_acme: Client, make_user: MakeUser
) -> None:
    path = invite(at_admins)
    make_user("new", email="NEW@x.example", password=PASSWORD)
    assert join(at_acme, path).status_code == 404
    assert at_acme.login(username="new@x.example", password=PASSWORD)
    invitation = Invitation.objects.get()
    with pytest.raises(AlreadyHere):
        accept(invitation, name="x", password=NEW)


def test_inviting_again_makes_the_earlier_link_worthless(at_admins: Client, at_acme: Client) -> None:
    earlier, later = invite(at_admins), invite(at_admins)
    assert at_acme.get(earlier).status_code == 404
    assert at_acme.get(later).status_code == 200
    assert Invitation.objects.count() == 1


def test_a_withdrawn_invitation_is_worthless(at_admins: Client, at_acme: Client) -> None:
    path = invite(at_admins)
    assert at_admins.get(f"/people/invitations/{Invitation.objects.get().pk}/withdraw/").status_code == 405
    at_admins.post(f"/people/invitations/{Invitation.objects.get().pk}/withdraw/")
    assert at_acme.get(path).status_code == 404


def test_an_invitation_expires(at_admins: Client, at_acme: Client, settings: Settings) -> None:
    path = invite(at_admins)
    settings.INVITATION_TIMEOUT = -1
    assert at_acme.get(path).status_code == 404


@pytest.mark.parametrize("token", ["x", "W10:1:1", "a" * 500, "%00", "…"])
def test_a_made_up_invitation_is_refused(at_acme: Client, token: str) -> None:
    assert at_acme.get(f"/join/{token}/").status_code == 404


def test_whoever_is_here_already_is_not_invited(at_admins: Client, bob: User) -> None:
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
def test_whoever_joins_needs_a_name_and_a_good_password(
    at_admins: Client, at_acme: Client, fields: dict[str, str], reason: str
) -> None:
    path = invite(at_admins)
    assert reason in text_of(join(at_acme, path, **fields))
    assert at_acme.get(path).status_code == 200


def test_invitations_to_one_mailbox_and_from_one_address_are_limited(at_admins: Client, settings: Settings) -> None:
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


def test_an_invitation_that_could_not_be_sent_is_said_so(at_admins: Client, settings: Settings) -> None:
    break_mail(settings)
    response = at_admins.post("/people/", {"email": "new@x.example"}, follow=True)
    assert "could not be sent" in text_of(response)


def test_people_of_other_organisations_are_not_listed(globex: Tenant, at_admins: Client, make_user: MakeUser) -> None:
    with schema_context("globex"):
        make_user("stranger")
    page = text_of(at_admins.get("/people/"))
    assert "ada" in page
    assert "stranger" not in page
