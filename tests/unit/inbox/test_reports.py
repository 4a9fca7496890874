"""Who has read an announcement: the numbers, the people, and who may know."""

from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django_tenants.utils import schema_context

from messages_extends.api import EVERYONE, announce, inbox, retract, revise
from messages_extends.exceptions import WrongTenant
from messages_extends.inbox.reports import ReadReport, read_report
from messages_extends.models import Announcement
from tenants.models import Tenant
from tests.factories import MakeUser

pytestmark = pytest.mark.usefixtures("in_acme")


@pytest.fixture
def people(in_acme: Tenant, make_user: MakeUser) -> list[Any]:
    return [make_user(name) for name in ("alice", "bob", "carol")]


@pytest.fixture
def sales(people: list[Any]) -> Group:
    group = Group.objects.create(name="Sales")
    group.user_set.set(people[:2])
    return group


def read(announcement: Announcement, *readers: Any) -> None:
    for reader in readers:
        assert inbox(reader).acknowledge(str(announcement.reference))


def numbers(report: ReadReport) -> tuple[int, int, int | None]:
    return report.readers, report.people, report.audience_size


def may(user: Any, permission: str) -> None:
    app_label, codename = permission.split(".")
    user.user_permissions.add(Permission.objects.get(codename=codename, content_type__app_label=app_label))


class TestNumbers:
    def test_read_report_returns_readers_people_and_audience_size(self, people: list[Any], root: Any) -> None:
        announcement = announce("Hello", to=EVERYONE)
        assert numbers(read_report(announcement, root)) == (0, 4, 4)
        read(announcement, *people[:2])
        assert numbers(read_report(announcement, root)) == (2, 4, 4)

    def test_read_report_excludes_inactive_and_deleted_users(self, people: list[Any], root: Any) -> None:
        announcement = announce("Hello", to=EVERYONE)
        read(announcement, *people, root)
        people[0].is_active = False
        people[0].save()
        people[1].delete()
        assert numbers(read_report(announcement, root)) == (2, 2, 4)

    def test_read_report_includes_later_joined_users(self, people: list[Any], make_user: MakeUser) -> None:
        announcement = announce("Hello", to=EVERYONE)
        make_user("dave")
        assert numbers(read_report(announcement, None)) == (0, 4, 3)

    def test_read_report_for_groups_counts_current_members(self, people: list[Any], sales: Group) -> None:
        alice, bob, carol = people
        announcement = announce("Hello", to=[sales, Group.objects.create(name="Support")])
        Group.objects.get(name="Support").user_set.add(bob)
        read(announcement, alice, bob)
        assert numbers(read_report(announcement, None)) == (2, 2, 2)
        alice.groups.remove(sales)
        carol.groups.add(sales)
        assert numbers(read_report(announcement, None)) == (1, 2, 2)

    def test_read_report_for_deleted_group_counts_nobody(self, people: list[Any], sales: Group) -> None:
        announcement = announce("Hello", to=sales)
        read(announcement, people[0])
        sales.delete()
        assert numbers(read_report(announcement, None)) == (0, 0, 2)

    def test_read_report_ignores_receipts_of_earlier_revision(self, people: list[Any]) -> None:
        stale = announce("One", to=EVERYONE)
        read(stale, *people[:2])
        revised = revise(stale, message="Two", show_again=True)
        read(revised, people[2])
        for announcement in (revised, stale):
            assert numbers(read_report(announcement, None)) == (1, 3, 3)
        revise(revised, message="Three")
        assert read_report(stale, None).readers == 1

    def test_read_report_with_members_by_join_counts_each_user_once(
        self, people: list[Any], sales: Group, settings: Any
    ) -> None:
        Group.objects.create(name="Support").user_set.set(people[:2])
        settings.MESSAGES_EXTENDS = {"MEMBERS": lambda: type(people[0]).objects.filter(groups__isnull=False)}
        for to in (EVERYONE, sales):
            announcement = announce("Hello", to=to)
            read(announcement, people[0])
            report = read_report(announcement, None)
            assert numbers(report) == (1, 2, 2)
            assert sorted(report.everyone(), key=str) == people[:2]

    def test_read_report_after_retraction_keeps_numbers(self, people: list[Any]) -> None:
        announcement = announce("Hello", to=EVERYONE)
        read(announcement, people[0])
        retract(announcement)
        assert numbers(read_report(announcement, None)) == (1, 3, 3)


class TestPeople:
    def test_read_report_lists_readers_and_non_readers(self, people: list[Any], root: Any) -> None:
        alice, bob, carol = people
        announcement = announce("Hello", to=EVERYONE)
        read(announcement, alice, bob)
        report = read_report(announcement, root)
        assert set(report.read()) == {alice, bob}
        assert set(report.unread()) == {carol, root}
        assert set(report.everyone()) == {*people, root}
        assert all(person.read_at for person in report.read())

    def test_read_report_lists_only_people_visible_to_viewer(self, people: list[Any]) -> None:
        alice, bob, carol = people
        announcement = announce("Hello", to=EVERYONE)
        read(announcement, alice, bob)
        may(carol, "messages_extends.view_announcement")
        report = read_report(announcement, carol)
        assert numbers(report) == (2, 3, 3)
        assert set(report.everyone()) == set(report.unread()) == {carol}
        may(carol, "people.view_user")
        assert set(report.everyone()) == set(people)

    def test_read_report_query_count_is_independent_of_people(
        self, people: list[Any], root: Any, make_user: MakeUser
    ) -> None:
        group = Group.objects.create(name="Many")
        announcement = announce("Hello", to=group)

        def queries() -> int:
            with CaptureQueriesContext(connection) as captured:
                report = read_report(announcement, root)
                assert len(report.read()) == report.readers
                assert len(report.unread()) == report.people - report.readers
            return len(captured)

        few = queries()
        group.user_set.set([make_user(f"user{number}") for number in range(30)])
        read(announcement, *group.user_set.all()[:10])
        # Whether they may; the numbers; and for each list whom they may see, and the people.
        assert queries() == few <= 7


class TestPermissions:
    def test_read_report_allows_sender_and_view_permission(self, people: list[Any], sales: Group, root: Any) -> None:
        alice, bob, carol = people
        may(alice, "messages_extends.add_announcement")
        announcement = announce("Hello", to=EVERYONE, sender=alice)
        may(bob, "messages_extends.view_announcement")
        for viewer in (alice, bob, root, None):
            assert read_report(announcement, viewer).people == 4
        with pytest.raises(PermissionDenied, match="who has read this"):
            read_report(announcement, carol)

    def test_read_report_refuses_sender_of_other_announcement(self, people: list[Any]) -> None:
        may(people[0], "messages_extends.add_announcement")
        announce("Mine", to=EVERYONE, sender=people[0])
        with pytest.raises(PermissionDenied):
            read_report(announce("Hello", to=EVERYONE), people[0])

    def test_read_report_refuses_viewer_or_announcement_of_other_tenant(
        self, root: Any, globex: Tenant, make_user: MakeUser
    ) -> None:
        announcement = announce("Hello", to=EVERYONE)
        with schema_context("globex"):
            stranger = make_user("stranger", is_superuser=True)
            with pytest.raises(WrongTenant, match="acme"):
                read_report(announcement, stranger)
        with pytest.raises(WrongTenant, match="globex"):
            read_report(announcement, stranger)
