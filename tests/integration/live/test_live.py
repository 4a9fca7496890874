"""What reaches open pages: of exactly those who may read it, from any process, only if it is committed."""

import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import transaction
from django.utils import timezone
from django_tenants.utils import schema_context

from messages_extends import api
from tenants.models import Tenant
from tests.factories import BrowserOf, MakeUser
from tests.integration.live.conftest import OpenPage
from tests.processes import run
from tests.servers import Site

Open = Callable[..., OpenPage]


def wait_for(page: OpenPage, unread: int) -> None:
    """Read events until one says that so many are unread; the same number may be told more than once."""
    while page.unread() != unread:
        pass


class Scenario:
    """A person in each of two organisations, with one primary key, and the pages that they have open."""

    def __init__(self, site: Site, tenants: tuple[Any, Any], make_user: MakeUser, open_page: Open) -> None:
        self.site, self.open_page = site, open_page
        self.acme, self.globex = tenants
        with schema_context("acme"):
            self.alice, self.bob = make_user("alice", pk=1), make_user("bob", pk=2)
        with schema_context("globex"):
            self.gina = make_user("gina", pk=1)
        self.of_alice = open_page(site, self.acme, self.alice)
        self.of_gina = open_page(site, self.globex, self.gina)
        assert (self.of_alice.unread(), self.of_gina.unread()) == (0, 0)


@pytest.fixture
def scenario(site: Site, acme: Tenant, globex: Tenant, make_user: MakeUser, open_page: Open) -> Scenario:
    return Scenario(site, (acme, globex), make_user, open_page)


def test_stream_first_event_states_unread_count_in_language(
    site: Site, in_acme: Tenant, make_user: MakeUser, open_page: Open
) -> None:
    alice = make_user()
    api.send(alice, "Hello")
    page = open_page(site, in_acme, alice, **{"Accept-Language": "de"})
    event = page.next()
    assert event == {
        "schema": "acme",
        "unread": 1,
        "text": "1",
        "name": "Nachrichten, 1 ungelesen",
        "changed": False,
        "spread": 0,
    }
    assert page.answer.getheader("Content-Type") == "text/event-stream; charset=utf-8"
    assert page.answer.getheader("X-Accel-Buffering") == "no"
    assert "no-store" in page.answer.getheader("Cache-Control", "")


class TestOneOrganisation:
    """Each of these moves the number of alice in acme, and nothing of gina in globex, who has the same key."""

    def test_message_updates_stream_of_recipient_in_its_tenant(self, scenario: Scenario) -> None:
        with schema_context("acme"):
            api.send(scenario.alice, "Hello")
        assert scenario.of_alice.unread() == 1
        scenario.of_gina.require_silence()

    def test_message_to_other_user_updates_no_other_stream(self, scenario: Scenario) -> None:
        with schema_context("acme"):
            api.send(scenario.bob, "Hello")
        scenario.of_alice.require_silence()

    def test_cancel_updates_stream_of_recipient_in_its_tenant(self, scenario: Scenario) -> None:
        with schema_context("acme"):
            api.send(scenario.alice, "Hello", key="hello")
            assert scenario.of_alice.unread() == 1
            api.cancel("hello")
        assert scenario.of_alice.unread() == 0
        scenario.of_gina.require_silence()

    def test_announcement_changes_update_streams_of_its_tenant(self, scenario: Scenario) -> None:
        with schema_context("acme"):
            announcement = api.announce("Hello", to=api.EVERYONE)
            assert scenario.of_alice.unread() == 1
            api.inbox(scenario.alice).mark_read(str(announcement.reference))
            assert scenario.of_alice.unread() == 0
            announcement = api.revise(announcement, message="Hello again", show_again=True)
            assert scenario.of_alice.unread() == 1
            api.retract(announcement)
        assert scenario.of_alice.unread() == 0
        scenario.of_gina.require_silence()

    def test_quiet_revision_is_reported_as_change(self, scenario: Scenario) -> None:
        with schema_context("acme"):
            announcement = api.announce("Helo", to=api.EVERYONE)
            scenario.of_alice.unread()
            api.revise(announcement, message="Hello")
        event = scenario.of_alice.next()
        assert event is not None
        assert (event["unread"], event["changed"]) == (1, True)

    def test_announcement_to_group_updates_streams_of_members_only(self, scenario: Scenario) -> None:
        with schema_context("acme"):
            sales = Group.objects.create(name="Sales")
            scenario.bob.groups.add(sales)
            of_bob = scenario.open_page(scenario.site, scenario.acme, scenario.bob)
            assert of_bob.unread() == 0
            api.announce("Hello", to=sales)
        assert of_bob.unread() == 1
        scenario.of_alice.require_silence()

    def test_marking_updates_stream_of_reader(self, scenario: Scenario) -> None:
        with schema_context("acme"):
            api.send(scenario.alice, "Hello")
            message = api.inbox(scenario.alice).page().entries[0]
            scenario.of_alice.unread()
            for mark, unread in (("mark_read", 0), ("mark_unread", 1)):
                getattr(api.inbox(scenario.alice), mark)(message.pk)
                assert scenario.of_alice.unread() == unread
            marked = api.inbox(scenario.alice).mark_all_read()
            assert scenario.of_alice.unread() == 0
            api.inbox(scenario.alice).undo(marked.at)
        assert scenario.of_alice.unread() == 1
        scenario.of_gina.require_silence()

    def test_scheduled_announcement_updates_streams_on_start_and_expiry(self, scenario: Scenario) -> None:
        soon = timezone.now() + timedelta(seconds=2)
        with schema_context("acme"):
            api.announce("Hello", to=api.EVERYONE, publish_at=soon, expires=soon + timedelta(seconds=2))
        # It may be told once more that nothing has changed yet: when it is written.
        for unread in (1, 0):
            while scenario.of_alice.unread() != unread:
                pass
        scenario.of_gina.require_silence()

    def test_scheduled_message_appears_within_a_second(self, scenario: Scenario) -> None:
        soon = timezone.now() + timedelta(seconds=3)
        with schema_context("acme"):
            api.send(scenario.alice, "Hello", publish_at=soon)
        wait_for(scenario.of_alice, 1)
        assert abs((timezone.now() - soon).total_seconds()) <= 1
        scenario.of_gina.require_silence()

    def test_snoozed_message_and_publication_come_back_within_a_second(self, scenario: Scenario) -> None:
        with schema_context("acme"):
            api.send(scenario.alice, "Hello")
            api.announce("Hello", to=api.EVERYONE)
            wait_for(scenario.of_alice, 2)
            for each in api.inbox(scenario.alice).page().entries:
                soon = timezone.now() + timedelta(seconds=3)
                api.inbox(scenario.alice).snooze(each.pk, until=soon)
                wait_for(scenario.of_alice, 1)
                wait_for(scenario.of_alice, 2)
                assert abs((timezone.now() - soon).total_seconds()) <= 1
        scenario.of_gina.require_silence()


class TestBroadcasts:
    def test_broadcast_and_retraction_update_streams_of_all_tenants(self, scenario: Scenario) -> None:
        broadcast = api.broadcast("Hello", to=api.ALL_TENANTS)
        assert (scenario.of_alice.unread(), scenario.of_gina.unread()) == (1, 1)
        api.retract(broadcast)
        assert (scenario.of_alice.unread(), scenario.of_gina.unread()) == (0, 0)

    def test_broadcast_to_one_tenant_updates_its_streams_only(self, scenario: Scenario) -> None:
        broadcast = api.broadcast("Hello", to=scenario.globex)
        assert scenario.of_gina.unread() == 1
        api.revise(broadcast, message="Hello again")
        assert scenario.of_gina.unread() == 1
        scenario.of_alice.require_silence()


class TestSources:
    def test_marking_by_request_updates_stream(self, scenario: Scenario, browser_of: BrowserOf) -> None:
        with schema_context("acme"):
            api.send(scenario.alice, "Hello")
            message = api.inbox(scenario.alice).page().entries[0]
        assert scenario.of_alice.unread() == 1
        browser_of(scenario.acme, scenario.alice).post(f"/messages/mark_read/{message.pk}/")
        assert scenario.of_alice.unread() == 0

    def test_send_in_other_process_updates_stream(self, scenario: Scenario) -> None:
        code = (
            "from django_tenants.utils import schema_context; from messages_extends import api\n"
            "from django.contrib.auth import get_user_model\n"
            "with schema_context('acme'): api.send(get_user_model().objects.get(pk=1), 'Hello')"
        )
        done = run(sys.executable, "manage.py", "shell", "-v", "0", "-c", code, **scenario.site.env)
        assert done.returncode == 0, done.stderr
        assert scenario.of_alice.unread() == 1
        scenario.of_gina.require_silence()

    def test_rolled_back_transaction_updates_no_stream(self, scenario: Scenario) -> None:
        with schema_context("acme"), suppress(ZeroDivisionError), transaction.atomic():
            api.send(scenario.alice, "Hello")
            api.announce("Hello", to=api.EVERYONE)
            raise ZeroDivisionError
        scenario.of_alice.require_silence()

    def test_transaction_with_many_messages_updates_stream_once(self, scenario: Scenario) -> None:
        with schema_context("acme"), transaction.atomic():
            for number in range(20):
                api.send(scenario.alice, f"Hello {number}")
        assert scenario.of_alice.unread() == 20
        scenario.of_alice.require_silence()
