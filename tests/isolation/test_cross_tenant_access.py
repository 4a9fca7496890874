"""Every way in: with what is another organisation's, or another person's, in one's hands, none of them opens.

"Not yours" and "not there" are one answer. A URL or a public function without a case here fails the test.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.contrib.messages.api import MessageFailure
from django.contrib.sessions.backends.base import SessionBase
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.http import HttpRequest
from django.test import Client, RequestFactory
from django.urls import NoReverseMatch, URLResolver
from django.utils import timezone
from django_tenants.utils import schema_context

from messages_extends import api, urls
from messages_extends.access.grants import grant
from messages_extends.constants import INFO_PERSISTENT
from messages_extends.exceptions import MessagesExtendsError, NoSuchMessage, WrongTenant
from messages_extends.inbox.inbox import Inbox
from messages_extends.links import reverse_page
from messages_extends.models import Announcement, Message
from messages_extends.models.publication import Publication, Reference
from messages_extends.storages import FallbackStorage
from messages_extends.tenancy.sessions import SessionStore
from tenants.models import Tenant
from tests.factories import BrowserOf, MakeUser

pytestmark = pytest.mark.django_db


# Of the same keys in both; what is only in globex; what is nowhere.
SAME, THEIRS, NOWHERE = 1, 3000, 404404
SCHEMAS_WATCHED = ("public", "acme", "globex", "platform")


@dataclass
class Scenario:
    """A reader in acme, and what is not theirs: as a page would name it."""

    reader: Any
    browser: Client
    administrator: Client
    stranger: Any
    group_of_globex: Any
    stranger_announcement: Announcement
    stranger_message: Message
    stranger_page: str
    stranger_marked: datetime
    stranger_undo: str
    stranger_snapshot: str
    messages: dict[str, str]
    publications: dict[str, str]
    broadcast_elsewhere: Any


@pytest.fixture
def scenario(acme: Tenant, globex: Tenant, make_user: MakeUser, browser_of: BrowserOf) -> Scenario:
    messages, publications = {"nowhere": str(NOWHERE)}, {"nowhere": str(Reference(uuid4(), 1))}
    with schema_context("globex"):
        stranger = make_user("stranger", pk=SAME)
        for pk in (SAME, THEIRS):
            Message.objects.create(pk=pk, user=stranger, message="secret", level=INFO_PERSISTENT, key="key")
            Message.objects.mark_read()
        make_user("hidden", pk=THEIRS)
        group_of_globex = Group.objects.create(pk=SAME, name="Sales")
        Group.objects.create(pk=THEIRS, name="Hidden")
        theirs = api.announce("secret", to=api.EVERYONE, key="key")
        stranger.groups.add(group_of_globex)
        stranger_page = api.inbox(stranger).page(size=1).next
        Message.objects.create(pk=SAME + 1, user=stranger, message="secret", level=INFO_PERSISTENT)
    panel = browser_of(globex, stranger).get("/messages/panel/").content.decode()
    undo = browser_of(globex, stranger).post("/messages/mark_read/all/", {"undoable": "1"})
    with schema_context("globex"):
        marked = Message.objects.get(pk=SAME + 1).read_at
        Message.objects.create(pk=SAME + 2, user=stranger, message="secret", level=INFO_PERSISTENT, key="key")
        stranger_message = Message.objects.get(pk=THEIRS)
        publications["an announcement of globex"] = str(theirs.reference)
    messages["a message of globex"] = str(THEIRS)
    with schema_context("public"):
        elsewhere = api.broadcast("secret", to=[globex], key="key")
        publications["a broadcast to globex"] = str(elsewhere.reference)
        everywhere = api.broadcast("for all", to=api.ALL_TENANTS)
        publications["a later revision of a broadcast"] = str(Reference(everywhere.pk, 2))
        gone = api.broadcast("secret", to=api.ALL_TENANTS)
        publications["a retracted broadcast"] = str(api.retract(gone).reference)
    with schema_context("acme"):
        reader, other = make_user("reader", pk=SAME), make_user("other", pk=2)
        make_user("unreachable", pk=4)
        administrator = make_user("administrator", pk=6, is_superuser=True)
        grant(reader, other)
        Group.objects.create(pk=SAME, name="Sales")
        for_other = Message.objects.create(pk=5, user=other, message="secret", level=INFO_PERSISTENT)
        Message.objects.create(pk=SAME, user=reader, message="for the reader", level=INFO_PERSISTENT, key="own")
        messages["somebody else's message"] = str(for_other.pk)
        publications |= {name: str(each.reference) for name, each in _not_readable().items()}
        shown = api.announce("for everyone", to=api.EVERYONE)
        publications["a later revision of an announcement"] = str(Reference(shown.pk, 2))
    query = re.search(r"undo=([^&]+)", undo["Location"])
    snapshot = re.search(r'name="snapshot" value="([^"]+)"', panel)
    assert query is not None
    assert snapshot is not None
    return Scenario(
        reader=reader,
        # Logging in is noted on the row.
        browser=browser_of(acme, reader),
        administrator=browser_of(acme, administrator),
        stranger=stranger,
        group_of_globex=group_of_globex,
        stranger_announcement=theirs,
        stranger_message=stranger_message,
        stranger_page=stranger_page,
        stranger_marked=marked,
        stranger_undo=query[1].replace("%3A", ":"),
        stranger_snapshot=snapshot[1],
        messages=messages,
        publications=publications,
        broadcast_elsewhere=elsewhere,
    )


def _not_readable() -> dict[str, Publication]:
    """Make announcements of acme that its reader cannot read."""
    now, later = timezone.now(), timezone.now() + timedelta(hours=1)
    expired = api.announce("secret", to=api.EVERYONE)
    Announcement.objects.filter(pk=expired.pk).update(publish_at=now - timedelta(hours=1), expires=now)
    return {
        "an announcement to a group that one is not in": api.announce("secret", to=Group.objects.get(pk=SAME)),
        "a scheduled announcement": api.announce("secret", to=api.EVERYONE, publish_at=later),
        "an expired announcement": expired,
        "a retracted announcement": api.retract(api.announce("secret", to=api.EVERYONE)),
    }


def dump(*leave_out: str) -> dict[str, Any]:
    """Return every row of every table, but for the sessions of whoever is logged in."""
    found = {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT schemaname, tablename FROM pg_tables WHERE schemaname = ANY(%s) AND tablename <> 'django_session'",
            [list(SCHEMAS_WATCHED)],
        )
        for schema, table in cursor.fetchall():
            if table not in leave_out:
                cursor.execute(f'SELECT t::text FROM "{schema}"."{table}" AS t ORDER BY 1')
                found[f"{schema}.{table}"] = cursor.fetchall()
    return found


@pytest.fixture
def nothing_changes(scenario: Scenario) -> Iterator[None]:
    """Compare what all organisations have, before and after."""
    before = dump()
    assert any("secret" in str(rows) for table, rows in before.items() if table.startswith("globex."))
    yield
    assert dump() == before


# Pages --------------------------------------------------------------------------------------------------------------

Answer = tuple[int, str]
Ask = Callable[[str], Answer]

MARKING = ("message_mark_read", "message_mark_unread", "message_acknowledge")
# What is asked for by no key: each has a test of its own below.
READING = ("inbox", "message_panel", "message_badge", "message_banners")
OTHERS = (*READING, "message_stream", "message_mark_all_read", "message_undo", "message_triage")
SENDING = ("message_sent", "sent_announcements")
COMPOSING = ("message_compose", "message_recipients")
ANNOUNCING = ("announcement", "announcement_edit", "announcement_retract")
ANNOUNCEMENTS = ("announcements", "announcement_new", "announcement_groups")
GRANTING = (("message_grants",), ("message_grant_remove",), ("message_why",), ("message_grant_people", "holder"))
BROADCASTING = ("broadcast", "broadcast_edit", "broadcast_retract", "broadcast_count")
BROADCASTS = ("broadcasts", "broadcast_new", "broadcast_organisations")
HEADERS: dict[str, dict[str, str]] = {
    "a form": {},
    "a script": {"x-requested-with": "XMLHttpRequest"},
    "JSON": {"accept": "application/json"},
}


def address(name: str, *args: Any) -> str:
    try:
        return reverse_page(name, *args)
    except NoReverseMatch:
        pytest.skip(f"There is no {name} here.")


def answer(response: Any) -> Answer:
    """Return what somebody could tell two answers apart by: without what is made up anew for each."""
    text = response.content.decode()
    return response.status_code, re.sub(r'(csrfmiddlewaretoken" value|number" value|data-mx-now)="[^"]*"', "", text)


def test_every_url_has_isolation_case() -> None:
    cases = {
        *MARKING,
        *OTHERS,
        *SENDING,
        "message_recall",
        *COMPOSING,
        *ANNOUNCING,
        *ANNOUNCEMENTS,
        *BROADCASTING,
        *BROADCASTS,
    }
    cases |= {name for name, *_args in GRANTING}
    assert set(names_in(urls.urlpatterns)) <= cases


def names_in(patterns: Any) -> Iterator[str]:
    for pattern in patterns:
        yield from names_in(pattern.url_patterns) if isinstance(pattern, URLResolver) else [pattern.name]


@pytest.mark.usefixtures("nothing_changes")
@pytest.mark.parametrize("headers", HEADERS.values(), ids=list(HEADERS))
@pytest.mark.parametrize("name", MARKING)
class TestMarking:
    def test_marking_views_return_404_for_messages_of_others(
        self, name: str, headers: dict[str, str], scenario: Scenario
    ) -> None:
        browser = scenario.browser
        for keys in (scenario.messages, scenario.publications):
            answers = {what: answer(browser.post(address(name, pk), headers=headers)) for what, pk in keys.items()}
            assert answers == dict.fromkeys(keys, answers["nowhere"])
            assert answers["nowhere"][0] == 404

    def test_marking_views_return_404_for_malformed_keys(
        self, name: str, headers: dict[str, str], scenario: Scenario
    ) -> None:
        browser = scenario.browser
        nowhere = answer(browser.post(address(name, str(NOWHERE)), headers=headers))
        for pk in ("0", "-1", "1e3", "\u0661", "9" * 40, "x" * 32 + "-1", "0" * 32 + "-0", "None"):
            assert answer(browser.post(address(name, pk), headers=headers)) == nowhere

    def test_views_treat_session_of_other_tenant_as_anonymous(
        self, name: str, headers: dict[str, str], scenario: Scenario, globex: Tenant, browser_of: BrowserOf
    ) -> None:
        browser, nobody = scenario.browser, browser_of(globex)
        for pk in [*scenario.messages.values(), *scenario.publications.values(), str(SAME)]:
            at_globex = browser.post(address(name, pk), headers={**headers, "host": "globex.localhost"})
            assert answer(at_globex) == answer(nobody.post(address(name, pk), headers=headers))
            assert at_globex.status_code == 403


class TestPages:
    @pytest.mark.usefixtures("nothing_changes")
    @pytest.mark.parametrize("name", READING)
    def test_reading_pages_show_no_messages_of_others(self, name: str, scenario: Scenario) -> None:
        browser = scenario.browser
        for query in ({}, {"after": scenario.stranger_page}, {"undo": scenario.stranger_undo}, {"kind": "broadcast"}):
            response = browser.get(address(name), query)
            assert response.status_code == 200
            assert "secret" not in response.content.decode()
            assert not (response.context or {}).get("undone")
        assert browser.get(address("message_badge")).json()["unread"] == 3

    @pytest.mark.usefixtures("nothing_changes")
    @pytest.mark.parametrize("name", [*OTHERS, *SENDING, *COMPOSING, *ANNOUNCEMENTS])
    def test_views_treat_session_of_other_tenant_as_anonymous(
        self, name: str, scenario: Scenario, globex: Tenant, browser_of: BrowserOf
    ) -> None:
        browser, nobody = scenario.browser, browser_of(globex)
        for method in ("get", "post"):
            at_globex = getattr(browser, method)(address(name), headers={"host": "globex.localhost"})
            assert answer(at_globex) == answer(getattr(nobody, method)(address(name)))
            assert at_globex.status_code in (302, 403, 405)

    @pytest.mark.usefixtures("nothing_changes")
    def test_undo_with_token_of_other_user_returns_400(self, scenario: Scenario) -> None:
        browser = scenario.browser
        theirs = answer(browser.post(address("message_undo"), {"undo": scenario.stranger_undo}))
        assert theirs == answer(browser.post(address("message_undo"), {"undo": "made up"}))
        assert theirs[0] == 400

    @pytest.mark.usefixtures("nothing_changes")
    @pytest.mark.parametrize("action", ["archive", "unarchive", "snooze", "unsnooze", "save", "unsave"])
    def test_triage_changes_nothing_of_others(self, scenario: Scenario, action: str) -> None:
        browser = scenario.browser
        for keys in (scenario.messages, scenario.publications):
            answers = {
                what: answer(browser.post(address("message_triage"), {action: pk, "when": "hour"}))
                for what, pk in keys.items()
            }
            assert answers == dict.fromkeys(keys, answers["nowhere"])
            assert answers["nowhere"][0] == 404
        for token in (scenario.stranger_snapshot, "made up"):
            assert browser.post(address("message_triage"), {action: "all", "snapshot": token}).status_code == 400

    @pytest.mark.usefixtures("nothing_changes")
    def test_mark_all_read_with_snapshot_of_other_user_returns_400(self, scenario: Scenario) -> None:
        browser = scenario.browser
        theirs = answer(browser.post(address("message_mark_all_read"), {"snapshot": scenario.stranger_snapshot}))
        assert theirs == answer(browser.post(address("message_mark_all_read"), {"snapshot": "made up"}))
        assert theirs[0] == 400

    def test_mark_all_read_changes_messages_of_own_user_only(self, scenario: Scenario) -> None:
        before = dump()
        assert scenario.browser.post(address("message_mark_all_read")).status_code == 302
        after = dump()
        assert {table for table in before if before[table] != after[table]} == {
            "acme.messages_extends_message",
            "acme.messages_extends_receipt",
        }
        with schema_context("acme"):
            assert set(Message.objects.exclude(read_at=None).values_list("user_id", flat=True)) == {SAME}


class TestSent:
    @pytest.fixture
    def keys(self, scenario: Scenario) -> dict[str, str]:
        """Return the keys of messages that the reader of acme has not sent."""
        with schema_context("globex"):
            hidden = type(scenario.stranger).objects.get(pk=THEIRS)
            sent = Message.objects.create(
                pk=THEIRS + 1, user=hidden, sender=scenario.stranger, message="secret", level=INFO_PERSISTENT
            )
            api.announce("secret", to=api.EVERYONE, sender=None)
            Announcement.objects.update(sender=scenario.stranger)
        with schema_context("acme"):
            reader, other = (type(scenario.reader).objects.get(pk=pk) for pk in (SAME, 2))
            theirs = Message.objects.create(pk=8, user=reader, sender=other, message="secret", level=INFO_PERSISTENT)
            Announcement.objects.update(sender=other)
        return {
            **scenario.messages,
            "a message that the user of globex with the same key has sent": str(sent.pk),
            "a message that somebody else has sent": str(theirs.pk),
            "a received message": str(SAME),
        }

    def test_recall_of_what_others_have_sent_returns_404_and_changes_nothing(
        self, scenario: Scenario, keys: dict[str, str]
    ) -> None:
        before = dump()
        for browser in (scenario.browser, scenario.administrator):
            for method in ("get", "post"):
                answers = {
                    what: answer(getattr(browser, method)(address("message_recall", int(pk))))
                    for what, pk in keys.items()
                }
                assert answers == dict.fromkeys(keys, answers["nowhere"])
                assert answers["nowhere"][0] == 404
        assert dump() == before

    @pytest.mark.parametrize("name", SENDING)
    def test_sent_pages_show_nothing_of_others(self, scenario: Scenario, keys: dict[str, str], name: str) -> None:
        before = dump()
        for browser in (scenario.browser, scenario.administrator):
            response = browser.get(address(name))
            assert (response.status_code, "secret" in response.content.decode()) == (200, False)
            assert "for everyone" not in response.content.decode()
        assert dump() == before

    def test_recall_treats_session_of_other_tenant_as_anonymous(
        self, scenario: Scenario, keys: dict[str, str], globex: Tenant, browser_of: BrowserOf
    ) -> None:
        before, nobody = dump(), browser_of(globex)
        for method in ("get", "post"):
            for pk in keys.values():
                path = address("message_recall", int(pk))
                at_globex = getattr(scenario.browser, method)(path, headers={"host": "globex.localhost"})
                assert answer(at_globex) == answer(getattr(nobody, method)(path))
                assert at_globex.status_code == 302
        assert dump() == before


@pytest.mark.usefixtures("nothing_changes")
class TestComposing:
    def test_compose_answers_unreachable_recipients_as_missing(self, scenario: Scenario) -> None:
        browser = scenario.browser
        steps = ("", "test", "send", "search", "back")
        allowed = browser.post(address("message_compose"), {"message": "Hello", "level": "19", "people": ["2"]})
        assert (allowed.status_code, "other" in allowed.content.decode()) == (200, True)
        fields = {"people": (4, THEIRS, NOWHERE), "groups": (SAME, THEIRS, NOWHERE)}
        for step in steps:
            for name, keys in fields.items():
                answers = set()
                for key in keys:
                    values = {"message": "Hello", "level": "19", "step": step, "number": str(uuid4()), name: [str(key)]}
                    status, text = answer(browser.post(address("message_compose"), values))
                    answers.add((status, text.replace(str(values["number"]), "").replace(f'value="{key}"', "")))
                assert len(answers) == 1
                assert "secret" not in answers.pop()[1]

    def test_recipient_search_finds_no_unreachable_people_or_groups(self, scenario: Scenario) -> None:
        browser = scenario.browser
        answers = [
            answer(browser.get(address("message_recipients"), {"q": name, "groups": "1"}))
            for name in ("nobody is called so", "stranger", "hidden", "unreachable", "Sales", "globex.example")
        ]
        assert answers == [answers[0]] * len(answers)


@pytest.mark.usefixtures("nothing_changes")
class TestPublications:
    """An administrator of acme may do all that can be done with acme's own."""

    ENTERED = {"message": "Hello", "level": "19", "to": "everybody", "step": "publish", "version": "x"}

    def answers(self, browser: Client, name: str, pk: Any) -> list[Answer]:
        """Ask for a page and send its form; return the answers without the key that was asked for."""
        asked = [browser.get(address(name, pk)), browser.post(address(name, pk), self.ENTERED)]
        return [(status, text.replace(str(pk), "")) for status, text in map(answer, asked)]

    @pytest.mark.parametrize("name", ANNOUNCING)
    def test_announcement_views_return_404_for_other_tenant(self, name: str, scenario: Scenario) -> None:
        for browser in (scenario.browser, scenario.administrator):
            theirs = self.answers(browser, name, scenario.stranger_announcement.pk)
            assert theirs == self.answers(browser, name, uuid4())
            assert {status for status, _text in theirs} <= {404, 405}

    @pytest.mark.parametrize("name", ANNOUNCING)
    def test_announcement_views_return_404_for_readers(self, name: str, scenario: Scenario) -> None:
        with schema_context("acme"):
            keys = list(Announcement.objects.values_list("pk", flat=True))
        nowhere = self.answers(scenario.browser, name, uuid4())
        assert [self.answers(scenario.browser, name, pk) for pk in keys] == [nowhere] * len(keys)

    @pytest.mark.parametrize("name", ANNOUNCEMENTS)
    def test_announcement_pages_without_permission_return_404(self, name: str, scenario: Scenario) -> None:
        assert scenario.browser.get(address(name)).status_code == 404
        assert scenario.browser.post(address(name), self.ENTERED).status_code in (404, 405)

    def test_announcement_new_refuses_groups_of_other_tenant(self, scenario: Scenario) -> None:
        answers = set()
        for key in (THEIRS, NOWHERE):
            values = self.ENTERED | {"to": "picked", "picked": [key], "number": str(uuid4())}
            answers.add(answer(scenario.administrator.post(address("announcement_new"), values)))
        assert [status for status, _text in answers] == [400]
        assert scenario.administrator.get(address("announcement_groups"), {"q": "Hidden"}).json()["results"] == []

    def test_broadcast_pages_return_404_outside_platform(
        self, scenario: Scenario, acme: Tenant, browser_of: BrowserOf
    ) -> None:
        for browser in (scenario.browser, scenario.administrator, browser_of(acme)):
            for name in BROADCASTS:
                assert browser.get(address(name)).status_code == 404
                assert browser.post(address(name), self.ENTERED).status_code == 404
            for name in BROADCASTING:
                theirs = self.answers(browser, name, scenario.broadcast_elsewhere.pk)
                assert theirs == self.answers(browser, name, uuid4())
                assert {status for status, _text in theirs} == {404}


@pytest.mark.usefixtures("nothing_changes")
@pytest.mark.parametrize("page", GRANTING, ids=lambda page: page[0])
class TestGranting:
    VALUES = {"holder": f"user:{SAME}", "target": "user:2", "step": "ask", "q": "other", "search": "other"}

    def test_grant_pages_without_permission_return_403_without_names(
        self, page: tuple[str, ...], scenario: Scenario
    ) -> None:
        for method in ("get", "post"):
            status, text = answer(getattr(scenario.browser, method)(address(*page), self.VALUES))
            assert (status, "other@" in text) == (403, False)

    def test_views_treat_session_of_other_tenant_as_anonymous(
        self, page: tuple[str, ...], scenario: Scenario, globex: Tenant, browser_of: BrowserOf
    ) -> None:
        nobody = browser_of(globex)
        for method in ("get", "post"):
            at_globex = getattr(scenario.browser, method)(
                address(*page), self.VALUES, headers={"host": "globex.localhost"}
            )
            assert answer(at_globex) == answer(getattr(nobody, method)(address(*page), self.VALUES))
            assert at_globex.status_code in (302, 403, 405)


@pytest.mark.usefixtures("nothing_changes")
class TestAdministration:
    """The admin of an organisation, for a superuser of it and for a clerk who may view messages."""

    @pytest.fixture
    def staff(self, scenario: Scenario, acme: Tenant, make_user: MakeUser, browser_of: BrowserOf) -> list[Client]:
        with schema_context("acme"):
            root = make_user("root", pk=7, is_staff=True, is_superuser=True)
            clerk = make_user("clerk", pk=8, is_staff=True)
            clerk.user_permissions.set(Permission.objects.filter(codename__in=["view_message", "view_user"]))
        return [browser_of(acme, each) for each in (root, clerk)]

    @pytest.fixture
    def nothing_changes(self, staff: list[Client]) -> Iterator[None]:
        before = dump()
        yield
        assert dump() == before

    @pytest.mark.parametrize("page", ["change", "history", "delete", "reveal"])
    def test_admin_message_pages_answer_keys_of_other_tenant_as_missing(
        self, scenario: Scenario, staff: list[Client], page: str
    ) -> None:
        for browser in staff:
            answers = set()
            for key in (THEIRS, NOWHERE):
                for method in ("get", "post"):
                    found = getattr(browser, method)(f"/admin/messages_extends/message/{key}/{page}/")
                    status, text = answer(found)
                    answers.add((method, status, text.replace(str(key), "")))
            assert len(answers) == 2
            assert not [text for _method, _status, text in answers if "secret" in text]

    def test_admin_message_pages_hide_message_text(self, scenario: Scenario, staff: list[Client]) -> None:
        for browser in staff:
            for page in ("message/", f"message/{SAME}/change/", f"message/{SAME}/history/", "message/?q=reader"):
                found = browser.get(f"/admin/messages_extends/{page}")
                assert (found.status_code, "for the reader" in found.text) == (200, False)

    def test_admin_user_and_group_pages_answer_keys_of_other_tenant_as_missing(
        self, scenario: Scenario, staff: list[Client]
    ) -> None:
        for browser in staff:
            for page in ("people/user/{}/change/", "people/user/{}/password/", "auth/group/{}/change/"):
                answers = [browser.get(f"/admin/{page.format(key)}").status_code for key in (THEIRS, NOWHERE)]
                assert answers[0] == answers[1]
                assert answers[0] in (302, 403, 404)


# Functions ----------------------------------------------------------------------------------------------------------

Use = Callable[[Scenario], Any]


def request_of(user: Any) -> HttpRequest:
    """Return a request at acme's host."""
    request: Any = RequestFactory().get("/")
    session: SessionBase = SessionStore()
    request.session, request.user, request.tenant = session, user, SimpleNamespace(schema_name="acme")
    request._messages = FallbackStorage(request)
    return request


def here(scenario: Scenario) -> Any:
    return get_user_model()._default_manager.get(pk=SAME)


def add_with(add: Callable[..., Any], *level: int) -> list[Use]:
    """Return every way to use one of the functions that add a message to a request."""
    return [
        lambda scenario: add(request_of(here(scenario)), *level, "from acme", user=scenario.stranger),
        lambda scenario: add(request_of(scenario.stranger), *level, "from acme"),
        lambda scenario: add(request_of(scenario.stranger), *level, "from acme", user=here(scenario)),
    ]


def publishes(publish: Callable[..., Any]) -> list[Use]:
    return [
        lambda scenario: publish(scenario.stranger_announcement),
        lambda scenario: publish(scenario.stranger_announcement, sender=here(scenario)),
        lambda scenario: publish(scenario.stranger_announcement, sender=scenario.stranger),
        lambda scenario: publish(Announcement.objects.get(message="for everyone"), sender=scenario.stranger),
        lambda scenario: publish(scenario.broadcast_elsewhere),
        lambda scenario: publish(scenario.broadcast_elsewhere, sender=here(scenario)),
        lambda scenario: publish(scenario.broadcast_elsewhere, sender=scenario.stranger),
    ]


CASES: dict[str, list[Use]] = {
    "Inbox": [lambda scenario: api.Inbox(scenario.stranger)],
    "inbox": [lambda scenario: api.inbox(scenario.stranger)],
    "SentMessages": [lambda scenario: api.SentMessages(scenario.stranger)],
    "sent": [lambda scenario: api.sent(scenario.stranger)],
    "send": [
        lambda scenario: api.send(scenario.stranger, "from acme"),
        lambda scenario: api.send([scenario.stranger], "from acme"),
        lambda scenario: api.send([here(scenario), scenario.stranger], "from acme"),
        lambda scenario: api.send(scenario.group_of_globex, "from acme"),
        lambda scenario: api.send(here(scenario), "from acme", sender=scenario.stranger),
        lambda scenario: api.send(scenario.stranger, "from acme", sender=scenario.stranger),
    ],
    "asend": [
        lambda scenario: async_to_sync(api.asend)(scenario.stranger, "from acme", schema="acme"),
        lambda scenario: async_to_sync(api.asend)(scenario.group_of_globex, "from acme", schema="acme"),
    ],
    "announce": [
        lambda scenario: api.announce("from acme", to=scenario.group_of_globex),
        lambda scenario: api.announce("from acme", to=[scenario.group_of_globex]),
        lambda scenario: api.announce("from acme", to=api.EVERYONE, sender=scenario.stranger),
    ],
    "broadcast": [
        lambda scenario: api.broadcast("from acme", to=api.ALL_TENANTS),
        lambda scenario: api.broadcast("from acme", to=api.ALL_TENANTS, sender=here(scenario)),
        lambda scenario: api.broadcast("from acme", to=api.ALL_TENANTS, sender=scenario.stranger),
    ],
    "revise": publishes(lambda *args, **options: api.revise(*args, **options, message="changed")),
    "retract": publishes(api.retract),
    "cancel": [],
    "add_message": add_with(api.add_message, INFO_PERSISTENT),
    "aadd_message": add_with(async_to_sync(api.aadd_message), INFO_PERSISTENT),
    "get_messages": [lambda scenario: list(api.get_messages(request_of(scenario.stranger)))],
    "aget_messages": [lambda scenario: list(async_to_sync(api.aget_messages)(request_of(scenario.stranger)))],
    "aunread_count": [lambda scenario: async_to_sync(api.aunread_count)(request_of(scenario.stranger))],
    "ainbox": [lambda scenario: async_to_sync(api.ainbox)(request_of(scenario.stranger), Inbox.page)],
    **{
        name: add_with(getattr(api, name))
        for name in api.__all__
        if re.fullmatch("(add_)?(persistent|persistant)_[a-z]+", name)
    },
}
# They take neither users nor rows of ours. A sticky message is for the request that shows it.
NO_OBJECTS = {"ALL_TENANTS", "EVERYONE", "MessageFailure"} | {
    f"add_sticky_{name}" for name in ("debug", "info", "success", "warning", "error")
}


def test_every_public_api_name_has_isolation_case() -> None:
    assert set(api.__all__) == {*CASES, *NO_OBJECTS}
    assert issubclass(api.MessageFailure, MessageFailure)


@pytest.mark.usefixtures("nothing_changes")
@pytest.mark.parametrize("name", CASES)
def test_api_refuses_objects_of_other_tenant(name: str, scenario: Scenario, settings: Any) -> None:
    settings.MESSAGE_LEVEL = 0
    for use in CASES[name]:
        with schema_context("acme"), pytest.raises((WrongTenant, PermissionDenied)):
            use(scenario)


@pytest.mark.usefixtures("nothing_changes")
def test_cancel_ignores_key_of_other_tenant(scenario: Scenario) -> None:
    with schema_context("acme"):
        assert api.cancel("key") == 0


@pytest.mark.usefixtures("nothing_changes")
def test_recall_with_key_of_other_tenant_raises_no_such_message(scenario: Scenario) -> None:
    with schema_context("acme"):
        for act in (api.SentMessages.get, api.SentMessages.recall):
            for key in (SAME, THEIRS, NOWHERE):
                with pytest.raises(NoSuchMessage):
                    act(api.sent(scenario.reader), key)


@pytest.mark.usefixtures("nothing_changes")
def test_inbox_marking_with_key_of_other_tenant_raises_no_such_message(scenario: Scenario) -> None:
    with schema_context("acme"):
        for act in (Inbox.mark_read, Inbox.mark_unread, Inbox.acknowledge):
            for key in [*scenario.messages.values(), *scenario.publications.values()]:
                with pytest.raises(NoSuchMessage):
                    act(Inbox(scenario.reader), key)
        assert Inbox(scenario.reader).undo(scenario.stranger_marked) == 0
        entries = Inbox(scenario.reader).page(scenario.stranger_page).entries
    assert not [each for each in entries if "secret" in str(each)]


@pytest.mark.usefixtures("nothing_changes")
@pytest.mark.parametrize("act", ["save", "delete", "refresh_from_db"])
def test_models_refuse_instances_of_other_tenant(scenario: Scenario, act: str) -> None:
    for row in (scenario.stranger_message, scenario.stranger_announcement):
        with schema_context("acme"), pytest.raises(WrongTenant):
            getattr(row, act)()


@pytest.mark.usefixtures("nothing_changes")
def test_send_with_recipient_of_other_tenant_writes_nothing(scenario: Scenario) -> None:
    """All or nothing: one who is no one here spoils the whole."""
    with schema_context("acme"), suppress(MessagesExtendsError):
        api.send((each for each in (here(scenario), scenario.stranger)), "from acme")
