"""The pages for announcements: who gets in, what is published, changed, retracted and shown of its readers."""

import re
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.test import Client
from django.utils import timezone
from django.utils.safestring import mark_safe
from django_tenants.utils import get_tenant_model, schema_context
from guardian.shortcuts import assign_perm

from messages_extends.api import EVERYONE, announce, inbox, retract, revise
from messages_extends.constants import DEBUG_PERSISTENT, ERROR_PERSISTENT, INFO_PERSISTENT, WARNING_PERSISTENT
from messages_extends.exceptions import RecipientUnavailable
from messages_extends.inbox.reports import read_report, with_numbers
from messages_extends.models import Announcement, AuditRecord, Message
from messages_extends.models.publication import State
from messages_extends.policy import Policy
from messages_extends.web import announcements
from tenants.models import Tenant
from tests.conftest import queries_of
from tests.factories import BrowserOf, MakeUser
from tests.html import content_of, text_of

GRANTS = "/messages/grants/"
LIST, NEW, GROUPS = "/messages/announcements/", "/messages/announcements/new/", "/messages/announcements/groups/"
MALICIOUS = "<script>alert(1)</script>\u202e\"'&" + "x" * 3000 + "😀"


@pytest.fixture
def people(in_acme: Tenant, make_user: MakeUser) -> dict[str, Any]:
    """An administrator, a manager of Sales, a viewer and two others, of whom Bob is in Sales."""
    names = ("admin", "manager", "viewer", "bob", "carol")
    made = {name: make_user(name) for name in names}
    sales = Group.objects.create(name="Sales")
    Group.objects.create(name="Secret")
    made["bob"].groups.add(sales)
    made["manager"].groups.add(sales)
    assign_perm("send_group_message", made["manager"], sales)
    grant(made["admin"], "add_announcement", "view_announcement", "change_announcement", "send_group_message")
    grant(made["admin"], "view_user")
    grant(made["viewer"], "view_announcement")
    return made


def grant(user: Any, *codenames: str) -> None:
    user.user_permissions.add(*Permission.objects.filter(codename__in=codenames))


@pytest.fixture
def sales(people: Any) -> Group:
    return Group.objects.get(name="Sales")


@pytest.fixture
def at(in_acme: Tenant, people: Any, browser_of: BrowserOf) -> Callable[[str], Client]:
    return lambda name: browser_of(in_acme, people[name])


@pytest.fixture
def admin(at: Any) -> Client:
    browser: Client = at("admin")
    return browser


@pytest.fixture
def manager(at: Any) -> Client:
    browser: Client = at("manager")
    return browser


@pytest.fixture
def written(people: Any) -> Announcement:
    return announce("Hello everybody", to=EVERYONE, sender=people["admin"])


def entered(**other: Any) -> dict[str, Any]:
    values = {
        "to": "everybody",
        "message": "Hello",
        "level": INFO_PERSISTENT,
        "url": "",
        "expires": "",
        "publish_at": "",
    }
    return values | other


def published(browser: Client, **other: Any) -> Any:
    return browser.post(NEW, entered(step="publish", number=str(uuid.uuid4()), **other))


def page_of(announcement: Announcement, page: str = "") -> str:
    return f"{LIST}{announcement.pk}/{page}"


def pages_of(announcement: Announcement) -> list[tuple[str, str]]:
    own = [page_of(announcement, "edit/"), page_of(announcement, "retract/")]
    return [("get", LIST), ("get", GROUPS), ("get", page_of(announcement))] + [
        (method, address) for method in ("get", "post") for address in (NEW, *own)
    ]


def answers(browser: Client, announcement: Announcement) -> set[int]:
    return {getattr(browser, method)(address).status_code for method, address in pages_of(announcement)}


def form_of(response: Any) -> dict[str, str]:
    """Return what the edit form of a page would send unchanged."""
    form = response.context["form"]
    values = {name: form[name].value() for name in form.fields}
    html = response.content.decode()
    for name in ("expires", "publish_at"):
        found = re.search(rf'name="{name}" value="([^"]*)"', html)
        values[name] = found[1] if found else ""
    return {name: value for name, value in values.items() if value not in (None, False)}


class TestAccess:
    def test_announcement_pages_without_permission_return_404(self, at: Any, written: Announcement) -> None:
        assert answers(at("carol"), written) == {404}
        written.refresh_from_db()
        assert written.state() is State.LIVE

    def test_announcement_pages_return_404_in_other_tenant(
        self, written: Announcement, globex: Tenant, make_user: MakeUser, browser_of: BrowserOf
    ) -> None:
        with schema_context("globex"):
            root = make_user("root", is_superuser=True)
        browser = browser_of(globex, root)
        assert browser.get(LIST).status_code == 200
        for method, address in pages_of(written):
            if str(written.pk) in address:
                assert getattr(browser, method)(address).status_code == 404

    def test_announcement_pages_without_login_redirect_to_login(
        self, in_acme: Tenant, browser_of: BrowserOf, written: Announcement
    ) -> None:
        browser = browser_of(in_acme)
        for method, address in pages_of(written):
            answer = getattr(browser, method)(address)
            assert answer.status_code == 403 if address == GROUPS else answer["Location"].startswith("/login/?next=")

    def test_announcement_pages_on_public_host_return_404(self, settings: Any, db: None, written: Announcement) -> None:
        settings.PUBLIC_SCHEMA_URLCONF = "config.urls"
        assert answers(Client(headers={"host": "localhost"}), written) == {404}

    def test_announcement_view_permission_allows_viewing_only(self, at: Any, written: Announcement) -> None:
        browser = at("viewer")
        assert browser.get(LIST).status_code == browser.get(page_of(written)).status_code == 200
        assert NEW not in content_of(browser.get(LIST))
        for page in ("edit/", "retract/"):
            assert page not in content_of(browser.get(page_of(written)))
            assert browser.get(page_of(written, page)).status_code == 403
            assert browser.post(page_of(written, page)).status_code == 403
        assert (browser.get(NEW).status_code, browser.post(NEW).status_code) == (403, 403)

    def test_group_sender_sees_own_announcements_only(
        self, manager: Client, people: Any, sales: Group, written: Announcement
    ) -> None:
        mine = announce("For Sales", to=sales, sender=people["manager"])
        text = content_of(manager.get(LIST))
        assert "For Sales" in text
        assert str(written.pk) not in text
        assert manager.get(page_of(mine)).status_code == 200
        assert manager.get(page_of(written)).status_code == 404
        assert manager.post(page_of(written, "retract/")).status_code == 404

    def test_announcement_retract_page_after_revoked_grant_returns_403(
        self, manager: Client, people: Any, sales: Group
    ) -> None:
        mine = announce("For Sales", to=sales, sender=people["manager"])
        people["manager"].userobjectpermission_set.all().delete()
        assert manager.get(page_of(mine)).status_code == 200
        assert manager.post(page_of(mine, "retract/")).status_code == 403

    def test_announcement_post_without_csrf_token_returns_403(self, people: Any, written: Announcement) -> None:
        browser = Client(enforce_csrf_checks=True, headers={"host": "acme.localhost"})
        browser.force_login(people["admin"], "django.contrib.auth.backends.ModelBackend")
        for address in (NEW, page_of(written, "edit/"), page_of(written, "retract/")):
            assert browser.post(address, entered(step="publish", number=str(uuid.uuid4()))).status_code == 403
        written.refresh_from_db()
        assert (written.state(), Announcement.objects.count()) == (State.LIVE, 1)


class TestList:
    def make(self, people: Any, **other: Any) -> Announcement:
        return announce(other.pop("text", "Text"), to=other.pop("to", EVERYONE), sender=people["admin"], **other)

    @pytest.fixture
    def of_each_state(self, people: Any) -> dict[str, Announcement]:
        later = timezone.now() + timedelta(days=3)
        made = {state: self.make(people, text=f"One {state}") for state in ("live", "retracted", "expired")}
        made["scheduled"] = self.make(people, text="One scheduled", publish_at=later)
        retract(made["retracted"])
        past = timezone.now() - timedelta(days=2)
        Announcement.objects.filter(pk=made["expired"].pk).update(publish_at=past, expires=past + timedelta(days=1))
        return made

    @pytest.mark.parametrize("state", State.values)
    def test_announcement_list_tab_shows_one_state(self, admin: Client, of_each_state: Any, state: str) -> None:
        text = content_of(admin.get(LIST, {"state": state}))
        shown = {name for name in of_each_state if f"One {name}" in text}
        assert shown == {state}
        assert f"mx-tag-{state}" in text

    def test_announcement_list_without_state_shows_all(self, admin: Client, of_each_state: Any) -> None:
        assert all(f"One {state}" in content_of(admin.get(LIST)) for state in of_each_state)

    def test_announcement_list_shows_audience_sender_and_read_count(
        self, admin: Client, people: Any, sales: Group
    ) -> None:
        written = self.make(people, text="Prices", to=sales, must_acknowledge=True)
        inbox(people["bob"]).acknowledge(str(written.reference))
        text = content_of(admin.get(LIST))
        for words in ("the members of “Sales”", "admin", "1 of 2 have read it", "To be acknowledged"):
            assert words in text

    def test_announcement_list_names_tenant_as_audience_for_everyone(
        self, admin: Client, written: Announcement
    ) -> None:
        assert "To everyone at Acme" in content_of(admin.get(LIST))

    def test_announcement_list_shows_no_audience_after_groups_are_deleted(
        self, admin: Client, people: Any, sales: Group
    ) -> None:
        written = self.make(people, to=sales)
        sales.delete()
        assert "nobody (the chosen groups were deleted)" in content_of(admin.get(LIST))
        assert "0 of 0 have read it" in content_of(admin.get(page_of(written)))

    def test_announcement_list_pages_show_each_announcement_once(self, admin: Client, people: Any) -> None:
        made = [self.make(people, text=f"Number {number:02}.") for number in range(45)]
        same = made[0].publish_at
        Announcement.objects.filter(pk__in=[each.pk for each in made[10:30]]).update(publish_at=same)
        seen, address = [], LIST
        while address:
            answer = admin.get(address)
            seen += re.findall(r"Number \d\d\.", content_of(answer))
            address = answer.context["next"]
        assert len(seen) == len(set(seen)) == 45

    def test_announcement_list_query_count_is_constant(
        self, admin: Client, people: Any, sales: Group, make_user: MakeUser
    ) -> None:
        self.make(people)
        self.make(people, to=sales)
        admin.get(LIST)
        few = queries_of(lambda: admin.get(LIST))
        for number in range(8):
            self.make(people, to=[sales, Group.objects.create(name=f"Group {number}")])
            announce("By another", to=EVERYONE, sender=make_user(f"root{number}", is_superuser=True))
        assert queries_of(lambda: admin.get(LIST)) == few

    @pytest.mark.parametrize(
        "query", ["state=nonsense", "after=nonsense", "after=9999999999999999-announcement-x", "state=%00"]
    )
    def test_announcement_pages_with_invalid_query_return_400(self, admin: Client, query: str) -> None:
        answer = admin.get(f"{LIST}?{query}")
        assert answer.status_code == 400
        assert 'role="alert"' in text_of(answer)

    def test_announcement_list_without_rows_shows_notice_and_links_to_new(self, admin: Client) -> None:
        assert "There are no announcements yet." in text_of(admin.get(LIST))
        assert NEW in text_of(admin.get(LIST))
        assert "Nothing matches" in text_of(admin.get(LIST, {"state": "expired"}))

    def test_announcement_pages_escape_html_in_text_and_group_names(
        self, admin: Client, people: Any, sales: Group
    ) -> None:
        Group.objects.filter(pk=sales.pk).update(name="<b>Sales")
        written = self.make(people, text=MALICIOUS, to=sales)
        for address in (LIST, page_of(written), page_of(written, "edit/"), page_of(written, "retract/")):
            text = text_of(admin.get(address))
            assert "<script>alert" not in text
            assert "<b>Sales" not in text


def refused(error: Exception) -> Callable[..., None]:
    def act(*_args: Any, **_options: Any) -> None:
        raise error

    return act


class Announcers(Policy):
    """Whoever is called Carol announces to everybody and to Sales, reads reports and grants."""

    def may_announce_to_everyone(self, sender: Any) -> bool:
        return str(sender) == "carol"

    def announceable_groups(self, sender: Any) -> QuerySet[Group]:
        return Group.objects.filter(name="Sales") if str(sender) == "carol" else Group.objects.none()

    def reports_visible_to(self, viewer: Any) -> QuerySet[Announcement]:
        announcements = Announcement.objects.filter(message="For Carol")
        return announcements if str(viewer) == "carol" else announcements.none()

    def may_grant(self, person: Any) -> bool:
        return str(person) == "carol"


class TestCustomPolicy:
    @pytest.fixture(autouse=True)
    def own(self, settings: Any) -> None:
        settings.MESSAGES_EXTENDS = {**settings.MESSAGES_EXTENDS, "POLICY": Announcers}

    def test_custom_policy_decides_page_access(self, at: Any) -> None:
        assert [f'href="{page}"' in text_of(at("carol").get("/messages/")) for page in (LIST, GRANTS)] == [True, True]
        assert at("carol").get(GRANTS).status_code == at("carol").get(LIST).status_code == 200
        assert [f'href="{page}"' in text_of(at("bob").get("/messages/")) for page in (LIST, GRANTS)] == [False, False]
        assert {at("bob").get(page).status_code for page in (LIST, NEW, GROUPS)} == {404}

    def test_custom_policy_limits_offered_audience(self, at: Any, people: Any, sales: Group) -> None:
        browser = at("carol")
        text = text_of(browser.get(NEW))
        assert "Sales" in text
        assert "Secret" not in text
        assert published(browser, to="picked", picked=[sales.pk]).status_code == 302
        assert published(browser).status_code == 302
        assert published(browser, to="picked", picked=[Group.objects.get(name="Secret").pk]).status_code == 400

    def test_custom_policy_ignores_model_permission(self, admin: Client) -> None:
        assert admin.get(NEW).status_code == 403

    def test_custom_policy_limits_visible_announcements(self, at: Any) -> None:
        shown, written = announce("For Carol", to=EVERYONE), announce("For others", to=EVERYONE)
        text = content_of(at("carol").get(LIST))
        assert "For Carol" in text
        assert str(written.pk) not in text
        assert at("carol").get(page_of(shown)).status_code == 200
        assert at("carol").get(page_of(written)).status_code == 404

    def test_custom_policy_with_visible_reports_allows_list_only(
        self, at: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Announcers, "may_announce_to_everyone", lambda *_args: False)
        monkeypatch.setattr(Announcers, "announceable_groups", lambda *_args: Group.objects.none())
        assert at("carol").get(LIST).status_code == 404
        announce("For Carol", to=EVERYONE)
        assert at("carol").get(LIST).status_code == 200
        assert at("carol").get(NEW).status_code == 403


class TestReadCounts:
    def test_announcement_list_read_counts_match_read_report(
        self, people: Any, sales: Group, make_user: MakeUser
    ) -> None:
        make_user("gone", is_active=False).groups.add(sales)
        secret = Group.objects.get(name="Secret")
        people["bob"].groups.add(secret)
        made = [announce("x", to=to) for to in (EVERYONE, sales, [sales, secret], secret)]
        for each in made:
            inbox(people["bob"]).mark_read(str(each.reference))
        revise(made[0], show_again=True)
        inbox(people["carol"]).mark_read(str(Announcement.objects.get(pk=made[0].pk).reference))
        for each in with_numbers(Announcement.objects.all()):
            report = read_report(each, None)
            assert (each.readers, each.people) == (report.readers, report.people)
        figures = {each.pk: (each.readers, each.people) for each in with_numbers(Announcement.objects.all())}
        assert [figures[each.pk] for each in made] == [(1, 5), (1, 2), (1, 2), (1, 1)]


class TestWriting:
    def test_announcement_to_everyone_requires_permission(self, admin: Client, manager: Client) -> None:
        assert "Everyone at Acme" in text_of(admin.get(NEW))
        assert "Everyone at Acme" not in text_of(manager.get(NEW))
        answer = published(manager)
        assert answer.status_code == 400
        assert not Announcement.objects.exists()

    def test_announcement_form_hides_groups_without_grant(self, admin: Client, manager: Client, people: Any) -> None:
        assert "Secret" in text_of(admin.get(NEW))
        assert "Sales" in text_of(manager.get(NEW))
        assert "Secret" not in text_of(manager.get(NEW))
        answer = published(manager, to="picked", picked=[Group.objects.get(name="Secret").pk])
        assert answer.status_code == 400
        assert "Secret" not in text_of(answer)
        assert not Announcement.objects.exists()

    def test_grant_on_user_only_does_not_allow_announcing(self, at: Any, people: Any) -> None:
        assign_perm("send_message", people["carol"], people["bob"])
        assert at("carol").get(NEW).status_code == 404

    def test_announcement_preview_shows_sender_name(self, admin: Client) -> None:
        html = admin.post(NEW, entered(step="look")).content.decode()
        assert re.search(r'<span class="mx-sender"><bdi>\w+</bdi>:</span>', html)
        assert re.search(r"<bdi data-mx-sender>\w+</bdi>", admin.get(NEW).content.decode())

    def test_announcement_confirmation_states_audience_size(self, admin: Client, sales: Group) -> None:
        text = text_of(admin.post(NEW, entered(step="look")))
        assert "This reaches 5 people: everyone at Acme" in text
        text = text_of(admin.post(NEW, entered(step="look", to="picked", picked=[sales.pk])))
        assert "This reaches 2 people: the members of “Sales”" in text
        assert not Announcement.objects.exists()

    @pytest.mark.parametrize("step", ["", "look", "nonsense", "publish"])
    def test_new_announcement_is_published_from_confirmation_only(self, admin: Client, step: str) -> None:
        assert "This reaches" in text_of(admin.post(NEW, entered(step=step, number="")))
        assert not Announcement.objects.exists()

    def test_announcement_publish_stores_all_fields_and_logs_audit_event(self, admin: Client, people: Any) -> None:
        answer = published(
            admin,
            message="One\r\ntwo",
            level=WARNING_PERSISTENT,
            url="/orders/",
            must_acknowledge="on",
            expires="2040-02-01T10:00",
            publish_at="2040-01-01T10:00",
        )
        written = Announcement.objects.get()
        assert answer["Location"] == page_of(written)
        assert (written.message, written.level, written.url) == ("One\ntwo", WARNING_PERSISTENT, "/orders/")
        assert (written.sender, written.must_acknowledge, written.audience) == (people["admin"], True, "everyone")
        assert written.publish_at == datetime(2040, 1, 1, 10, tzinfo=UTC)
        assert written.expires == datetime(2040, 2, 1, 10, tzinfo=UTC)
        assert written.audience_size == 5
        assert AuditRecord.objects.filter(action="announce").count() == 1
        assert "It is scheduled." in text_of(admin.get(page_of(written)))

    def test_announcement_publish_to_group_reaches_its_members(
        self, manager: Client, people: Any, sales: Group
    ) -> None:
        published(manager, to="picked", picked=[sales.pk])
        assert inbox(people["bob"]).unread_count() == 1
        assert inbox(people["carol"]).unread_count() == 0

    def test_announcement_confirmation_fields_publish_same_announcement(self, admin: Client, sales: Group) -> None:
        sent = entered(
            to="picked", picked=[sales.pk], message=MALICIOUS, must_acknowledge="on", publish_at="2040-01-01T10:00"
        )
        html = admin.post(NEW, sent | {"step": "look"}).content.decode()
        hidden = re.findall(r'<input type="hidden" name="(\w+)"(?: value="([^"]*)")?', html)
        values = {name: unescape(value) for name, value in hidden if name != "csrfmiddlewaretoken"}
        admin.post(NEW, values | {"step": "publish"})
        written = Announcement.objects.get()
        assert (written.message, written.must_acknowledge) == (MALICIOUS, True)
        assert list(written.groups.all()) == [sales]
        assert written.publish_at == datetime(2040, 1, 1, 10, tzinfo=UTC)

    def test_announcement_publish_submitted_twice_publishes_once(self, admin: Client) -> None:
        number = str(uuid.uuid4())
        first, second = (admin.post(NEW, entered(step="publish", number=number)) for _ in range(2))
        assert first["Location"] == second["Location"]
        assert Announcement.objects.count() == 1

    @pytest.mark.parametrize("end", ["retract", "delete"])
    def test_announcement_publish_of_ended_submission_publishes_nothing(self, admin: Client, end: str) -> None:
        form = entered(step="publish", number=str(uuid.uuid4()))
        admin.post(NEW, form)
        made = Announcement.objects.get()
        if end == "retract":
            retract(made)
        else:
            made.delete()
        answer = admin.post(NEW, form, follow=True)
        assert "This has already ended." in text_of(answer)
        assert answer.redirect_chain[0][0] == (page_of(made) if end == "retract" else LIST)
        assert not Announcement.objects.live().exists()

    def test_announcement_failed_publish_can_be_resubmitted(
        self, admin: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        form = entered(step="publish", number=str(uuid.uuid4()), message="Kept")
        with monkeypatch.context() as patch:
            patch.setattr(announcements, "announce", refused(PermissionDenied("You may not.")))
            answer = admin.post(NEW, form)
            assert answer.status_code == 400
            assert "You may not." in text_of(answer)
            assert "Kept" in text_of(answer)
            patch.setattr(announcements, "announce", refused(RecipientUnavailable()))
            assert "Part of your selection was deleted" in text_of(admin.post(NEW, form))
        assert admin.post(NEW, form).status_code == 302
        assert Announcement.objects.count() == 1

    def test_permission_to_announce_to_everyone_allows_any_group(self, at: Any, people: Any) -> None:
        grant(people["carol"], "add_announcement")
        browser, secret = at("carol"), Group.objects.get(name="Secret")
        assert "Secret" in text_of(browser.get(NEW))
        assert [each["text"] for each in browser.get(GROUPS, {"q": "secret"}).json()["results"]] == ["Secret"]
        assert published(browser, to="picked", picked=[secret.pk]).status_code == 302
        assert list(Announcement.objects.get().groups.all()) == [secret]

    def test_announcement_with_submission_number_of_other_user_is_published(
        self, admin: Client, manager: Client, sales: Group
    ) -> None:
        number = str(uuid.uuid4())
        admin.post(NEW, entered(step="publish", number=number))
        manager.post(NEW, entered(step="publish", number=number, to="picked", picked=[sales.pk]))
        assert Announcement.objects.count() == 2

    def test_announcement_test_step_sends_message_to_self_once(self, admin: Client, people: Any) -> None:
        number = str(uuid.uuid4())
        for _ in range(2):
            answer = admin.post(NEW, entered(step="test", number=number, message="Try"))
        assert "A test was sent to you alone" in text_of(answer)
        assert number in text_of(answer)
        [test] = Message.objects.all()
        assert (test.user, test.message) == (people["admin"], "Try")
        assert not Announcement.objects.exists()

    @pytest.mark.parametrize("step", ["back", "search"])
    def test_announcement_back_and_search_steps_keep_input_without_errors(
        self, admin: Client, sales: Group, step: str
    ) -> None:
        answer = admin.post(NEW, entered(step=step, to="picked", picked=[sales.pk], message="Half a th", url="java"))
        assert answer.status_code == 200
        text = text_of(answer)
        assert all(kept in text for kept in ("Half a th", 'value="java"', f'value="{sales.pk}" checked'))
        assert 'role="alert"' not in text

    @pytest.mark.parametrize(
        ("field", "value", "error"),
        [
            ("message", " ", "Enter a message"),
            ("message", "x" * 10_001, "at most 10000"),
            ("message", "a\0b", "Null characters"),
            ("level", "7", "Select a valid choice"),
            ("level", str(INFO_PERSISTENT + 1), "Select a valid choice"),
            ("url", "javascript:alert(1)", "not allowed"),
            ("url", "//evil.example", "not allowed"),
            ("to", "", "required"),
            ("to", "nobody", "Select a valid choice"),
            ("publish_at", "2001-01-01T10:00", "Enter a time in the future"),
            ("publish_at", "tomorrow", "Enter a valid date and time"),
            ("expires", "2001-01-01T10:00", "Enter a time in the future"),
            ("expires", "2039-12-31T10:00", "Enter a time later than"),
        ],
    )
    def test_announcement_form_with_invalid_input_returns_400_and_keeps_input(
        self, admin: Client, field: str, value: str, error: str
    ) -> None:
        kept = {"url": "/kept/", "publish_at": "2040-01-01T10:00", field: value}
        answer = published(admin, **kept)
        assert answer.status_code == 400
        assert error in text_of(answer)
        assert ("/kept/" if field != "url" else "Hello") in text_of(answer)
        assert not Announcement.objects.exists()

    @pytest.mark.parametrize("picked", [[], ["x"], ["-1"], [str(10**30)], ["1\0"]])
    def test_announcement_form_with_invalid_groups_returns_400(self, admin: Client, picked: list[str]) -> None:
        answer = published(admin, to="picked", picked=picked)
        assert answer.status_code == 400
        assert not Announcement.objects.exists()

    def test_announcement_publish_to_group_deleted_meanwhile_returns_400(
        self, admin: Client, sales: Group, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def late(*args: Any, **options: Any) -> Any:
            Group.objects.filter(name="Sales").delete()
            return announce(*args, **options)

        monkeypatch.setattr(announcements, "announce", late)
        answer = published(admin, to="picked", picked=[sales.pk])
        assert answer.status_code == 400
        assert "Part of your selection was deleted" in text_of(answer)
        assert not Announcement.objects.exists()

    def test_announcement_form_finds_many_groups_by_search(self, admin: Client, sales: Group) -> None:
        Group.objects.bulk_create(Group(name=f"Team {number:02}") for number in range(30))
        assert "Team 05" not in text_of(admin.get(NEW))
        text = text_of(admin.post(NEW, entered(step="search", q="05", to="picked", picked=[sales.pk])))
        assert "Team 05" in text
        assert "Sales" in text
        found = admin.get(GROUPS, {"q": "team 00"}).json()
        assert [each["text"] for each in found["results"]] == ["Team 00"]

    def test_announcement_group_search_finds_permitted_groups_only(self, manager: Client) -> None:
        Group.objects.bulk_create(Group(name=f"Team {number:02}") for number in range(30))
        names = [each["text"] for each in manager.get(GROUPS, {"q": ""}).json()["results"]]
        assert names == ["Sales"]


class TestTimeZones:
    @pytest.fixture(autouse=True)
    def _berlin(self, in_acme: Tenant) -> None:
        get_tenant_model().objects.filter(pk=in_acme.pk).update(time_zone="Europe/Berlin")

    def test_announcement_times_are_in_time_zone_of_tenant(self, admin: Client) -> None:
        assert "Europe/Berlin" in text_of(admin.get(NEW))
        # Not those of whatever zone a browser names.
        published(admin, publish_at="2040-01-01T10:00", zone="Asia/Tokyo")
        written = Announcement.objects.get()
        assert written.publish_at == datetime(2040, 1, 1, 9, tzinfo=UTC)
        text = text_of(admin.get(page_of(written)))
        assert "10 a.m." in text
        assert "Europe/Berlin" in text
        assert 'value="2040-01-01T10:00"' in text_of(admin.get(page_of(written, "edit/")))

    def test_announcement_form_with_nonexistent_local_time_returns_400(self, admin: Client) -> None:
        assert published(admin, publish_at="2040-03-25T02:30").status_code == 400
        assert not Announcement.objects.exists()


class TestChanging:
    def save(self, browser: Client, announcement: Announcement, **changes: Any) -> Any:
        form = form_of(browser.get(page_of(announcement, "edit/")))
        return browser.post(page_of(announcement, "edit/"), form | changes)

    def test_announcement_quiet_edit_keeps_announcement_read(
        self, admin: Client, people: Any, written: Announcement
    ) -> None:
        inbox(people["bob"]).mark_read(str(written.reference))
        assert self.save(admin, written, message="Corrected")["Location"] == page_of(written)
        written.refresh_from_db()
        assert (written.message, written.revision) == ("Corrected", 1)
        assert inbox(people["bob"]).unread_count() == 0

    def test_announcement_edit_shown_again_makes_announcement_unread(
        self, admin: Client, people: Any, written: Announcement
    ) -> None:
        inbox(people["bob"]).mark_read(str(written.reference))
        self.save(admin, written, again="again")
        assert inbox(people["bob"]).unread_count() == 1
        assert "Shown again" in content_of(admin.get(page_of(written)))

    def test_announcement_edit_with_invalid_show_again_choice_returns_400(
        self, admin: Client, written: Announcement
    ) -> None:
        answer = self.save(admin, written, message="Corrected", again="perhaps")
        assert answer.status_code == 400
        assert "Corrected" in text_of(answer)
        written.refresh_from_db()
        assert written.message == "Hello everybody"

    def test_announcement_edit_without_changes_changes_nothing(self, admin: Client, people: Any) -> None:
        written = announce("%(n)s left", to=EVERYONE, params={"n": 3}, level=ERROR_PERSISTENT, url="/x/")
        before = Announcement.objects.values().get()
        assert self.save(admin, written)["Location"] == page_of(written)
        assert Announcement.objects.values().get() == before
        self.save(admin, written, must_acknowledge="on")
        assert Announcement.objects.values().get() == before | {"must_acknowledge": True}
        assert AuditRecord.objects.filter(action="revise").count() == 1

    def test_announcement_edit_keeps_debug_level(self, admin: Client, people: Any) -> None:
        written = announce("Hello", to=EVERYONE, level=DEBUG_PERSISTENT)
        assert "Debug" not in text_of(admin.get(NEW))
        assert self.save(admin, written, message="Corrected")["Location"] == page_of(written)
        written.refresh_from_db()
        assert (written.message, written.level) == ("Corrected", DEBUG_PERSISTENT)

    def test_announcement_edit_stores_text_literally(self, admin: Client, people: Any) -> None:
        written = announce("%(n)s left", to=EVERYONE, params={"n": 3})
        assert "3 left" in content_of(admin.get(page_of(written, "edit/")))
        self.save(admin, written, message="100% done")
        assert str(Announcement.objects.get()) == "100% done"

    def test_announcement_edit_postpones_or_publishes_scheduled_announcement(self, admin: Client, people: Any) -> None:
        written = announce("Soon", to=EVERYONE, publish_at=timezone.now() + timedelta(days=1))
        assert "again" not in admin.get(page_of(written, "edit/")).context["form"].fields
        self.save(admin, written, publish_at="2040-01-01T10:00", expires="2040-02-01T10:00")
        written.refresh_from_db()
        assert written.publish_at == datetime(2040, 1, 1, 10, tzinfo=UTC)
        self.save(admin, written, publish_at="")
        written.refresh_from_db()
        assert written.state() is State.LIVE

    @pytest.mark.parametrize(
        ("text", "params"),
        [(mark_safe("<b>Hi</b>\r\n<i>you</i>\n"), None), ("\nWelcome,\r\n%(name)s! \n", {"name": "you"})],
    )
    def test_announcement_edit_of_expiry_keeps_text_and_params(self, admin: Client, text: str, params: Any) -> None:
        written = announce(text, to=EVERYONE, params=params)
        form = form_of(admin.get(page_of(written, "edit/"))) | {"expires": "2090-01-01T10:00"}
        # As browsers send it.
        form["message"] = form["message"].replace("\n", "\r\n")
        assert admin.post(page_of(written, "edit/"), form).status_code == 302
        now = Announcement.objects.get()
        assert now.expires.year == 2090
        assert (now.message, now.is_safe, now.params) == (written.message, written.is_safe, written.params)

    def test_announcement_edit_of_live_announcement_keeps_publish_at(
        self, admin: Client, written: Announcement
    ) -> None:
        self.save(admin, written, publish_at="2040-01-01T10:00")
        assert Announcement.objects.get().publish_at == written.publish_at

    def test_announcement_edit_conflict_returns_409_and_keeps_both_texts(
        self, admin: Client, written: Announcement
    ) -> None:
        form = form_of(admin.get(page_of(written, "edit/")))
        revise(written, message="Theirs")
        answer = admin.post(page_of(written, "edit/"), form | {"message": "Mine"})
        assert answer.status_code == 409
        text = content_of(answer)
        assert "Theirs" in text
        assert "Mine" in text
        assert Announcement.objects.get().message == "Theirs"
        version = answer.context["form"]["version"].value()
        admin.post(page_of(written, "edit/"), form | {"message": "Mine", "version": version})
        assert Announcement.objects.get().message == "Mine"

    def test_announcement_edit_after_end_returns_409_and_keeps_text(self, admin: Client, written: Announcement) -> None:
        form = form_of(admin.get(page_of(written, "edit/")))
        retract(written)
        answer = admin.post(page_of(written, "edit/"), form | {"message": "<b>Mine"})
        assert answer.status_code == 409
        assert "This was retracted on" in text_of(answer)
        assert "&lt;b&gt;Mine" in text_of(answer)
        assert Announcement.objects.get().message == "Hello everybody"
        assert "can no longer be changed" in text_of(admin.get(page_of(written, "edit/")))

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("message", ""),
            ("url", "javascript:x"),
            ("expires", ""),
            ("expires", "2001-01-01T10:00"),
            ("level", "5"),
            ("version", ""),
        ],
    )
    def test_announcement_edit_with_invalid_input_returns_400(
        self, admin: Client, written: Announcement, field: str, value: str
    ) -> None:
        answer = self.save(admin, written, **{"message": "Other", field: value})
        assert answer.status_code == 400
        assert 'role="alert"' in text_of(answer)
        assert Announcement.objects.get().message == "Hello everybody"

    def test_announcement_edit_keeps_audience(self, admin: Client, written: Announcement, sales: Group) -> None:
        self.save(admin, written, to="picked", picked=[sales.pk], message="Other")
        assert Announcement.objects.get().audience == "everyone"


class TestRetracting:
    def test_announcement_retract_page_asks_and_hides_announcement(
        self, admin: Client, people: Any, written: Announcement
    ) -> None:
        assert "Retract this announcement?" in text_of(admin.get(page_of(written, "retract/")))
        assert inbox(people["bob"]).unread_count() == 1
        assert admin.post(page_of(written, "retract/"))["Location"] == page_of(written)
        assert inbox(people["bob"]).unread_count() == 0
        text = content_of(admin.get(page_of(written)))
        assert "Retracted" in text
        assert "retract/" not in text

    def test_announcement_retract_twice_keeps_first_time(self, admin: Client, written: Announcement) -> None:
        admin.post(page_of(written, "retract/"))
        at = Announcement.objects.get().retracted_at
        admin.post(page_of(written, "retract/"))
        assert Announcement.objects.get().retracted_at == at
        assert "has already ended" in text_of(admin.get(LIST))


class TestReaders:
    def test_reader_report_shows_count_and_names(self, admin: Client, people: Any, written: Announcement) -> None:
        inbox(people["bob"]).mark_read(str(written.reference))
        text = content_of(admin.get(page_of(written)))
        assert "1 of 5 have read it" in text
        assert 'width="20"' in text
        assert rows_of(admin.get(page_of(written))) == ["admin", "bob", "carol", "manager", "viewer"]

    def test_reader_report_filters_by_read_state_and_name(
        self, admin: Client, people: Any, written: Announcement
    ) -> None:
        inbox(people["bob"]).mark_read(str(written.reference))
        assert rows_of(admin.get(page_of(written), {"who": "read"})) == ["bob"]
        assert "bob" not in rows_of(admin.get(page_of(written), {"who": "unread"}))
        assert rows_of(admin.get(page_of(written), {"q": "CAR"})) == ["carol"]
        assert "Nobody matches" in text_of(admin.get(page_of(written), {"who": "read", "q": "carol"}))

    def test_reader_report_shows_audience_size_at_publication(
        self, admin: Client, people: Any, written: Announcement, make_user: MakeUser
    ) -> None:
        make_user("newcomer")
        text = content_of(admin.get(page_of(written)))
        assert "0 of 6 have read it" in text
        assert "was published</th> <td>5</td>" in text

    def test_reader_report_names_visible_users_only(self, at: Any, people: Any, written: Announcement) -> None:
        viewer = at("viewer")
        assert rows_of(viewer.get(page_of(written))) == ["viewer"]
        text = content_of(viewer.get(page_of(written)))
        assert "0 of 5 have read it" in text
        assert "The numbers include 4 more people" in text
        assert rows_of(viewer.get(page_of(written), {"q": "bob"})) == []

    def test_reader_report_is_paginated_with_constant_query_count(
        self, admin: Client, written: Announcement, make_user: MakeUser
    ) -> None:
        admin.get(page_of(written))
        few = queries_of(lambda: admin.get(page_of(written)))
        for number in range(60):
            make_user(f"more{number}")
        assert queries_of(lambda: admin.get(page_of(written))) == few
        assert "Page 1 of 2" in text_of(admin.get(page_of(written)))
        assert len(rows_of(admin.get(page_of(written), {"page": 2}))) == 15

    @pytest.mark.parametrize("query", ["who=nonsense", "q=%00", f"q={'x' * 101}"])
    def test_announcement_pages_with_invalid_query_return_400(
        self, admin: Client, written: Announcement, query: str
    ) -> None:
        assert admin.get(f"{page_of(written)}?{query}").status_code == 400


def rows_of(response: Any) -> list[str]:
    return re.findall(r"<tr>\s*<td><bdi>(.*?)</bdi>", response.content.decode())
