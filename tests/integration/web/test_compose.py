"""The page for writing to people and groups: who may, whom it offers, what it refuses, that it sends once."""

import re
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.contrib.messages import get_messages
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_tenants.utils import get_tenant_model, schema_context

from messages_extends.access.grants import EVERYBODY, grant, revoke
from messages_extends.constants import DEBUG_PERSISTENT, INFO_PERSISTENT, WARNING_PERSISTENT
from messages_extends.maintenance.purge import purge
from messages_extends.models import AuditRecord, Message, Submission
from messages_extends.sending.messages import send_once
from messages_extends.web import compose
from messages_extends.web.forms import ComposeForm
from messages_extends.web.search import search_people
from tenants.models import Tenant
from tests.factories import BrowserOf, MakeUser
from tests.html import text_of
from tests.rows import recipient_names

URL = "/messages/compose/"
SEARCH = "/messages/compose/recipients/"


@pytest.fixture
def people(in_acme: Tenant, make_user: MakeUser) -> dict[str, Any]:
    names = ("alice", "bob", "carol", "dan", "erin", "gone")
    made = {name: make_user(name) for name in names}
    made["gone"].is_active = False
    made["gone"].save()
    return made


@pytest.fixture
def sales(people: dict[str, Any]) -> Group:
    group = Group.objects.create(name="Sales")
    group.user_set.add(people["bob"], people["carol"], people["gone"])
    return group


@pytest.fixture
def alice(people: dict[str, Any], sales: Group) -> Any:
    """Somebody who may write to Bob, Dan and the group Sales; and to no one else."""
    for target in (people["bob"], people["dan"], sales):
        grant(people["alice"], target)
    return people["alice"]


def fields(**changes: Any) -> dict[str, Any]:
    return {"message": "Hello <b>you</b>", "level": str(WARNING_PERSISTENT), "step": "look", **changes}


def to(*chosen: Any) -> dict[str, Any]:
    return {
        "people": [str(each.pk) for each in chosen if not isinstance(each, Group)],
        "groups": [str(each.pk) for each in chosen if isinstance(each, Group)],
    }


def number_of(answer: Any) -> str:
    found = re.search(r'name="number" value="([^"]+)"', text_of(answer))
    assert found
    return found[1]


def found(browser: Client, search: str = "", **more: str) -> list[str]:
    return [each["text"] for each in browser.get(SEARCH, {"q": search, **more}).json()["results"]]


class TestAccess:
    @pytest.mark.parametrize("method", ["get", "post"])
    @pytest.mark.parametrize("url", [URL, SEARCH])
    def test_compose_without_grant_returns_403(
        self, in_acme: Tenant, people: Any, browser_of: BrowserOf, url: str, method: str
    ) -> None:
        answer = getattr(browser_of(in_acme, people["erin"]), method)(url, fields(**to(people["erin"])))
        assert answer.status_code == (405 if (url, method) == (SEARCH, "post") else 403)
        assert "bob" not in text_of(answer)
        assert not Message.objects.exists()

    def test_compose_with_grant_on_group_only_is_allowed(
        self, in_acme: Tenant, people: Any, sales: Group, browser_of: BrowserOf
    ) -> None:
        grant(people["erin"], Group.objects.create(name="Nobody in it yet"))
        assert browser_of(in_acme, people["erin"]).get(URL).status_code == 200

    def test_compose_without_login_redirects_to_login(self, in_acme: Tenant, browser_of: BrowserOf) -> None:
        assert browser_of(in_acme).get(URL)["Location"].startswith("/login/")
        assert browser_of(in_acme).get(SEARCH).status_code == 403

    def test_compose_on_public_host_returns_404(self, db: None) -> None:
        with override_settings(PUBLIC_SCHEMA_URLCONF="config.urls"):
            for url in (URL, SEARCH):
                assert Client(headers={"host": "localhost"}).get(url).status_code == 404

    def test_compose_post_without_csrf_token_returns_403(self, in_acme: Tenant, alice: Any, people: Any) -> None:
        browser = Client(enforce_csrf_checks=True, headers={"host": "acme.localhost"})
        browser.force_login(alice, "django.contrib.auth.backends.ModelBackend")
        values = fields(**to(people["bob"]), step="send", number=str(uuid.uuid4()))
        assert browser.post(URL, values).status_code == 403
        assert not Message.objects.exists()


class TestSearch:
    def test_compose_search_finds_permitted_users_only(self, browser: Client) -> None:
        assert found(browser) == ["alice", "bob", "carol", "dan"]
        for search in ("erin", "gone", "acme.example erin"):
            assert browser.get(SEARCH, {"q": search}).json() == {"results": [], "more": False}

    @pytest.mark.parametrize("search", ["carol", "CAR", "carol@acme", "acme car", "  carol  "])
    def test_compose_search_matches_every_word_of_name_or_login(self, browser: Client, search: str) -> None:
        assert found(browser, search) == ["carol"]

    @pytest.mark.parametrize("search", ["%", "_", "\0", "'", "\\", "x" * 5000, "\u202e"])
    def test_compose_search_treats_special_characters_literally(self, browser: Client, search: str) -> None:
        expected = ["alice", "bob", "carol", "dan"] if search == "\0" else []
        assert found(browser, search) == expected

    def test_compose_search_returns_twenty_results_and_more(
        self, browser: Client, people: Any, make_user: MakeUser
    ) -> None:
        grant(people["alice"], EVERYBODY)
        for number in range(25):
            make_user(f"person{number:02}")
        answer = browser.get(SEARCH, {"q": "person"}).json()
        assert ([each["text"] for each in answer["results"]], answer["more"]) == (
            [f"person{number:02}" for number in range(20)],
            True,
        )

    def test_compose_search_finds_groups_only_when_requested(self, browser: Client) -> None:
        Group.objects.create(name="Secret")
        assert found(browser, "s", groups="1") == ["Sales"]
        assert found(browser, "sales") == []

    def test_compose_search_runs_one_query_for_any_number_of_users(
        self, browser: Client, people: Any, make_user: MakeUser
    ) -> None:
        grant(people["alice"], EVERYBODY)

        def queries() -> int:
            with CaptureQueriesContext(connection) as captured:
                found(browser, "acme")
            assert len([query for query in captured if "LIKE" in query["sql"]]) == 1
            return len(captured)

        before = queries()
        for number in range(15):
            make_user(f"person{number}")
        assert queries() == before

    def test_search_people_returns_user_once_with_joined_members(self, people: Any, sales: Group) -> None:
        Group.objects.create(name="Other").user_set.add(people["bob"])
        joined = get_user_model().objects.filter(groups__isnull=False)
        assert joined.filter(pk=people["bob"].pk).count() == 2
        assert list(search_people("bob", joined)) == [people["bob"]]


class TestForm:
    def test_compose_form_offers_permitted_groups_only(self, browser: Client) -> None:
        Group.objects.create(name="Secret")
        text = text_of(browser.get(URL))
        assert "Sales" in text
        assert "Secret" not in text

    def test_compose_form_finds_many_groups_by_search(self, browser: Client, alice: Any, people: Any) -> None:
        for number in range(ComposeForm.FEW_GROUPS):
            grant(alice, Group.objects.create(name=f"Team {number:02}"))
        group = Group.objects.get(name="Team 03")
        page = text_of(browser.get(URL))
        assert "Team 03" not in page
        assert f"{SEARCH}?groups=1" in page
        page = text_of(browser.post(URL, fields(step="search", q="03", **to(people["bob"]))))
        assert f'name="groups" value="{group.pk}"> <bdi>Team 03' in page
        page = text_of(browser.post(URL, fields(step="search", q="bo", **to(group))))
        assert f'name="groups" value="{group.pk}" checked>' in page

    def test_compose_search_step_keeps_input_without_errors(self, browser: Client, people: Any, sales: Group) -> None:
        values = fields(message="", url="javascript:x", step="search", q="da", expires="2020-01-01T00:00")
        answer = browser.post(URL, {**values, **to(people["bob"], sales)})
        page = text_of(answer)
        assert answer.status_code == 200
        assert "errorlist" not in page
        for kept in ("javascript:x", "2020-01-01T00:00", f'value="{people["bob"].pk}" checked', 'value="da"'):
            assert kept in page
        assert f'name="groups" value="{sales.pk}" checked' in page
        assert f'name="people" value="{people["dan"].pk}"> ' in page

    def test_compose_search_step_without_results_shows_notice(self, browser: Client) -> None:
        assert "No more results for “erin”" in text_of(browser.post(URL, {"step": "search", "q": "erin"}))

    @pytest.mark.parametrize(
        ("changes", "error"),
        [
            ({"message": ""}, "Enter a message."),
            ({"message": " \n "}, "Enter a message."),
            ({"message": "x" * 10_001}, "at most 10000 characters"),
            ({"message": "a\0b"}, "Null characters are not allowed"),
            ({"url": "javascript:alert(1)"}, "use a path on this site"),
            ({"url": "//evil.example"}, "use a path on this site"),
            ({"url": "http://["}, "use a path on this site"),
            ({"url": "/" + "x" * 2000}, "at most 2000 characters"),
            ({"level": "999"}, "not one of the available choices"),
            ({"level": ""}, "This field is required"),
            ({"expires": "2020-01-01T00:00"}, "Enter a time in the future"),
            ({"expires": "tomorrow"}, "Enter a valid date and time"),
        ],
    )
    def test_compose_with_invalid_input_returns_400_and_keeps_input(
        self, browser: Client, people: Any, changes: dict[str, str], error: str
    ) -> None:
        answer = browser.post(URL, fields(**to(people["dan"])) | changes)
        page = text_of(answer)
        assert answer.status_code == 400
        assert error in page
        assert f'id="id_{next(iter(changes))}_error"' in page
        assert f'value="{people["dan"].pk}" checked' in page
        assert not Message.objects.exists()

    def test_compose_without_recipients_returns_400(self, browser: Client) -> None:
        answer = browser.post(URL, fields())
        assert (answer.status_code, "Choose at least one person or group" in text_of(answer)) == (400, True)

    def test_compose_to_group_without_active_members_returns_400(
        self, browser: Client, sales: Group, people: Any
    ) -> None:
        sales.user_set.set([people["gone"]])
        answer = browser.post(URL, fields(**to(sales)))
        assert (answer.status_code, "nobody would receive this" in text_of(answer)) == (400, True)

    def test_compose_with_too_many_recipients_returns_400(self, browser: Client, people: Any) -> None:
        answer = browser.post(URL, fields(people=[str(number) for number in range(501)]))
        assert (answer.status_code, "Choose at most 500" in text_of(answer)) == (400, True)

    def test_compose_query_count_is_constant_for_any_number_of_recipients(
        self, browser: Client, alice: Any, make_user: MakeUser
    ) -> None:
        grant(alice, EVERYBODY)

        def queries(*chosen: Any) -> int:
            with CaptureQueriesContext(connection) as captured:
                assert browser.post(URL, fields(**to(*chosen))).status_code == 200
            return len(captured)

        many = [make_user(f"person{number}") for number in range(30)]
        assert queries(*many) == queries(many[0])


class TestTampering:
    @pytest.mark.parametrize("step", ["look", "test", "send"])
    @pytest.mark.parametrize("who", ["erin", "gone"])
    def test_compose_to_unpermitted_user_returns_400_without_name(
        self, browser: Client, people: Any, step: str, who: str
    ) -> None:
        values = fields(**to(people["bob"], people[who]), step=step, number=str(uuid.uuid4()))
        answer = browser.post(URL, values)
        page = text_of(answer)
        assert answer.status_code == 400
        assert "You may not write to some of the recipients you chose" in page
        assert f">{who}" not in page
        assert f'value="{people[who].pk}" checked' not in page
        assert f'value="{people["bob"].pk}" checked' in page
        assert not Message.objects.exists()

    def test_compose_to_unpermitted_group_returns_400_without_name(self, browser: Client, sales: Group) -> None:
        secret = Group.objects.create(name="Secret")
        answer = browser.post(URL, fields(**to(sales, secret), step="send", number=str(uuid.uuid4())))
        assert answer.status_code == 400
        assert "Secret" not in text_of(answer)
        assert not Message.objects.exists()

    @pytest.mark.parametrize("key", ["0", "-1", "x", "", "10e3", "9" * 40, "\u0661" * 12, "1; DROP TABLE x"])
    @pytest.mark.parametrize("name", ["people", "groups"])
    def test_compose_with_malformed_recipient_key_returns_400(self, browser: Client, name: str, key: str) -> None:
        for step in ("look", "search"):
            answer = browser.post(URL, fields(**{name: [key]}, step=step))
            assert answer.status_code == (400 if step == "look" else 200)

    def test_compose_to_user_of_other_tenant_returns_400_without_name(
        self, browser: Client, globex: Tenant, make_user: MakeUser, browser_of: BrowserOf
    ) -> None:
        with schema_context("globex"):
            theirs = make_user("stranger", pk=70_000)
        answer = browser.post(URL, fields(**to(theirs)))
        assert answer.status_code == 400
        assert "stranger" not in text_of(answer)


class TestConfirmation:
    def test_compose_confirmation_counts_recipients_once_and_inactive_members(
        self, browser: Client, people: Any, sales: Group
    ) -> None:
        other = Group.objects.create(name="Other")
        other.user_set.add(people["carol"], people["gone"], people["alice"])
        grant(people["alice"], other)
        page = text_of(browser.post(URL, fields(**to(people["bob"], people["dan"], sales, other))))
        assert "4 people will receive it" in page
        assert "1 inactive member of these groups will not receive it." in page
        assert "This includes you." in page
        assert ">gone" not in page
        assert not Message.objects.exists()

    def test_compose_confirmation_shows_message_as_escaped_banner(self, browser: Client, people: Any) -> None:
        malicious = "<script>alert(1)</script> \u202eRLO 😀 " + "x" * 5000
        page = text_of(browser.post(URL, fields(message=malicious, url="/a?b=1&c=2", **to(people["bob"]))))
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert" in page
        assert 'class="mx-banner mx-warning"' in page
        assert 'href="/a?b=1&amp;c=2"' in page

    def test_compose_back_step_keeps_input(self, browser: Client, people: Any, sales: Group) -> None:
        values = fields(message="Line 1\r\nLine 2", url="/x/", expires="2090-05-06T07:08")
        look = browser.post(URL, values | to(people["bob"], sales))
        hidden = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', look.content.decode())
        sent: dict[str, list[str]] = {}
        for name, value in hidden:
            sent.setdefault(name, []).append(value)
        page = text_of(browser.post(URL, {**sent, "step": "back"}))
        for kept in (
            "Line 1 Line 2",
            'value="/x/"',
            'value="2090-05-06T07:08"',
            f'value="{people["bob"].pk}" checked',
            f'value="{sales.pk}" checked',
        ):
            assert kept in page
        assert re.search(rf'value="{WARNING_PERSISTENT}"[^>]* checked', page)


class TestTestMessage:
    def test_compose_test_step_sends_message_to_self_without_sender(
        self, browser: Client, people: Any, sales: Group
    ) -> None:
        number = number_of(browser.post(URL, fields(**to(sales))))
        answer = browser.post(URL, fields(**to(sales), step="test", number=number, url="/x/"))
        assert "A test was sent to you alone" in text_of(answer)
        assert "2 people will receive it" in text_of(answer)
        assert number_of(answer) == number
        test = Message.objects.get()
        assert (test.user, test.sender, test.message, test.url) == (people["alice"], None, "Hello <b>you</b>", "/x/")
        assert test.level == WARNING_PERSISTENT

    def test_compose_test_step_submitted_twice_sends_once(self, browser: Client, sales: Group) -> None:
        values = fields(**to(sales), step="test", number=str(uuid.uuid4()))
        for _click in range(2):
            browser.post(URL, values)
        assert recipient_names() == ["alice"]

    def test_compose_test_step_does_not_use_up_submission_number(self, browser: Client, sales: Group) -> None:
        number = str(uuid.uuid4())
        browser.post(URL, fields(**to(sales), step="test", number=number))
        browser.post(URL, fields(**to(sales), step="send", number=number))
        assert recipient_names() == ["alice", "bob", "carol"]


class TestSend:
    def send(self, browser: Client, *chosen: Any, **changes: Any) -> Any:
        values = fields(**to(*chosen)) | {"step": "send", "number": str(uuid.uuid4())} | changes
        return browser.post(URL, values)

    def test_compose_send_reaches_each_recipient_once_and_reports_count(
        self, browser: Client, people: Any, sales: Group
    ) -> None:
        answer = self.send(browser, people["bob"], people["dan"], sales, url="/x/")
        assert (answer.status_code, answer["Location"]) == (302, "/messages/")
        assert [str(message) for message in get_messages(answer.wsgi_request)] == ["Sent to 3 people."]
        assert recipient_names() == ["bob", "carol", "dan"]
        message = Message.objects.first()
        assert message is not None
        assert (message.sender, message.level, message.url) == (people["alice"], WARNING_PERSISTENT, "/x/")
        assert (message.message, message.is_safe, message.params) == ("Hello <b>you</b>", False, None)

    def test_compose_send_logs_audit_event_with_groups_and_count(
        self, browser: Client, people: Any, sales: Group
    ) -> None:
        self.send(browser, people["bob"], people["dan"], sales)
        record = AuditRecord.objects.get(action="send")
        assert (record.audience, record.count) == (f"group {sales.pk} (Sales), 2 people", 3)

    def test_compose_send_repeated_with_same_number_sends_nothing(self, browser: Client, people: Any) -> None:
        number = str(uuid.uuid4())
        self.send(browser, people["bob"], number=number)
        Message.objects.all().mark_read()
        answer = self.send(browser, people["bob"], number=number)
        assert (
            "This has already been sent to 1 person." in [str(each) for each in get_messages(answer.wsgi_request)][-1]
        )
        assert Message.objects.count() == 1

    def test_compose_confirmation_has_new_submission_number_each_time(self, browser: Client, people: Any) -> None:
        values = fields(**to(people["bob"]))
        first, second = (number_of(browser.post(URL, values)) for _look in range(2))
        assert first != second
        for number in (first, second):
            self.send(browser, people["bob"], number=number)
        assert recipient_names() == ["bob", "bob"]

    @pytest.mark.parametrize("number", ["", "x", "0" * 100])
    def test_compose_send_without_valid_number_shows_confirmation(
        self, browser: Client, people: Any, number: str
    ) -> None:
        answer = self.send(browser, people["bob"], number=number)
        assert (answer.status_code, "Send this message?" in text_of(answer)) == (200, True)
        assert not Message.objects.exists()

    def test_compose_send_after_revoked_grant_returns_400(self, browser: Client, people: Any, alice: Any) -> None:
        assert browser.post(URL, fields(**to(people["dan"]))).status_code == 200
        revoke(alice, people["dan"])
        assert self.send(browser, people["dan"]).status_code == 400
        assert not Message.objects.exists()

    def test_compose_times_are_in_time_zone_of_tenant(self, browser: Client, people: Any, in_acme: Tenant) -> None:
        get_tenant_model().objects.filter(pk=in_acme.pk).update(time_zone="Europe/Berlin")
        assert "Time zone: Europe/Berlin" in text_of(browser.get(URL))
        # Not those of whatever zone a browser names.
        look = browser.post(URL, fields(expires="2090-07-01T12:00", zone="Asia/Tokyo", **to(people["bob"])))
        assert "July 1, 2090, noon (Europe/Berlin)" in text_of(look)
        self.send(browser, people["bob"], expires="2090-07-01T12:00", zone="Asia/Tokyo")
        assert Message.objects.get().expires == datetime(2090, 7, 1, 10, tzinfo=UTC)

    def test_compose_neither_offers_nor_accepts_debug_level(self, browser: Client, people: Any) -> None:
        assert "Debug" not in text_of(browser.get(URL))
        assert browser.post(URL, fields(level=str(DEBUG_PERSISTENT), **to(people["bob"]))).status_code == 400

    def test_compose_confirmation_shows_sender_name(self, browser: Client, people: Any) -> None:
        look = text_of(browser.post(URL, fields(**to(people["bob"]))))
        assert '<span class="mx-sender"><bdi>alice</bdi>:</span>' in look

    def test_compose_failed_send_does_not_use_up_submission_number(self, browser: Client, people: Any) -> None:
        number = str(uuid.uuid4())
        self.send(browser, people["erin"], number=number)
        assert not Submission.objects.exists()
        self.send(browser, people["bob"], number=number)
        assert recipient_names() == ["bob"]

    @pytest.mark.parametrize(
        ("meanwhile", "error"),
        [
            ("late", "Enter a time in the future"),
            ("refused", "You may not write to some of the recipients you chose."),
            ("deleted", "The sender is inactive"),
        ],
    )
    def test_compose_error_during_send_returns_400_and_keeps_input(
        self, browser: Client, people: Any, monkeypatch: pytest.MonkeyPatch, meanwhile: str, error: str
    ) -> None:
        def act(number: Any, recipients: Any, message: Any, **options: Any) -> Any:
            if meanwhile == "late":
                options["expires"] = timezone.now() - timedelta(minutes=1)
            elif meanwhile == "refused":
                options["sender"] = people["erin"]
            else:
                monkeypatch.setattr(
                    "messages_extends.sending.messages.require_may_send", lambda *_args, **_: [people["bob"].pk]
                )
                options["sender"] = get_user_model()(pk=2_000_000_001)
            return send_once(number, recipients, message, **options)

        number, later = str(uuid.uuid4()), "2090-07-01T12:00"
        with monkeypatch.context() as patch:
            patch.setattr(compose, "send_once", act)
            answer = self.send(browser, people["bob"], number=number, expires=later, message="Kept")
        assert answer.status_code == 400
        assert error in text_of(answer)
        assert "Kept" in text_of(answer)
        assert f'value="{people["bob"].pk}" checked' in text_of(answer)
        assert not Message.objects.exists()
        monkeypatch.undo()
        assert self.send(browser, people["bob"], number=number).status_code == 302
        assert recipient_names() == ["bob"]

    def test_purge_deletes_old_submissions(self, browser: Client, people: Any) -> None:
        self.send(browser, people["bob"])
        Submission.objects.update(sent_at=timezone.now() - timedelta(days=100))
        assert purge(90)["submissions"] == 1
        assert not Submission.objects.exists()


@pytest.mark.usefixtures("committing")
def test_concurrent_send_once_with_same_number_sends_once(make_user: MakeUser) -> None:
    with schema_context("acme"):
        bob, number = make_user("bob"), uuid.uuid4()

    def act(_turn: int) -> Any:
        try:
            with schema_context("acme"):
                return send_once(number, get_user_model().objects.filter(pk=bob.pk), "Hello", level=INFO_PERSISTENT)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        sent = list(pool.map(act, range(4)))
    assert sorted(each.is_duplicate for each in sent) == [False, True, True, True]
    assert {each.count for each in sent} == {1}
    with schema_context("acme"):
        assert Message.objects.count() == 1


class TestNav:
    def test_navigation_links_to_permitted_pages_only(
        self, in_acme: Tenant, alice: Any, people: Any, browser_of: BrowserOf, browser: Client
    ) -> None:
        assert f'href="{URL}"' in text_of(browser.get("/messages/"))
        assert "/messages/grants/" not in text_of(browser.get("/messages/"))
        erin = text_of(browser_of(in_acme, people["erin"]).get("/messages/"))
        assert f'href="{URL}"' not in erin
        assert "mx-nav" not in erin

    def test_navigation_marks_current_page(self, browser: Client) -> None:
        assert f'href="{URL}" aria-current="page"' in text_of(browser.get(URL))
