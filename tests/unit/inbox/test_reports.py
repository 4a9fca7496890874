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
    def test_they_are_readers_people_and_the_audience_when_it_was_written(self, people: list[Any], root: Any) -> None:
        announcement = announce("Hello", to=EVERYONE)
        assert numbers(read_report(announcement, root)) == (0, 4, 4)
        read(announcement, *people[:2])
        assert numbers(read_report(announcement, root)) == (2, 4, 4)

    def test_people_who_have_gone_are_in_neither(self, people: list[Any], root: Any) -> None:
        announcement = announce("Hello", to=EVERYONE)
        read(announcement, *people, root)
        people[0].is_active = False
        people[0].save()
        people[1].delete()
        assert numbers(read_report(announcement, root)) == (2, 2, 4)

    def test_people_who_have_come_are_among_the_people(self, people: list[Any], make_user: MakeUser) -> None:
        announcement = announce("Hello", to=EVERYONE)
        make_user("dave")
        assert numbers(read_report(announcement, None)) == (0, 4, 3)

    def test_of_a_group_they_count_its_members_now(self, people: list[Any], sales: Group) -> None:
        alice, bob, carol = people
        announcement = announce("Hello", to=[sales, Group.objects.create(name="Support")])
        Group.objects.get(name="Support").user_set.add(bob)
        read(announcement, alice, bob)
        assert numbers(read_report(announcement, None)) == (2, 2, 2)
        alice.groups.remove(sales)
        carol.groups.add(sales)
        assert numbers(read_report(announcement, None)) == (1, 2, 2)

    def test_of_a_deleted_group_nobody_is_left(self, people: list[Any], sales: Group) -> None:
        announcement = announce("Hello", to=sales)
        read(announcement, people[0])
        sales.delete()
        assert numbers(read_report(announcement, None)) == (0, 0, 2)

    def test_a_receipt_of_an_earlier_revision_does_not_count(self, people: list[Any]) -> None:
        stale = announce("One", to=EVERYONE)
        read(stale, *people[:2])
        revised = revise(stale, message="Two", show_again=True)
        read(revised, people[2])
        for announcement in (revised, stale):
            assert numbers(read_report(announcement, None)) == (1, 3, 3)
        revise(revised, message="Three")
        assert read_report(stale, None).readers == 1

    def test_nobody_is_counted_twice_where_a_host_finds_its_members_by_a_join(
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

    def test_they_outlive_its_retraction(self, people: list[Any]) -> None:
        announcement = announce("Hello", to=EVERYONE)
        read(announcement, people[0])
        retract(announcement)
        assert numbers(read_report(announcement, None)) == (1, 3, 3)


class TestPeople:
    def test_they_are_those_who_have_and_those_who_have_not(self, people: list[Any], root: Any) -> None:
        alice, bob, carol = people
        announcement = announce("Hello", to=EVERYONE)
        read(announcement, alice, bob)
        report = read_report(announcement, root)
        assert set(report.read()) == {alice, bob}
        assert set(report.unread()) == {carol, root}
        assert set(report.everyone()) == {*people, root}
        assert all(person.read_at for person in report.read())

    def test_a_viewer_sees_only_whom_they_may_see_named_but_all_of_the_numbers(self, people: list[Any]) -> None:
        alice, bob, carol = people
        announcement = announce("Hello", to=EVERYONE)
        read(announcement, alice, bob)
        may(carol, "messages_extends.view_announcement")
        report = read_report(announcement, carol)
        assert numbers(report) == (2, 3, 3)
        assert set(report.everyone()) == set(report.unread()) == {carol}
        may(carol, "people.view_user")
        assert set(report.everyone()) == set(people)

    def test_the_number_of_queries_does_not_depend_on_theirs(
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


class TestWhoMay:
    def test_its_sender_and_who_may_view_announcements(self, people: list[Any], sales: Group, root: Any) -> None:
        alice, bob, carol = people
        may(alice, "messages_extends.add_announcement")
        announcement = announce("Hello", to=EVERYONE, sender=alice)
        may(bob, "messages_extends.view_announcement")
        for viewer in (alice, bob, root, None):
            assert read_report(announcement, viewer).people == 4
        with pytest.raises(PermissionDenied, match="who has read this"):
            read_report(announcement, carol)

    def test_the_sender_of_another_announcement_may_not(self, people: list[Any]) -> None:
        may(people[0], "messages_extends.add_announcement")
        announce("Mine", to=EVERYONE, sender=people[0])
        with pytest.raises(PermissionDenied):
            read_report(announce("Hello", to=EVERYONE), people[0])

    def test_nobody_of_another_organisation_and_none_from_there(
        self, root: Any, globex: Tenant, make_user: MakeUser
    ) -> None:
        announcement = announce("Hello", to=EVERYONE)
        with schema_context("globex"):
            stranger = make_user("stranger", is_superuser=True)
            with pytest.raises(WrongTenant, match="acme"):
                read_report(announcement, stranger)
        with pytest.raises(WrongTenant, match="globex"):
            read_report(announcement, stranger)
