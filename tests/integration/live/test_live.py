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


class World:
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
def world(site: Site, acme: Tenant, globex: Tenant, make_user: MakeUser, open_page: Open) -> World:
    return World(site, (acme, globex), make_user, open_page)


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

    def test_message_updates_stream_of_recipient_in_its_tenant(self, world: World) -> None:
        with schema_context("acme"):
            api.send(world.alice, "Hello")
        assert world.of_alice.unread() == 1
        world.of_gina.require_silence()

    def test_message_to_other_user_updates_no_other_stream(self, world: World) -> None:
        with schema_context("acme"):
            api.send(world.bob, "Hello")
        world.of_alice.require_silence()

    def test_cancel_updates_stream_of_recipient_in_its_tenant(self, world: World) -> None:
        with schema_context("acme"):
            api.send(world.alice, "Hello", key="hello")
            assert world.of_alice.unread() == 1
            api.cancel("hello")
        assert world.of_alice.unread() == 0
        world.of_gina.require_silence()

    def test_announcement_changes_update_streams_of_its_tenant(self, world: World) -> None:
        with schema_context("acme"):
            announcement = api.announce("Hello", to=api.EVERYONE)
            assert world.of_alice.unread() == 1
            api.inbox(world.alice).mark_read(str(announcement.reference))
            assert world.of_alice.unread() == 0
            announcement = api.revise(announcement, message="Hello again", show_again=True)
            assert world.of_alice.unread() == 1
            api.retract(announcement)
        assert world.of_alice.unread() == 0
        world.of_gina.require_silence()

    def test_quiet_revision_is_reported_as_change(self, world: World) -> None:
        with schema_context("acme"):
            announcement = api.announce("Helo", to=api.EVERYONE)
            world.of_alice.unread()
            api.revise(announcement, message="Hello")
        event = world.of_alice.next()
        assert event is not None
        assert (event["unread"], event["changed"]) == (1, True)

    def test_announcement_to_group_updates_streams_of_members_only(self, world: World) -> None:
        with schema_context("acme"):
            sales = Group.objects.create(name="Sales")
            world.bob.groups.add(sales)
            of_bob = world.open_page(world.site, world.acme, world.bob)
            assert of_bob.unread() == 0
            api.announce("Hello", to=sales)
        assert of_bob.unread() == 1
        world.of_alice.require_silence()

    def test_marking_updates_stream_of_reader(self, world: World) -> None:
        with schema_context("acme"):
            api.send(world.alice, "Hello")
            message = api.inbox(world.alice).page().entries[0]
            world.of_alice.unread()
            for mark, unread in (("mark_read", 0), ("mark_unread", 1)):
                getattr(api.inbox(world.alice), mark)(message.pk)
                assert world.of_alice.unread() == unread
            marked = api.inbox(world.alice).mark_all_read()
            assert world.of_alice.unread() == 0
            api.inbox(world.alice).undo(marked.at)
        assert world.of_alice.unread() == 1
        world.of_gina.require_silence()

    def test_scheduled_announcement_updates_streams_on_start_and_expiry(self, world: World) -> None:
        soon = timezone.now() + timedelta(seconds=2)
        with schema_context("acme"):
            api.announce("Hello", to=api.EVERYONE, publish_at=soon, expires=soon + timedelta(seconds=2))
        # It may be told once more that nothing has changed yet: when it is written.
        for unread in (1, 0):
            while world.of_alice.unread() != unread:
                pass
        world.of_gina.require_silence()


class TestEverywhere:
    def test_broadcast_and_retraction_update_streams_of_all_tenants(self, world: World) -> None:
        broadcast = api.broadcast("Hello", to=api.ALL_TENANTS)
        assert (world.of_alice.unread(), world.of_gina.unread()) == (1, 1)
        api.retract(broadcast)
        assert (world.of_alice.unread(), world.of_gina.unread()) == (0, 0)

    def test_broadcast_to_one_tenant_updates_its_streams_only(self, world: World) -> None:
        broadcast = api.broadcast("Hello", to=world.globex)
        assert world.of_gina.unread() == 1
        api.revise(broadcast, message="Hello again")
        assert world.of_gina.unread() == 1
        world.of_alice.require_silence()


class TestFromWhere:
    def test_marking_by_request_updates_stream(self, world: World, browser_of: BrowserOf) -> None:
        with schema_context("acme"):
            api.send(world.alice, "Hello")
            message = api.inbox(world.alice).page().entries[0]
        assert world.of_alice.unread() == 1
        browser_of(world.acme, world.alice).post(f"/messages/mark_read/{message.pk}/")
        assert world.of_alice.unread() == 0

    def test_send_in_other_process_updates_stream(self, world: World) -> None:
        code = (
            "from django_tenants.utils import schema_context; from messages_extends import api\n"
            "from django.contrib.auth import get_user_model\n"
            "with schema_context('acme'): api.send(get_user_model().objects.get(pk=1), 'Hello')"
        )
        done = run(sys.executable, "manage.py", "shell", "-v", "0", "-c", code, **world.site.env)
        assert done.returncode == 0, done.stderr
        assert world.of_alice.unread() == 1
        world.of_gina.require_silence()

    def test_rolled_back_transaction_updates_no_stream(self, world: World) -> None:
        with schema_context("acme"), suppress(ZeroDivisionError), transaction.atomic():
            api.send(world.alice, "Hello")
            api.announce("Hello", to=api.EVERYONE)
            raise ZeroDivisionError
        world.of_alice.require_silence()

    def test_transaction_with_many_messages_updates_stream_once(self, world: World) -> None:
        with schema_context("acme"), transaction.atomic():
            for number in range(20):
                api.send(world.alice, f"Hello {number}")
        assert world.of_alice.unread() == 20
        world.of_alice.require_silence()
