"""The admin: what can be looked at, and by whom."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.test import Client
from django.utils import timezone
from django_tenants.utils import get_tenant_model, schema_context

from messages_extends.api import ALL_TENANTS, EVERYONE, announce, broadcast, inbox, retract, send
from messages_extends.broadcasts.models import Broadcast
from messages_extends.constants import ERROR_PERSISTENT
from messages_extends.models import Announcement, AuditRecord, Message, Receipt
from messages_extends.models.marks import UNDO_FIELDS
from messages_extends.models.publication import State
from messages_extends.policy import Policy
from messages_extends.tenancy.schemas import in_schema
from tenants.models import Tenant
from tests.conftest import count_our_queries
from tests.factories import BrowserOf, MakeMessage, MakeUser


@pytest.fixture
def browser(in_acme: Tenant, make_user: MakeUser, browser_of: BrowserOf) -> Client:
    return browser_of(in_acme, make_user("root", is_staff=True, is_superuser=True))


def test_message_list_query_count_is_constant(browser: Client, make_user: MakeUser, make_message: MakeMessage) -> None:
    counts = []
    for names in (["a"], ["b", "c", "d", "e"]):
        for name in names:
            make_message(make_user(name), sender=make_user(f"{name}-sender"))
        with count_our_queries() as queries:
            assert browser.get("/admin/messages_extends/message/").status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_admin_message_is_viewable_and_not_editable(
    browser: Client, make_user: MakeUser, make_message: MakeMessage
) -> None:
    message = make_message(make_user("a"), "<b>Hello</b>")
    page = browser.get(f"/admin/messages_extends/message/{message.pk}/change/")
    assert b"a@acme.example" in page.content or b">a<" in page.content
    assert b"<textarea" not in page.content
    assert browser.get("/admin/messages_extends/message/add/").status_code == 403


class TestConfidentialTexts:
    """Between sender and recipient, whoever administers them."""

    SECRETS = (
        *("sesame", "secret-url", "secret-key", "secret-tag", "secret-value"),
        *("secret-title", "secret-label", "secret-group"),
    )
    CONTENT = ("title", "message", "params", "extra_tags", "url", "url_label", "is_safe", "key", "group")
    # What the recipient has done with it.
    MARKS = ("archived_at", "snoozed_until", "saved_at", *UNDO_FIELDS, "shows_at")

    @pytest.fixture
    def message(self, in_acme: Tenant, make_user: MakeUser, make_message: MakeMessage) -> Message:
        recipient, sender = make_user("recipient"), make_user("sender")
        values: dict[str, Any] = {
            "url": "/secret-url/",
            "key": "secret-key",
            "extra_tags": "secret-tag",
            "params": ["secret-value"],
        }
        values |= {"title": "secret-title", "url_label": "secret-label", "group": "secret-group"}
        return make_message(recipient, "<b>sesame</b> %s", sender=sender, **values)

    @pytest.fixture
    def clerk(self, in_acme: Tenant, make_user: MakeUser, browser_of: BrowserOf) -> Client:
        clerk = make_user("clerk", is_staff=True)
        actions = ("view_message", "change_message", "view_user", "delete_user", "view_auditrecord", "view_receipt")
        clerk.user_permissions.set(Permission.objects.filter(codename__in=actions))
        return browser_of(in_acme, clerk)

    def test_admin_pages_hide_message_text(self, browser: Client, clerk: Client, message: Message) -> None:
        base = f"/admin/messages_extends/message/{message.pk}"
        pages = (
            *("/admin/", "/admin/messages_extends/", "/admin/messages_extends/message/", f"{base}/change/"),
            *("/admin/messages_extends/message/?q=recipient", f"{base}/history/", f"{base}/delete/"),
            *("/admin/messages_extends/auditrecord/", f"/admin/people/user/{message.user_id}/delete/"),
        )
        marked = {"action": "mark_read", "_selected_action": [message.pk]}
        for person in (browser, clerk):
            answers = [person.get(page) for page in pages]
            answers.append(person.post("/admin/messages_extends/message/", marked, follow=True))
            assert {answer.status_code for answer in answers} <= {200, 403}
            for answer in answers:
                assert [secret for secret in self.SECRETS if secret in answer.text] == [], answer.request["PATH_INFO"]
            assert "recipient" in answers[2].text
            assert f"Message {message.pk}" in answers[3].text

    @pytest.mark.parametrize("search", ["sesame", "secret-key", "secret-tag", "secret-title", "secret-group"])
    def test_message_search_ignores_content(self, browser: Client, message: Message, search: str) -> None:
        assert not browser.get("/admin/messages_extends/message/", {"q": search}).context["cl"].result_count
        assert browser.get("/admin/messages_extends/message/", {"q": "recipient"}).context["cl"].result_count == 1

    @pytest.mark.parametrize("field", [*CONTENT, *MARKS])
    @pytest.mark.parametrize("lookup", ["", "__startswith", "__isnull", "__regex"])
    def test_message_filter_on_private_column_returns_400(
        self, browser: Client, message: Message, field: str, lookup: str
    ) -> None:
        answers = set()
        for guess in ("s", "1", "x"):
            answer = browser.get("/admin/messages_extends/message/", {f"{field}{lookup}": guess})
            answers.add((answer.status_code, "recipient" in answer.text))
        assert answers == {(400, False)}

    def test_message_list_query_does_not_select_content(self, browser: Client, message: Message) -> None:
        with count_our_queries() as queries:
            browser.get("/admin/messages_extends/message/")
            browser.get(f"/admin/messages_extends/message/{message.pk}/change/")
        # The union is the banners of whoever looks: their own.
        asked = [each for each in queries if 'FROM "messages_extends_message"' in each and "UNION" not in each]
        assert asked
        assert not [query for query in asked if '"messages_extends_message"."message"' in query]

    def test_admin_pages_hide_marks_of_recipient(self, browser: Client, clerk: Client, message: Message) -> None:
        times = {name: datetime(2031 + year, 5, 6, tzinfo=UTC) for year, name in enumerate(self.MARKS[:3])}
        Message.objects.filter(pk=message.pk).update(read_at=timezone.now(), **times)
        recipient = get_user_model().objects.get(pk=message.user_id)
        announced = announce("to all", to=EVERYONE)
        inbox(recipient).snooze(str(announced.reference), until=datetime(2034, 5, 6, tzinfo=UTC))
        receipt = Receipt.objects.get()
        pages = [
            f"/admin/messages_extends/{model}/{page}"
            for model, pk in (("message", message.pk), ("receipt", receipt.pk))
            for page in ("", f"{pk}/change/")
        ]
        for page in pages:
            for person in (browser, clerk):
                answer = person.get(page)
                assert answer.status_code == 200
                assert [year for year in ("2031", "2032", "2033", "2034") if year in answer.text] == [], page

    @pytest.mark.parametrize("field", MARKS[:4])
    def test_receipt_filter_on_marks_returns_400(self, browser: Client, field: str) -> None:
        assert browser.get("/admin/messages_extends/receipt/", {f"{field}__isnull": "1"}).status_code == 400
        assert browser.get("/admin/messages_extends/receipt/", {"revision": "1"}).status_code == 200

    def test_superuser_reveals_message_and_audit_record_is_logged(self, browser: Client, message: Message) -> None:
        page = browser.get(f"/admin/messages_extends/message/{message.pk}/change/")
        assert "Show the text" in page.text
        shown = browser.post(f"/admin/messages_extends/message/{message.pk}/reveal/")
        assert "&lt;b&gt;sesame&lt;/b&gt; secret-value" in shown.text
        assert "secret-title" in shown.text
        assert "secret-label" in shown.text
        assert "secret-url" in shown.text
        assert "no-store" in shown["Cache-Control"]
        record = AuditRecord.objects.get()
        assert (record.action, record.actor_name) == ("reveal", "root")
        assert (record.subject, record.audience) == (f"message {message.pk}", f"user {message.user_id}")
        assert not [value for value in vars(record).values() if "sesame" in str(value)]

    def test_reveal_requires_post_with_csrf_token(self, browser: Client, message: Message) -> None:
        url = f"/admin/messages_extends/message/{message.pk}/reveal/"
        assert browser.get(url).status_code == 405
        browser.handler.enforce_csrf_checks = True
        assert browser.post(url).status_code == 403
        assert not AuditRecord.objects.exists()

    def test_reveal_without_permission_returns_403_for_any_key(self, clerk: Client, message: Message) -> None:
        assert "Show the text" not in clerk.get(f"/admin/messages_extends/message/{message.pk}/change/").text
        answers = {
            (answer.status_code, answer.content)
            for key in (message.pk, 404404)
            if (answer := clerk.post(f"/admin/messages_extends/message/{key}/reveal/"))
        }
        assert [status for status, _content in answers] == [403]
        assert not AuditRecord.objects.exists()

    def test_admin_reveal_of_missing_message_returns_404(self, browser: Client, message: Message) -> None:
        with schema_context("globex"):
            stranger = get_user_model().objects.create_user(email="gina@globex.example")
            Message.objects.create(pk=70_000, user=stranger, message="sesame", level=19)
        for key in ("70000", "404404", "x", "-1"):
            assert browser.post(f"/admin/messages_extends/message/{key}/reveal/").status_code == 404
        assert not AuditRecord.objects.exists()


def test_actions_mark_messages_read_and_unread(browser: Client, make_user: MakeUser, make_message: MakeMessage) -> None:
    messages = [make_message(make_user(name)) for name in "ab"]
    for action, read in (("mark_read", True), ("mark_unread", False)):
        data = {"action": action, "_selected_action": [message.pk for message in messages]}
        assert browser.post("/admin/messages_extends/message/", data).status_code == 302
        assert set(Message.objects.values_list("read", flat=True)) == {read}


def test_message_change_and_deletion_return_403(
    browser: Client, make_user: MakeUser, make_message: MakeMessage
) -> None:
    pk = make_message(make_user("a")).pk
    for page in (f"{pk}/change/", f"{pk}/delete/"):
        assert browser.post(f"/admin/messages_extends/message/{page}", {"post": "yes"}).status_code == 403
    data = {"action": "delete_selected", "_selected_action": [pk], "post": "yes"}
    browser.post("/admin/messages_extends/message/", data)
    assert Message.objects.filter(pk=pk).exists()


def test_admin_deletes_user_with_messages(browser: Client, make_user: MakeUser, make_message: MakeMessage) -> None:
    alice = make_user("alice")
    make_message(alice, sender=alice)
    url = f"/admin/people/user/{alice.pk}/delete/"
    assert browser.post(url, {"post": "yes"}).status_code == 302
    assert not Message.objects.exists()


OURS = ("message", "announcement", "receipt", "auditrecord")


def test_admin_refuses_user_without_membership(
    browser: Client, make_user: MakeUser, make_message: MakeMessage, settings: Any
) -> None:
    pk = make_message(make_user("a"), "secret").pk
    assert all(browser.get(f"/admin/messages_extends/{model}/").status_code == 200 for model in OURS)
    members = get_user_model().objects.exclude(name="root").all
    settings.MESSAGES_EXTENDS = {**settings.MESSAGES_EXTENDS, "MEMBERS": members}
    for page in (*(f"{model}/" for model in OURS), f"message/{pk}/change/", f"message/{pk}/history/"):
        answer = browser.get(f"/admin/messages_extends/{page}")
        assert (answer.status_code, b"secret" in answer.content) == (403, False)
    for action in ("mark_read", "delete_selected"):
        data = {"action": action, "_selected_action": [pk], "post": "yes"}
        assert browser.post("/admin/messages_extends/message/", data).status_code == 403
    assert not Message.objects.get().read
    assert "/admin/messages_extends/" not in browser.get("/admin/").content.decode()


def test_admin_refuses_staff_user_without_permission(
    in_acme: Tenant, make_user: MakeUser, browser_of: BrowserOf
) -> None:
    clerk = browser_of(in_acme, make_user("clerk", is_staff=True))
    assert {clerk.get(f"/admin/messages_extends/{model}/").status_code for model in OURS} == {403}


def test_admin_view_permission_does_not_allow_marking(
    in_acme: Tenant, make_user: MakeUser, make_message: MakeMessage, browser_of: BrowserOf
) -> None:
    clerk, message = make_user("clerk", is_staff=True), make_message(make_user("a"))
    clerk.user_permissions.add(Permission.objects.get(codename="view_message"))
    data = {"action": "mark_read", "_selected_action": [message.pk]}
    browser = browser_of(in_acme, clerk)
    assert browser.get("/admin/messages_extends/message/").status_code == 200
    browser.post("/admin/messages_extends/message/", data)
    assert not Message.objects.get().read


def test_admin_queries_membership_once_per_request(browser: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def honours_model_permissions(_policy: Policy, person: Any) -> bool:
        asked.append(person)
        return True

    monkeypatch.setattr(Policy, "honours_model_permissions", honours_model_permissions)
    assert browser.get("/admin/messages_extends/message/").status_code == 200
    assert len(asked) == 1


@pytest.mark.parametrize("schema", ["acme", "platform"])
def test_admin_login_page_queries_no_membership(database: None, browser_of: BrowserOf, schema: str) -> None:
    tenant = get_tenant_model().objects.get(schema_name=schema)
    assert browser_of(tenant).get("/admin/login/").status_code == 200


@pytest.fixture
def of_platform(database: None, make_user: MakeUser, browser_of: BrowserOf) -> Client:
    tenant = get_tenant_model().objects.get(schema_name="platform")
    with schema_context("platform"):
        return browser_of(tenant, make_user("operator", is_staff=True, is_superuser=True))


def many(name: str) -> None:
    """Make three of everything that an admin lists."""
    users = [get_user_model().objects.create_user(email=f"{name}{i}@acme.example", name=name) for i in range(3)]
    groups = [Group.objects.create(name=f"{name} {i}") for i in range(3)]
    for user in users:
        announce(f"{name} for {user}", to=groups, sender=None)
        Announcement.objects.update(sender=user)
        inbox(user).mark_read(f"{announce(name, to=EVERYONE).pk.hex}-1")


def test_announcement_admin_shows_and_finds_title(browser: Client) -> None:
    made = announce("It is closed.", to=EVERYONE, title="Office", url="/plan/", url_label="See the plan", group="rooms")
    shown = browser.get(f"/admin/messages_extends/announcement/{made.pk}/change/").text
    assert [each for each in ("Office", "See the plan", "On every page", "rooms") if each not in shown] == []
    found = browser.get("/admin/messages_extends/announcement/", {"q": "office"})
    assert "Office: It is closed." in found.text


@pytest.mark.parametrize("model", ["announcement", "receipt", "auditrecord"])
def test_admin_list_query_count_is_constant(browser: Client, model: str) -> None:
    counts = []
    for name in ("first", "second"):
        many(name)
        with count_our_queries() as queries:
            assert browser.get(f"/admin/messages_extends/{model}/").status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1]


@pytest.mark.parametrize("model", ["announcement", "receipt", "auditrecord"])
def test_admin_models_are_read_only(browser: Client, model: str) -> None:
    many("some")
    pk = apps.get_model("messages_extends", model)._default_manager.first().pk
    assert browser.get(f"/admin/messages_extends/{model}/{pk}/change/").status_code == 200
    for page in ("add/", f"{pk}/change/", f"{pk}/delete/"):
        assert browser.post(f"/admin/messages_extends/{model}/{page}", {"post": "yes"}).status_code == 403


def test_retract_action_retracts_announcement_and_logs_audit_event(browser: Client) -> None:
    announcement = announce("wrong", to=EVERYONE)
    data = {"action": "retract", "_selected_action": [announcement.pk]}
    assert browser.post("/admin/messages_extends/announcement/", data).status_code == 302
    announcement.refresh_from_db()
    assert announcement.state() == State.RETRACTED
    assert AuditRecord.objects.filter(action="retract").get().actor_name == "root"


@pytest.mark.parametrize("state", [*State.values, "nonsense"])
def test_announcement_list_filters_by_state(browser: Client, state: str) -> None:
    announce("live", to=EVERYONE)
    retract(announce("retracted", to=EVERYONE))
    announce("scheduled", to=EVERYONE, publish_at=timezone.now() + timedelta(hours=1))
    announce("expired", to=EVERYONE, expires=timezone.now() + timedelta(hours=1))
    now = timezone.now()
    Announcement.objects.filter(message="expired").update(publish_at=now - timedelta(hours=1), expires=now)
    page = browser.get(f"/admin/messages_extends/announcement/?state={state}")
    shown = {announcement.message for announcement in page.context["cl"].result_list}
    assert shown == ({state} if state in State.values else set(State.values))


class TestOwnMessages:
    """The messages to the person who uses the admin, on its pages."""

    PAGES = ("/admin/", "/admin/messages_extends/message/", "/admin/auth/group/add/")

    def test_admin_banners_have_level_and_button_on_every_page(self, browser: Client) -> None:
        root = get_user_model().objects.get()
        send(root, "<i>Disk full</i>", level=ERROR_PERSISTENT)
        rules = announce("The rules", to=EVERYONE, must_acknowledge=True)
        message = Message.objects.get()
        for page in self.PAGES:
            html = browser.get(page).text
            banners = html[html.index("mx-banners") : html.index('id="content"')]
            assert f'action="/messages/mark_read/{message.pk}/"' in banners
            assert f'action="/messages/acknowledge/{rules.reference}/"' in banners
            assert "mx-banner mx-error" in banners
            assert "&lt;i&gt;Disk full" in banners
            assert html.count("Disk full</i>") == 0
            assert "messagelist" not in html

    def test_admin_closing_banner_redirects_to_page(self, browser: Client) -> None:
        send(get_user_model().objects.get(), "Hello")
        address = f"/messages/mark_read/{Message.objects.get().pk}/"
        response = browser.post(address, headers={"referer": "http://acme.localhost/admin/auth/group/add/"})
        assert response["Location"] == "http://acme.localhost/admin/auth/group/add/"
        assert "Hello" not in browser.get("/admin/").text

    def test_admin_messages_are_shown_in_message_list(self, browser: Client) -> None:
        send(get_user_model().objects.get(), "Saved")
        html = browser.post("/admin/auth/group/add/", {"name": "Sales"}, follow=True).text
        own = html[html.index('<ul class="messagelist">') : html.index('id="content"')]
        assert '<li class="success">' in own
        assert "was added successfully" in own
        assert "Saved" not in own
        assert html.index("Saved") < html.index("messagelist")

    def test_admin_banners_beyond_limit_show_remaining_count(self, browser: Client, settings: Any) -> None:
        settings.MESSAGES_EXTENDS = {**settings.MESSAGES_EXTENDS, "MAX_BANNERS": 1}
        for number in range(3):
            send(get_user_model().objects.get(), f"message {number}")
        html = browser.get("/admin/").text
        assert "and 2 more" in html
        assert "messagelist" not in html

    def test_admin_banners_run_one_query(self, browser: Client) -> None:
        send(get_user_model().objects.get(), "Hello")
        with count_our_queries() as queries:
            browser.get("/admin/")
        assert len([query for query in queries if "messages_extends_message" in query]) == 1

    def test_admin_login_page_has_no_banners(self, in_acme: Tenant, browser_of: BrowserOf) -> None:
        assert "data-mx-banner " not in browser_of(in_acme).get("/admin/login/").text


class TestBroadcasts:
    MODELS = ("broadcast", "broadcastcount", "broadcastrecord")

    @pytest.fixture(autouse=True)
    def _one(self, database: None) -> None:
        with in_schema("public"):
            broadcast("for all", to=ALL_TENANTS)

    @pytest.mark.parametrize("model", MODELS)
    def test_broadcast_models_are_viewable_on_platform(self, of_platform: Client, model: str) -> None:
        assert of_platform.get(f"/admin/broadcasts/{model}/").status_code == 200
        assert of_platform.get(f"/admin/broadcasts/{model}/add/").status_code == 403

    @pytest.mark.parametrize("model", MODELS)
    def test_broadcast_models_are_refused_outside_platform(self, browser: Client, model: str) -> None:
        pages = [f"/admin/broadcasts/{model}/{page}" for page in ("", "add/", "1/change/", "1/delete/")]
        for page in (*pages, "/admin/broadcasts/"):
            assert browser.get(page).status_code in {302, 403, 404}
            assert browser.post(page).status_code in {302, 403, 404}
        assert "/admin/broadcasts/" not in browser.get("/admin/").content.decode()

    def test_broadcast_history_outside_platform_returns_403_for_any_key(self, browser: Client) -> None:
        for pk in (Broadcast.objects.get().pk, uuid.uuid4()):
            assert browser.get(f"/admin/broadcasts/broadcast/{pk}/history/").status_code == 403

    @pytest.mark.parametrize(
        ("permission", "shown"), [("view_broadcast", MODELS[:2]), ("view_broadcastrecord", MODELS[2:])]
    )
    def test_broadcast_records_require_own_permission(
        self, make_user: MakeUser, browser_of: BrowserOf, permission: str, shown: tuple[str, ...]
    ) -> None:
        tenant = get_tenant_model().objects.get(schema_name="platform")
        with schema_context("platform"):
            clerk = make_user("clerk", is_staff=True)
            clerk.user_permissions.add(Permission.objects.get(codename=permission))
        browser = browser_of(tenant, clerk)
        for model in self.MODELS:
            answer = browser.get(f"/admin/broadcasts/{model}/")
            assert answer.status_code == (200 if model in shown else 403)

    def test_admin_view_permission_does_not_allow_retracting_broadcast(
        self, make_user: MakeUser, browser_of: BrowserOf
    ) -> None:
        tenant = get_tenant_model().objects.get(schema_name="platform")
        with schema_context("platform"):
            clerk = make_user("clerk", is_staff=True)
            clerk.user_permissions.add(Permission.objects.get(codename="view_broadcast"))
        data = {"action": "retract", "_selected_action": [Broadcast.objects.get().pk]}
        browser_of(tenant, clerk).post("/admin/broadcasts/broadcast/", data)
        assert Broadcast.objects.get().state() == State.LIVE

    def test_retract_action_retracts_broadcast_on_platform(self, of_platform: Client) -> None:
        pk = Broadcast.objects.get().pk
        assert b"for all" in of_platform.get(f"/admin/broadcasts/broadcast/{pk}/change/").content
        data = {"action": "retract", "_selected_action": [pk]}
        assert of_platform.post("/admin/broadcasts/broadcast/", data).status_code == 302
        assert Broadcast.objects.get().state() == State.RETRACTED

    def test_retract_action_on_broadcast_is_refused_outside_platform(self, browser: Client) -> None:
        data = {"action": "retract", "_selected_action": [Broadcast.objects.get().pk]}
        assert browser.post("/admin/broadcasts/broadcast/", data).status_code == 403
        assert Broadcast.objects.get().state() == State.LIVE
