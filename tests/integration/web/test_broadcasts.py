"""The console of broadcasts: only the platform's staff get in; what they publish, change, retract and count."""

import re
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_tenants.utils import get_tenant_model, schema_context

from messages_extends.api import ALL_TENANTS, broadcast, inbox, retract, revise
from messages_extends.broadcasts.models import Broadcast, BroadcastCount, BroadcastRecord
from messages_extends.constants import INFO_PERSISTENT
from messages_extends.inbox import broadcast_counts
from messages_extends.inbox.broadcast_counts import count_readers
from messages_extends.models import Message, Submission
from messages_extends.models.publication import State
from messages_extends.web import broadcasts, search
from tenants.models import Tenant
from tests.conftest import SCHEMAS
from tests.factories import BrowserOf, MakeUser
from tests.html import content_of, text_of

LIST, NEW = "/messages/broadcasts/", "/messages/broadcasts/new/"
ORGANISATIONS = "/messages/broadcasts/organisations/"


@pytest.fixture
def staff(platform: Any, make_user: MakeUser, browser_of: BrowserOf) -> Callable[..., Client]:
    """Make a browser of somebody of the platform who may do these things with broadcasts."""

    def make(*actions: str) -> Client:
        with schema_context("platform"):
            user = make_user("olivia")
            codenames = [f"{action}_broadcast" for action in actions]
            user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
        return browser_of(platform, user)

    return make


@pytest.fixture
def operator(staff: Any) -> Client:
    browser: Client = staff("view", "add", "change")
    return browser


@pytest.fixture
def readers(database: None, make_user: MakeUser) -> dict[str, Any]:
    made = {}
    for schema in SCHEMAS:
        with schema_context(schema):
            made[schema] = make_user("reader")
    return made


@pytest.fixture
def written(database: None) -> Broadcast:
    return broadcast("Maintenance tonight", to=ALL_TENANTS, author="The platform's team")


def page_of(publication: Broadcast, page: str = "") -> str:
    return f"{LIST}{publication.pk}/{page}"


def pages_of(publication: Broadcast) -> list[tuple[str, str]]:
    changing = [NEW, *(page_of(publication, page) for page in ("edit/", "retract/"))]
    reading = [LIST, ORGANISATIONS, page_of(publication)]
    return [
        *(("get", address) for address in (*reading, *changing)),
        *(("post", address) for address in (*changing, page_of(publication, "count/"))),
    ]


def answers(browser: Client, publication: Broadcast) -> set[int]:
    return {getattr(browser, method)(address).status_code for method, address in pages_of(publication)}


def entered(**other: Any) -> dict[str, Any]:
    values = {"to": "everybody", "message": "Hello", "level": INFO_PERSISTENT, "url": "", "author": "The team"}
    return values | other


def published(browser: Client, **other: Any) -> Any:
    return browser.post(NEW, entered(step="publish", number=str(uuid.uuid4()), **other))


def unread(readers: dict[str, Any]) -> set[str]:
    """Return the organisations whose reader has something unread."""
    found = set()
    for schema, reader in readers.items():
        with schema_context(schema):
            found |= {schema} if inbox(reader).unread_count() else set()
    return found


def read(written: Broadcast, readers: dict[str, Any], *schemas: str) -> None:
    for schema in schemas:
        with schema_context(schema):
            inbox(readers[schema]).mark_read(str(written.reference))


def add_organisations(count: int) -> list[Any]:
    connection.set_schema_to_public()
    model = get_tenant_model()
    return [
        model.objects.create(schema_name=f"more{n}", name=f"More {n:03}", ready_at=timezone.now()) for n in range(count)
    ]


class TestAccess:
    def test_broadcast_pages_outside_platform_return_404(
        self, written: Broadcast, acme: Tenant, make_user: MakeUser, browser_of: BrowserOf
    ) -> None:
        with schema_context("acme"):
            root = make_user("root", is_superuser=True)
            staff = make_user("staff")
            staff.user_permissions.set(Permission.objects.filter(content_type__app_label="broadcasts"))
        for user in (root, staff, None):
            assert answers(browser_of(acme, user), written) == {404}
        written.refresh_from_db()
        assert (written.state(), BroadcastCount.objects.count()) == (State.LIVE, 0)

    def test_broadcast_pages_without_permission_return_404(self, written: Broadcast, staff: Any) -> None:
        assert answers(staff(), written) == {404}

    def test_broadcast_pages_without_platform_setting_return_404(
        self, written: Broadcast, operator: Client, settings: Any
    ) -> None:
        settings.MESSAGES_EXTENDS = {}
        assert answers(operator, written) == {404}

    def test_broadcast_pages_without_login_redirect_to_login(
        self, written: Broadcast, platform: Any, browser_of: BrowserOf
    ) -> None:
        browser = browser_of(platform)
        for method, address in pages_of(written):
            answer = getattr(browser, method)(address)
            if address == ORGANISATIONS:
                assert answer.status_code == 403
            else:
                assert answer["Location"] == f"/login/?next={address}"

    def test_broadcast_pages_on_public_host_return_404(self, written: Broadcast, settings: Any) -> None:
        settings.PUBLIC_SCHEMA_URLCONF = "config.urls"
        assert answers(Client(headers={"host": "localhost"}), written) == {404}

    def test_broadcast_view_permission_allows_viewing_and_counting_only(self, written: Broadcast, staff: Any) -> None:
        browser = staff("view")
        assert browser.get(LIST).status_code == browser.get(page_of(written)).status_code == 200
        assert browser.post(page_of(written, "count/")).status_code == 302
        for method, address in pages_of(written):
            if address in (NEW, ORGANISATIONS) or address.endswith(("edit/", "retract/")):
                assert getattr(browser, method)(address).status_code == 403
        text = content_of(browser.get(LIST)) + content_of(browser.get(page_of(written)))
        assert not any(f'{page}"' in text for page in ("new/", "edit/", "retract/"))

    def test_broadcast_add_permission_hides_figures_and_counting(self, written: Broadcast, staff: Any) -> None:
        browser = staff("add")
        assert published(browser).status_code == 302
        assert "How many have read it" not in text_of(browser.get(page_of(written)))
        connection.set_schema_to_public()
        count_readers(written)
        for page in (LIST, page_of(written)):
            assert "have read it" not in content_of(browser.get(page))
        assert "not counted" not in content_of(browser.get(LIST))
        assert browser.post(page_of(written, "count/")).status_code == 403
        assert browser.post(page_of(written, "retract/")).status_code == 403

    def test_broadcast_pages_of_missing_broadcast_return_404(self, operator: Client) -> None:
        for page in ("", "edit/", "retract/"):
            assert operator.get(f"{LIST}{uuid.uuid4()}/{page}").status_code == 404
        assert operator.post(f"{LIST}{uuid.uuid4()}/count/").status_code == 404

    def test_navigation_links_to_broadcasts_for_operator(self, operator: Client) -> None:
        assert f'href="{LIST}"' in text_of(operator.get("/messages/"))


class TestWriting:
    def test_broadcast_to_all_tenants_reaches_every_reader(self, operator: Client, readers: Any) -> None:
        text = text_of(operator.post(NEW, entered(step="look")))
        assert "This reaches 3 organisations: everybody in all of them" in text
        assert unread(readers) == set()
        answer = published(operator)
        written = Broadcast.objects.get()
        assert answer["Location"] == page_of(written)
        assert unread(readers) == set(SCHEMAS)
        assert (written.author, written.audience) == ("The team", "all")
        assert BroadcastRecord.objects.get().actor_name == "olivia"

    def test_broadcast_preview_shows_author_name(self, operator: Client) -> None:
        html = operator.post(NEW, entered(step="look")).content.decode()
        assert '<span class="mx-sender"><bdi>The team</bdi>:</span>' in html

    def test_broadcast_to_chosen_tenants_reaches_those_only(
        self, operator: Client, readers: Any, acme: Tenant, globex: Tenant
    ) -> None:
        chosen = {"to": "picked", "picked": [acme.pk, globex.pk]}
        assert "This reaches 2 organisations: Acme, Globex" in text_of(
            operator.post(NEW, entered(step="look", **chosen))
        )
        published(operator, **chosen)
        assert unread(readers) == {"acme", "globex"}

    def test_broadcast_shows_author_instead_of_operator(
        self, operator: Client, acme: Tenant, readers: Any, browser_of: BrowserOf
    ) -> None:
        assert 'name="author" value="Platform"' in text_of(operator.get(NEW))
        published(operator, author=" The\nteam ")
        text = text_of(browser_of(acme, readers["acme"]).get("/messages/"))
        assert "The team" in text
        assert "olivia" not in text

    @pytest.mark.parametrize(
        ("field", "value", "error"),
        [
            ("author", " ", "required"),
            ("author", "x" * 201, "at most 200"),
            ("author", "a\0", "Null characters"),
            ("picked", [], "Choose at least one"),
            ("picked", ["0", "x"], "can no longer be chosen"),
            ("picked", [str(n) for n in range(501)], "at most 500"),
            ("message", "", "Enter a message"),
        ],
    )
    def test_broadcast_form_with_invalid_input_returns_400_and_keeps_input(
        self, operator: Client, field: str, value: Any, error: str
    ) -> None:
        to = "picked" if field == "picked" else "everybody"
        answer = published(operator, **{"to": to, "url": "/kept/", field: value})
        assert answer.status_code == 400
        assert error in text_of(answer)
        assert "/kept/" in text_of(answer)
        assert not Broadcast.objects.exists()

    def test_broadcast_form_does_not_offer_public_schema(self, operator: Client) -> None:
        connection.set_schema_to_public()
        public = get_tenant_model().objects.create(schema_name="public", name="Public")
        assert "Public" not in text_of(operator.get(NEW))
        assert published(operator, to="picked", picked=[public.pk]).status_code == 400

    def test_broadcast_form_finds_many_tenants_by_search(self, operator: Client, acme: Tenant) -> None:
        add_organisations(200)
        text = text_of(operator.get(NEW))
        assert "More 005" not in text
        answer = operator.post(NEW, entered(step="search", q="more 005", to="picked", picked=[acme.pk]))
        text = text_of(answer)
        assert "More 005" in text
        assert f'value="{acme.pk}" checked' in text
        names = [each["text"] for each in operator.get(ORGANISATIONS, {"q": "MORE 007"}).json()["results"]]
        assert names == ["More 007"]
        assert operator.get(ORGANISATIONS, {"q": "more"}).json()["more"] is True

    def test_broadcast_accepts_hundreds_of_tenants(self, operator: Client) -> None:
        made = add_organisations(300)
        published(operator, to="picked", picked=[tenant.pk for tenant in made])
        assert Broadcast.objects.get().tenants.count() == 300
        assert "More 000, More 001, More 002 and 297 more" in text_of(operator.get(LIST))

    def test_broadcast_publish_submitted_twice_publishes_once(self, operator: Client) -> None:
        number = str(uuid.uuid4())
        for _ in range(2):
            operator.post(NEW, entered(step="publish", number=number))
        assert Broadcast.objects.count() == 1

    def test_broadcast_publish_of_retracted_submission_publishes_nothing(self, operator: Client, readers: Any) -> None:
        form = entered(step="publish", number=str(uuid.uuid4()))
        operator.post(NEW, form)
        with schema_context("public"):
            retract(Broadcast.objects.get())
        answer = operator.post(NEW, form, follow=True)
        assert "This has already ended." in text_of(answer)
        assert Broadcast.objects.count() == 1
        assert unread(readers) == set()
        with schema_context("platform"):
            assert Submission.objects.count() == 1

    def test_broadcast_failed_publish_can_be_resubmitted(
        self, operator: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        form = entered(step="publish", number=str(uuid.uuid4()), message="Kept")

        def late(**options: Any) -> None:
            broadcast(**options | {"expires": timezone.now() - timedelta(minutes=1)})

        def unwelcome(*_args: Any, **_options: Any) -> None:
            raise PermissionDenied("You may not.")

        with monkeypatch.context() as patch:
            for act, error in ((late, "a time has passed"), (unwelcome, "You may not.")):
                patch.setattr(broadcasts, "broadcast", act)
                answer = operator.post(NEW, form)
                assert answer.status_code == 400
                assert error in text_of(answer)
                assert "Kept" in text_of(answer)
        assert operator.post(NEW, form).status_code == 302
        assert Broadcast.objects.count() == 1

    def test_broadcast_test_step_sends_message_to_self_only(self, operator: Client) -> None:
        assert "A test was sent to you alone" in text_of(operator.post(NEW, entered(step="test")))
        assert not Broadcast.objects.exists()
        with schema_context("platform"):
            assert str(Message.objects.get().user) == "olivia"


def test_search_organisations_without_name_field_uses_schema_names(
    acme: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "ORGANISATION_NAME", "nickname")
    assert [search.name_of(each) for each in search.search_organisations("ACM")] == ["acme"]


class TestChanging:
    def form(self, browser: Client, written: Broadcast) -> dict[str, Any]:
        html = browser.get(page_of(written, "edit/")).content.decode()
        found = {name: re.search(rf'name="{name}" value="([^"]*)"', html) for name in ("version", "expires")}
        values = {name: match[1] for name, match in found.items() if match}
        return entered(**values, again="quietly")

    def test_broadcast_edit_is_visible_in_every_tenant(
        self, operator: Client, written: Broadcast, readers: Any, acme: Tenant, browser_of: BrowserOf
    ) -> None:
        read(written, readers, "acme", "globex")
        operator.post(page_of(written, "edit/"), self.form(operator, written) | {"message": "Corrected"})
        assert unread(readers) == {"platform"}
        assert "Corrected" in text_of(browser_of(acme, readers["acme"]).get("/messages/"))
        written.refresh_from_db()
        operator.post(page_of(written, "edit/"), self.form(operator, written) | {"again": "again"})
        assert unread(readers) == set(SCHEMAS)
        assert Broadcast.objects.get().author == "The platform's team"

    def test_broadcast_edit_conflict_or_retraction_returns_409_and_keeps_text(
        self, operator: Client, written: Broadcast
    ) -> None:
        form = self.form(operator, written) | {"message": "Mine"}
        connection.set_schema_to_public()
        revise(written, message="Theirs")
        answer = operator.post(page_of(written, "edit/"), form)
        assert answer.status_code == 409
        assert "Theirs" in content_of(answer)
        assert "Mine" in content_of(answer)
        connection.set_schema_to_public()
        retract(written)
        answer = operator.post(page_of(written, "edit/"), form)
        assert answer.status_code == 409
        assert "Mine" in content_of(answer)
        assert Broadcast.objects.get().message == "Theirs"

    def test_broadcast_retract_page_asks_and_hides_broadcast_everywhere(
        self, operator: Client, written: Broadcast, readers: Any
    ) -> None:
        assert "from every organisation" in text_of(operator.get(page_of(written, "retract/")))
        assert unread(readers) == set(SCHEMAS)
        operator.post(page_of(written, "retract/"))
        assert unread(readers) == set()
        assert "retracted from every organisation" in text_of(operator.get(LIST))


class TestList:
    def test_broadcast_list_fetches_three_tenant_names_per_broadcast(self, operator: Client, acme: Tenant) -> None:
        made = add_organisations(30)
        broadcast("To few", to=acme)
        few, _names = self.fetched(operator)
        for number in range(5):
            broadcast(f"To many {number}", to=made)
        many, names = self.fetched(operator)
        assert many == few
        assert names == [3] * 5 + [1]
        text = content_of(operator.get(LIST))
        assert "To Acme" in text
        assert text.count("More 000, More 001, More 002 and 27 more") == 5

    def fetched(self, operator: Client) -> tuple[int, list[int]]:
        """Return the number of queries of the list, and how many organisations it holds of each broadcast."""
        with CaptureQueriesContext(connection) as captured:
            answer = operator.get(LIST)
        return len(captured), [len(each.named) for each in answer.context["publications"]]

    @pytest.mark.parametrize("state", State.values)
    def test_broadcast_list_tab_shows_one_state(self, operator: Client, database: None, state: str) -> None:
        made = {name: broadcast(f"One {name}", to=ALL_TENANTS) for name in ("live", "retracted", "expired")}
        broadcast("One scheduled", to=ALL_TENANTS, publish_at=timezone.now() + timedelta(days=1))
        retract(made["retracted"])
        past = timezone.now() - timedelta(days=2)
        Broadcast.objects.filter(pk=made["expired"].pk).update(publish_at=past, expires=past + timedelta(days=1))
        text = content_of(operator.get(LIST, {"state": state}))
        assert {name for name in State.values if f"One {name}" in text} == {state}

    def test_broadcast_list_shows_counts_of_current_revision_only(
        self, operator: Client, written: Broadcast, readers: Any
    ) -> None:
        assert "Readers not counted yet" in text_of(operator.get(LIST))
        read(written, readers, "acme")
        connection.set_schema_to_public()
        count_readers(written)
        assert "1 of 4 have read it" in text_of(operator.get(LIST))
        connection.set_schema_to_public()
        revise(written, show_again=True)
        assert "Readers not counted yet" in text_of(operator.get(LIST))

    def test_broadcast_list_query_count_is_constant(self, operator: Client, acme: Tenant, globex: Tenant) -> None:
        def queries() -> int:
            with CaptureQueriesContext(connection) as captured:
                operator.get(LIST)
            return len(captured)

        def write() -> None:
            connection.set_schema_to_public()
            count_readers(broadcast("Hello", to=[acme, globex]))

        write()
        operator.get(LIST)
        few = queries()
        for _ in range(8):
            write()
        assert queries() == few


class TestCounting:
    @pytest.fixture
    def _one_a_step(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let a step have time for one organisation only."""
        monkeypatch.setattr(
            broadcasts,
            "count_readers",
            lambda *args, **options: broadcast_counts.count_readers(*args, seconds=0, **options),
        )

    def count(self, browser: Client, written: Broadcast, start: str = "") -> tuple[Any, str]:
        """Press the button; return the page that it leads to, and the round that this page would go on with."""
        answer = browser.post(page_of(written, "count/"), {"round": start}, follow=True)
        found = re.search(r'name="round" value="([^"]*)"', answer.content.decode())
        assert found is not None
        return answer, found[1]

    def test_broadcast_page_counts_nothing_before_request(self, operator: Client, written: Broadcast) -> None:
        assert "Not counted yet" in text_of(operator.get(page_of(written)))
        assert not BroadcastCount.objects.exists()
        assert operator.get(page_of(written, "count/")).status_code == 405

    def test_broadcast_count_shows_readers_per_tenant_and_time(
        self, operator: Client, written: Broadcast, readers: Any
    ) -> None:
        read(written, readers, "acme", "globex")
        answer, start = self.count(operator, written)
        text = content_of(answer)
        assert start == ""
        assert "2 of 4 have read it" in text
        assert "All organisations are counted, as of" in text
        assert "Count again" in text
        rows = re.findall(r"<bdi>(\w+)</bdi></th> <td>.*?<span>(\d of \d) have read it", text)
        assert rows == [("Acme", "1 of 1"), ("Globex", "1 of 1"), ("Platform", "0 of 2")]

    @pytest.mark.usefixtures("_one_a_step")
    def test_broadcast_count_continues_in_steps_and_shows_progress(self, operator: Client, written: Broadcast) -> None:
        start, said = "", []
        for _ in SCHEMAS:
            answer, start = self.count(operator, written, start)
            said += re.findall(r"Counting: (\d) of 3|(All) organisations are", content_of(answer))
            assert ("data-mx-more" in content_of(answer)) == bool(start)
        assert said == [("1", ""), ("2", ""), ("", "All")]

    @pytest.mark.usefixtures("_one_a_step")
    def test_broadcast_recount_counts_each_tenant_once_more(self, operator: Client, written: Broadcast) -> None:
        connection.set_schema_to_public()
        count_readers(written)
        before, start, rounds = timezone.now(), "", []
        for _ in SCHEMAS:
            _answer, start = self.count(operator, written, start)
            rounds.append(bool(start))
        assert rounds == [True, True, False]
        assert BroadcastCount.objects.filter(counted_at__gte=before).count() == len(SCHEMAS)

    @pytest.mark.usefixtures("_one_a_step")
    def test_broadcast_count_continues_after_interruption(self, operator: Client, written: Broadcast) -> None:
        self.count(operator, written)
        assert "1 of 3 organisations are counted." in text_of(operator.get(page_of(written)))
        answer, _start = self.count(operator, written)
        assert "Counting: 2 of 3" in text_of(answer)

    def test_broadcast_count_reports_failed_tenant_and_continues(self, operator: Client, written: Broadcast) -> None:
        add_organisations(1)
        text = content_of(self.count(operator, written)[0])
        assert "1 organisation could not be counted" in text
        assert "Could not be counted" in text
        assert "All organisations are counted" in text

    @pytest.mark.parametrize("start", ["nonsense", "2001-01-01", "2001-13-01T00:00:00+00:00", "\0"])
    def test_broadcast_count_with_invalid_round_starts_new_round(
        self, operator: Client, written: Broadcast, start: str
    ) -> None:
        assert self.count(operator, written, start)[1] == ""
        assert operator.get(page_of(written), {"round": start}).status_code == 200

    def test_broadcast_count_names_no_readers(self, operator: Client, written: Broadcast, readers: Any) -> None:
        read(written, readers, *SCHEMAS)
        answer, _start = self.count(operator, written)
        assert not any(word in text_of(answer) for word in ("reader@", ">reader<"))

    def test_broadcast_counts_are_paginated_with_constant_query_count(
        self, operator: Client, written: Broadcast
    ) -> None:
        def queries() -> int:
            with CaptureQueriesContext(connection) as captured:
                operator.get(page_of(written))
            return len(captured)

        operator.get(page_of(written))
        few = queries()
        add_organisations(60)
        assert queries() == few
        assert "Page 1 of 2" in text_of(operator.get(page_of(written)))
        assert "More 009" in text_of(operator.get(page_of(written), {"page": 2}))
