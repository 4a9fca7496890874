"""Nobody becomes more than they are: every form that changes groups, members, permissions or a password."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import Group, Permission
from django.db import connections
from guardian.shortcuts import assign_perm

from messages_extends.constants import INFO_PERSISTENT
from messages_extends.models import Message
from tenants.models import Tenant
from tenants.people.holdings import Holdings
from tenants.people.models import User
from tests.factories import BrowserOf, MakeUser
from tests.integration.tenants.conftest import PASSWORD
from tests.servers import served


def permission(name: str) -> Permission:
    app, codename = name.split(".")
    return Permission.objects.get(content_type__app_label=app, codename=codename)


class Accounts:
    """A clerk who may change people and groups, administrators, and a group whose members may write to one person."""

    def __init__(self, make_user: MakeUser) -> None:
        self.administrators = Group.objects.create(name="Administrators")
        self.administrators.permissions.set(map(permission, django_settings.TENANTS_ADMIN_PERMISSIONS))
        self.administrator = make_user("ada", is_staff=True, password=PASSWORD)
        self.administrator.groups.add(self.administrators)
        self.root = make_user("root", is_staff=True, is_superuser=True, password=PASSWORD)
        self.colleague = make_user("carol", password=PASSWORD)
        self.insiders = Group.objects.create(name="Insiders")
        assign_perm("people.send_message", self.insiders, self.root)
        self.insider = make_user("ivan", password=PASSWORD)
        self.insider.groups.add(self.insiders)
        self.harmless = Group.objects.create(name="Harmless")
        self.clerk = make_user("clerk", is_staff=True, password=PASSWORD)
        rights = ("people.view_user", "people.change_user", "people.delete_user", "auth.view_group")
        self.clerk.user_permissions.set(map(permission, (*rights, "auth.add_group", "auth.change_group")))

    def held(self) -> dict[str, Any]:
        """Return all that anybody holds, and their passwords and addresses."""
        people = User.objects.order_by("pk")
        return {
            "people": {each.email: (Holdings.of_person(each), each.password, each.is_staff) for each in people},
            "groups": {each.name: Holdings.of_group(each) for each in Group.objects.order_by("pk")},
        }


@pytest.fixture
def accounts(in_acme: Tenant, make_user: MakeUser) -> Accounts:
    return Accounts(make_user)


def form_of(person: User, **changes: Any) -> dict[str, Any]:
    groups = list(person.groups.values_list("pk", flat=True))
    values = {"email": person.email, "name": person.name, "is_active": "on", "groups": groups, **changes}
    return values | ({"is_staff": "on"} if person.is_staff else {})


PASSWORDS = {"usable_password": "true", "password1": "another horse battery", "password2": "another horse battery"}
# Which form is sent, and what with; the texts are what the answer is refused with.
TRIES: dict[str, Callable[[Accounts], tuple[str, dict[str, Any]]]] = {
    "join the administrators": lambda accounts: (
        f"people/user/{accounts.clerk.pk}/change/",
        form_of(accounts.clerk, groups=[accounts.administrators.pk]),
    ),
    "have somebody else join them": lambda accounts: (
        f"people/user/{accounts.colleague.pk}/change/",
        form_of(accounts.colleague, groups=[accounts.administrators.pk]),
    ),
    "join a group with a grant on one person": lambda accounts: (
        f"people/user/{accounts.clerk.pk}/change/",
        form_of(accounts.clerk, groups=[accounts.insiders.pk]),
    ),
    "make a group that reads messages": lambda _cast: (
        "auth/group/add/",
        {"name": "Readers", "permissions": [permission("messages_extends.view_message").pk]},
    ),
    "give a group what one does not hold": lambda accounts: (
        f"auth/group/{accounts.harmless.pk}/change/",
        {"name": "Harmless", "permissions": [permission("people.send_message").pk]},
    ),
    "change a group that holds more": lambda accounts: (
        f"auth/group/{accounts.administrators.pk}/change/",
        {"name": "Administrators", "permissions": []},
    ),
    "set an administrator's password": lambda accounts: (
        f"people/user/{accounts.administrator.pk}/password/",
        PASSWORDS,
    ),
    "set a superuser's password": lambda accounts: (f"people/user/{accounts.root.pk}/password/", PASSWORDS),
    "set the password of somebody with a grant": lambda accounts: (
        f"people/user/{accounts.insider.pk}/password/",
        PASSWORDS,
    ),
    "have an administrator's links sent elsewhere": lambda accounts: (
        f"people/user/{accounts.administrator.pk}/change/",
        form_of(accounts.administrator, email="clerk2@acme.example"),
    ),
    "become a superuser": lambda accounts: (
        f"people/user/{accounts.clerk.pk}/change/",
        form_of(accounts.clerk, is_superuser="on", user_permissions=[permission("people.send_message").pk]),
    ),
    "delete an administrator": lambda accounts: (f"people/user/{accounts.administrator.pk}/delete/", {"post": "yes"}),
    "delete administrators in the list": lambda accounts: (
        "people/user/",
        {"action": "delete_selected", "_selected_action": [accounts.administrator.pk], "post": "yes"},
    ),
}


@pytest.mark.parametrize("inactive", [False, True])
@pytest.mark.parametrize("attempt", TRIES.values(), ids=list(TRIES))
def test_admin_forms_refuse_permissions_not_held_by_editor(
    attempt: Callable[[Accounts], tuple[str, dict[str, Any]]],
    accounts: Accounts,
    in_acme: Tenant,
    browser_of: BrowserOf,
    *,
    inactive: bool,
) -> None:
    if inactive:
        # Someone else could activate them later.
        User.objects.exclude(pk=accounts.clerk.pk).update(is_active=False)
    path, values = attempt(accounts)
    before = accounts.held()
    browser_of(in_acme, accounts.clerk).post(f"/admin/{path}", values)
    assert accounts.held() == before


def test_admin_forms_accept_permissions_held_by_editor(
    accounts: Accounts, in_acme: Tenant, browser_of: BrowserOf
) -> None:
    clerk = browser_of(in_acme, accounts.clerk)
    view = permission("people.view_user").pk
    assert clerk.post("/admin/auth/group/add/", {"name": "Clerks", "permissions": [view]}).status_code == 302
    clerks = Group.objects.get(name="Clerks")
    values = form_of(accounts.colleague, groups=[clerks.pk, accounts.harmless.pk])
    assert clerk.post(f"/admin/people/user/{accounts.colleague.pk}/change/", values).status_code == 302
    assert set(accounts.colleague.groups.all()) == {clerks, accounts.harmless}
    assert clerk.post(f"/admin/people/user/{accounts.colleague.pk}/password/", PASSWORDS).status_code == 302
    administrator = browser_of(in_acme, accounts.administrator)
    values = form_of(accounts.colleague, groups=[accounts.administrators.pk])
    assert administrator.post(f"/admin/people/user/{accounts.colleague.pk}/change/", values).status_code == 302
    assert set(accounts.colleague.groups.all()) == {accounts.administrators}
    root = browser_of(in_acme, accounts.root)
    readers = {"name": "Readers", "permissions": [permission("messages_extends.view_message").pk]}
    assert root.post("/admin/auth/group/add/", readers).status_code == 302
    assert root.post(f"/admin/people/user/{accounts.administrator.pk}/password/", PASSWORDS).status_code == 302


def test_admin_forms_offer_choices_held_by_editor_only(
    accounts: Accounts, in_acme: Tenant, browser_of: BrowserOf
) -> None:
    browser = browser_of(in_acme, accounts.clerk)
    person = browser.get(f"/admin/people/user/{accounts.colleague.pk}/change/").text
    assert ("Harmless" in person, "Insiders" in person, ">Administrators<" in person) == (True, False, False)
    group = browser.get(f"/admin/auth/group/{accounts.harmless.pk}/change/").text
    assert ("Can change group" in group, "Can view message" in group) == (True, False)
    # What one may not change one may still look at.
    assert browser.get(f"/admin/people/user/{accounts.administrator.pk}/change/").status_code == 200


def test_concurrent_admin_forms_grant_no_permissions_not_held(
    committing: None, accounts: Accounts, in_acme: Tenant, browser_of: BrowserOf, tmp_path: Path
) -> None:
    Message.objects.create(user=accounts.root, sender=accounts.colleague, message="a secret", level=INFO_PERSISTENT)
    session = browser_of(in_acme, accounts.clerk).cookies[django_settings.SESSION_COOKIE_NAME].value
    tries = [attempt(accounts) for attempt in TRIES.values()]
    before = accounts.held()
    connections.close_all()
    with served(tmp_path) as site:

        def send(path: str, values: dict[str, Any]) -> int:
            host = {"Host": "acme.localhost"}
            cookies = {django_settings.SESSION_COOKIE_NAME: session}
            with httpx.Client(base_url=f"http://127.0.0.1:{site.port}", cookies=cookies, timeout=60) as browser:
                page = browser.get("/admin/auth/group/add/", headers=host)
                [token, *_more] = re.findall(r'csrfmiddlewaretoken" value="([^"]+)"', page.text)
                browser.cookies.set(django_settings.CSRF_COOKIE_NAME, page.cookies[django_settings.CSRF_COOKIE_NAME])
                answer = browser.post(f"/admin/{path}", data={**values, "csrfmiddlewaretoken": token}, headers=host)
                messages = browser.get("/admin/messages_extends/message/", headers=host)
            assert "a secret" not in messages.text
            return answer.status_code if messages.status_code == 403 else 0

        with ThreadPoolExecutor(4) as pool:
            statuses = list(pool.map(lambda each: send(*each), tries * 2))
    assert set(statuses) <= {200, 302, 403}
    with_connection = accounts.held()
    assert with_connection == before
