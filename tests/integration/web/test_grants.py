"""The pages that say who may write to whom: for those who may change people, and for nobody else."""

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.contrib.messages import get_messages
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django_tenants.utils import schema_context
from guardian.models import UserObjectPermission

from messages_extends.access.grants import EVERY_GROUP, EVERYBODY, All, grant, held, is_held
from messages_extends.access.policy import policy
from messages_extends.models import AuditRecord
from messages_extends.web.forms import as_key, as_keys
from tenants.models import Tenant
from tests.factories import BrowserOf, MakeUser
from tests.html import text_of

URL = "/messages/grants/"
REMOVE, WHY = f"{URL}remove/", f"{URL}why/"
SEARCHES = [f"{URL}people/{field}/" for field in ("holder", "target", "sender", "recipient")]


@pytest.fixture
def people(in_acme: Tenant, make_user: MakeUser) -> dict[str, Any]:
    return {name: make_user(name) for name in ("admin", "bob", "carol", "dan")}


@pytest.fixture
def sales(people: dict[str, Any]) -> Group:
    group = Group.objects.create(name="Sales")
    group.user_set.add(people["carol"])
    return group


@pytest.fixture
def admin(people: dict[str, Any]) -> Any:
    permission = Permission.objects.get(content_type__app_label="people", codename="change_user")
    people["admin"].user_permissions.add(permission)
    # Who may change people gives what they hold, and no more.
    people["admin"].is_superuser = True
    people["admin"].save()
    return people["admin"]


@pytest.fixture
def browser(in_acme: Tenant, admin: Any, browser_of: BrowserOf) -> Client:
    return browser_of(in_acme, admin)


def name_of(one: Any) -> str:
    if isinstance(one, All):
        return one.value
    return f"{'group' if isinstance(one, Group) else 'user'}:{one.pk}"


def pairs(answer: Any) -> list[tuple[str, str]]:
    return [(row["holder"], row["target"]) for row in answer.context["rows"]]


class TestAccess:
    @pytest.mark.parametrize("url", [URL, REMOVE, WHY, *SEARCHES])
    def test_grant_pages_without_permission_return_403(
        self, in_acme: Tenant, people: Any, sales: Group, browser_of: BrowserOf, url: str
    ) -> None:
        grant(people["bob"], EVERYBODY)
        grant(people["bob"], people["dan"])
        browser = browser_of(in_acme, people["bob"])
        values = {"holder": name_of(people["bob"]), "target": name_of(people["dan"])}
        for answer in (browser.get(url, values), browser.post(url, values)):
            assert answer.status_code == 403
            assert "dan" not in text_of(answer)
        assert is_held(people["bob"], people["dan"])

    @pytest.mark.parametrize("url", [URL, REMOVE, WHY])
    def test_grant_pages_without_login_redirect_to_login(
        self, in_acme: Tenant, browser_of: BrowserOf, url: str
    ) -> None:
        assert browser_of(in_acme).get(url)["Location"].startswith("/login/")

    @pytest.mark.parametrize("url", SEARCHES)
    def test_grant_search_without_login_returns_403(self, in_acme: Tenant, browser_of: BrowserOf, url: str) -> None:
        assert browser_of(in_acme).get(url).status_code == 403

    def test_grant_pages_on_public_host_return_404(self, db: None) -> None:
        with override_settings(PUBLIC_SCHEMA_URLCONF="config.urls"):
            for url in (URL, REMOVE, WHY, *SEARCHES):
                assert Client(headers={"host": "localhost"}).get(url).status_code == 404

    def test_inactive_administrator_may_not_grant(self, in_acme: Tenant, admin: Any) -> None:
        assert policy().may_grant(admin)
        admin.is_active = False
        admin.save()
        assert not policy().may_grant(admin)


class TestList:
    def test_grant_list_shows_every_kind_of_grant(self, browser: Client, people: Any, sales: Group) -> None:
        group = Group.objects.create(name="Managers")
        expected = [
            (people["bob"], people["dan"], ("bob", "dan")),
            (people["bob"], sales, ("bob", "the group Sales")),
            (people["carol"], EVERYBODY, ("carol", "everybody")),
            (group, people["bob"], ("the group Managers", "bob")),
            (group, sales, ("the group Managers", "the group Sales")),
            (group, EVERYBODY, ("the group Managers", "everybody")),
            (group, EVERY_GROUP, ("the group Managers", "the members of every group")),
        ]
        for holder, target, _names in expected:
            grant(holder, target)
        assert sorted(pairs(browser.get(URL))) == sorted(names for *_grant, names in expected)

    def test_grant_list_ignores_other_permissions(self, browser: Client, people: Any) -> None:
        assert pairs(browser.get(URL)) == []
        assert "There are no permissions yet." in text_of(browser.get(URL))

    def test_grant_list_search_matches_holder_or_target(self, browser: Client, people: Any, sales: Group) -> None:
        for holder, target in ((people["bob"], people["dan"]), (people["dan"], sales), (sales, EVERYBODY)):
            grant(holder, target)
        assert pairs(browser.get(URL, {"search": "bob"})) == [("bob", "dan")]
        assert sorted(pairs(browser.get(URL, {"search": "dan"}))) == [("bob", "dan"), ("dan", "the group Sales")]
        assert ("the group Sales", "everybody") in pairs(browser.get(URL, {"search": "sal"}))
        assert "No permissions match" in text_of(browser.get(URL, {"search": "\0 nobody"}))

    def test_grant_list_pages_show_each_grant_once_with_constant_query_count(
        self, browser: Client, people: Any, make_user: MakeUser
    ) -> None:
        def look(page: str) -> tuple[list[tuple[str, str]], int]:
            with CaptureQueriesContext(connection) as captured:
                answer = browser.get(URL, {"page": page})
            return pairs(answer), len(captured)

        grant(people["bob"], people["dan"])
        _rows, before = look("1")
        for number in range(29):
            grant(make_user(f"person{number:02}"), people["dan"])
        (first, queries), (second, _queries) = look("1"), look("2")
        assert queries <= before
        assert (len(first), len(second), len({*first, *second})) == (25, 5, 30)
        assert look("nonsense")[0] == first

    def test_grant_list_shows_grant_on_deleted_target(self, browser: Client, people: Any) -> None:
        grant(people["bob"], people["dan"])
        UserObjectPermission.objects.update(object_pk="9" * 30)
        page = text_of(browser.get(URL))
        assert "and a deleted person or group" in page
        assert "Revoke" not in page


class TestGrant:
    @pytest.mark.parametrize("pair", [("bob", "dan"), ("bob", "Sales"), ("Sales", "bob"), ("Sales", "Sales")])
    def test_grant_form_creates_grant_and_logs_audit_event(
        self, browser: Client, people: Any, sales: Group, admin: Any, pair: tuple[str, str]
    ) -> None:
        one, other = ({**people, "Sales": sales}[name] for name in pair)
        answer = browser.post(URL, {"holder": name_of(one), "target": name_of(other)})
        assert (answer.status_code, answer["Location"]) == (302, URL)
        assert is_held(one, other)
        record = AuditRecord.objects.get()
        assert (record.action, record.actor_id) == ("grant", str(admin.pk))
        assert "may now write to" in str(next(iter(get_messages(answer.wsgi_request))))

    @pytest.mark.parametrize("holder", ["clerk", "bob", "Sales"])
    @pytest.mark.parametrize("target", ["dan", "Hidden", "everybody"])
    def test_grant_form_refuses_target_beyond_own_grants(
        self, acme: Tenant, people: Any, sales: Group, browser_of: BrowserOf, *, holder: str, target: str
    ) -> None:
        clerk, hidden = people["carol"], Group.objects.create(name="Hidden")
        clerk.user_permissions.add(Permission.objects.get(codename="change_user"))
        grant(clerk, people["bob"])
        grant(clerk, sales)
        before = list(held())
        named = {**people, "Sales": sales, "Hidden": hidden, "clerk": clerk}
        values = {"everybody": "on"} if target == "everybody" else {"target": name_of(named[target])}
        browser = browser_of(acme, clerk)
        refused = browser.post(URL, {"holder": name_of(named[holder]), **values})
        assert (refused.status_code, "only to recipients you may write to yourself" in text_of(refused)) == (400, True)
        assert list(held()) == before
        for allowed in (people["bob"], sales):
            assert browser.post(URL, {"holder": name_of(people["dan"]), "target": name_of(allowed)}).status_code == 302
            assert is_held(people["dan"], allowed)

    def test_grant_form_everybody_option_creates_grant_on_everybody(self, browser: Client, people: Any) -> None:
        browser.post(URL, {"holder": name_of(people["bob"]), "everybody": "on"})
        assert is_held(people["bob"], EVERYBODY)

    @pytest.mark.parametrize(
        ("values", "error"),
        [
            ({}, "Choose one of the search results."),
            ({"holder": "bob"}, "Choose one of the search results."),
            ({"holder": "bob", "target": "dan", "everybody": "on"}, "not both"),
            ({"holder": "bob", "target": "everybody"}, "Choose one of the search"),
            ({"holder": "everybody", "target": "bob"}, "Choose one of the search"),
            ({"holder": "bob", "target": "user:404404"}, "Choose one of the search"),
            ({"holder": "bob", "target": "user:"}, "Choose one of the search"),
            ({"holder": "bob", "target": "tenant:1"}, "Choose one of the search"),
            ({"holder": "bob", "target": f"user:{'9' * 40}"}, "Choose one of the search"),
            ({"holder": "bob", "target": "user:\0"}, "Choose one of the search"),
        ],
    )
    def test_grant_form_with_invalid_input_returns_400_and_keeps_input(
        self, browser: Client, people: Any, values: dict[str, str], error: str
    ) -> None:
        named = {name: name_of(people[value]) if value in people else value for name, value in values.items()}
        answer = browser.post(URL, named)
        assert (answer.status_code, error in text_of(answer)) == (400, True)
        if values.get("holder") == "bob":
            assert f'value="{named["holder"]}" checked' in text_of(answer)
        assert not held()

    def test_grant_form_refuses_user_of_other_tenant_without_name(
        self, browser: Client, people: Any, make_user: MakeUser
    ) -> None:
        with schema_context("globex"):
            stranger = make_user("stranger", pk=70_000)
        answer = browser.post(URL, {"holder": name_of(people["bob"]), "target": name_of(stranger)})
        assert (answer.status_code, "stranger" in text_of(answer)) == (400, False)

    def test_grant_search_without_javascript_offers_results_and_keeps_input(
        self, browser: Client, people: Any, sales: Group
    ) -> None:
        values = {"step": "search", "holder": name_of(people["bob"]), "target_q": "sal", "holder_q": ""}
        answer = browser.post(URL, values)
        page = text_of(answer)
        assert (answer.status_code, "errorlist" in page) == (200, False)
        assert f'type="radio" name="holder" value="{name_of(people["bob"])}" checked' in page
        assert f'type="radio" name="target" value="{name_of(sales)}"> <bdi>Sales' in page
        assert not held()


class TestRemove:
    def values(self, holder: Any, target: Any) -> dict[str, str]:
        return {"holder": name_of(holder), "target": name_of(target)}

    def test_grant_remove_page_asks_and_revokes_grant(
        self, browser: Client, people: Any, sales: Group, admin: Any
    ) -> None:
        for target in (people["dan"], sales, EVERYBODY, EVERY_GROUP):
            grant(people["bob"], target)
            values = self.values(people["bob"], target)
            assert "Revoke this permission?" in text_of(browser.get(REMOVE, values))
            assert is_held(people["bob"], target)
            assert browser.post(REMOVE, values)["Location"] == URL
            assert not is_held(people["bob"], target)
            record = AuditRecord.objects.latest("id")
            assert (record.action, record.actor_id) == ("revoke", str(admin.pk))

    def test_grant_remove_page_revokes_one_grant_only(self, browser: Client, people: Any, sales: Group) -> None:
        for holder, target in ((people["bob"], people["dan"]), (people["bob"], sales), (sales, people["dan"])):
            grant(holder, target)
        browser.post(REMOVE, self.values(sales, people["dan"]))
        assert is_held(people["bob"], people["dan"])
        assert is_held(people["bob"], sales)

    def test_grant_remove_submitted_twice_succeeds(self, browser: Client, people: Any) -> None:
        grant(people["bob"], people["dan"])
        for _click in range(2):
            assert browser.post(REMOVE, self.values(people["bob"], people["dan"])).status_code == 302

    def test_grant_remove_of_missing_grant_returns_404(self, browser: Client, people: Any) -> None:
        assert browser.get(REMOVE, self.values(people["bob"], people["dan"])).status_code == 404
        for values in ({}, {"holder": "user:x", "target": "user:1"}, {"holder": "everybody", "target": "everybody"}):
            assert browser.get(REMOVE, values).status_code == browser.post(REMOVE, values).status_code == 404

    def test_grant_pages_accept_inactive_user(self, browser: Client, people: Any) -> None:
        grant(people["bob"], people["dan"])
        get_user_model().objects.filter(pk=people["dan"].pk).update(is_active=False)
        browser.post(REMOVE, self.values(people["bob"], people["dan"]))
        assert not held()


class TestExplanation:
    def ask(self, browser: Client, sender: Any, recipient: Any) -> str:
        return text_of(browser.get(WHY, {"step": "ask", "sender": name_of(sender), "recipient": name_of(recipient)}))

    def test_explanation_states_decision_and_reasons(self, browser: Client, people: Any, sales: Group) -> None:
        grant(people["bob"], sales)
        page = self.ask(browser, people["bob"], people["carol"])
        assert "bob may write to carol." in page
        assert "The sender has permission to write to the recipient&#x27;s group “Sales”." in page
        page = self.ask(browser, people["bob"], people["dan"])
        assert "bob may not write to dan." in page
        assert "Nothing has been granted." in page

    def test_grant_pages_accept_inactive_user(self, browser: Client, people: Any) -> None:
        get_user_model().objects.filter(pk=people["dan"].pk).update(is_active=False)
        assert "The recipient is inactive" in self.ask(browser, people["bob"], people["dan"])
        assert [each["text"] for each in browser.get(SEARCHES[3], {"q": "dan"}).json()["results"]] == ["dan"]

    def test_explanation_requires_two_users(self, browser: Client, people: Any, sales: Group) -> None:
        answer = browser.get(WHY, {"step": "ask", "sender": name_of(people["bob"]), "recipient": name_of(sales)})
        assert (answer.status_code, "Choose one of the search" in text_of(answer)) == (400, True)
        assert "errorlist" not in text_of(browser.get(WHY))

    def test_grant_search_without_javascript_offers_results_and_keeps_input(self, browser: Client, people: Any) -> None:
        values = {"step": "search", "sender": name_of(people["bob"]), "recipient_q": "car"}
        page = text_of(browser.get(WHY, values))
        assert f'name="sender" value="{name_of(people["bob"])}" checked' in page
        assert f'name="recipient" value="{name_of(people["carol"])}"> ' in page


class TestSearch:
    def test_grant_search_finds_users_and_groups_for_holder_and_target(
        self, browser: Client, people: Any, sales: Group
    ) -> None:
        for url in SEARCHES[:2]:
            results = browser.get(url, {"q": "a"}).json()["results"]
            assert [each["text"] for each in results] == ["Sales", "admin", "bob", "carol", "dan"]
        assert {each["name"] for each in results} == {"target"}

    def test_grant_search_excludes_inactive_users(self, browser: Client, people: Any) -> None:
        get_user_model().objects.filter(pk=people["dan"].pk).update(is_active=False)
        assert browser.get(SEARCHES[0], {"q": "dan"}).json() == {"results": [], "more": False}

    def test_grant_search_for_unknown_field_returns_404(self, browser: Client) -> None:
        assert browser.get(f"{URL}people/password/").status_code == 404


@pytest.mark.parametrize("text", ["a\0b", "\0", "a\ud800", "k" * 41])
def test_as_key_refuses_unstorable_text(text: str) -> None:
    # A model whose primary key is text.
    assert as_key(Session, text) is None
    assert as_keys(Session, ["abc", text]) == {"abc"}


@pytest.mark.parametrize("text", ["", "\0", "5\0", "x", "9" * 30, "1e3"])
def test_as_key_refuses_non_numeric_text_for_numeric_key(text: str) -> None:
    assert as_key(get_user_model(), text) is None
