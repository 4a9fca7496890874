"""Announcements: what is written, whom it reaches and until when, and what is refused with which words."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone, translation
from django_tenants.utils import schema_context

from messages_extends import constants
from messages_extends.api import ALL_TENANTS, EVERYONE, announce, cancel, inbox, retract, revise, send
from messages_extends.exceptions import MustAcknowledge, NoSuchMessage, NoTenant, NotPublished, WrongTenant
from messages_extends.models import Announcement, AnnouncementGroup, AuditRecord, Receipt
from messages_extends.models.publication import DEFAULT_LIFETIME, State
from tenants.models import Tenant
from tests.conftest import count_our_queries
from tests.factories import BrowserOf, MakeMessage, MakeUser

pytestmark = pytest.mark.usefixtures("in_acme")

HOUR = timedelta(hours=1)


@pytest.fixture
def sales(in_acme: Tenant) -> Group:
    return Group.objects.create(name="Sales")


def texts(user: Any) -> list[str]:
    """Return what `user` has unread now, as their next page would show it."""
    return [str(entry) for entry in inbox(user).banners()]


def entry(user: Any) -> Any:
    [only] = inbox(user).page().entries
    return only


def ago(announcement: Announcement, **times: timedelta) -> None:
    """Move times of an announcement, as if time had passed."""
    Announcement.objects.filter(pk=announcement.pk).update(
        **{name: timezone.now() + moved for name, moved in times.items()}
    )


def rows() -> tuple[int, int]:
    return Announcement.objects.count(), AuditRecord.objects.count()


class TestAnnounce:
    def test_announce_to_everyone_writes_one_row_for_all_readers(
        self, alice: Any, bob: Any, make_user: MakeUser
    ) -> None:
        announcement = announce("The canteen is closed.", to=EVERYONE, url="/canteen/", extra_tags="food")
        late = make_user("late")
        assert Announcement.objects.get() == announcement
        for reader in (alice, bob, late):
            assert texts(reader) == ["The canteen is closed."]
        assert entry(late).tags == "food info persistent announcement unread"
        assert entry(late).url == "/canteen/"

    def test_announce_without_options_uses_defaults(self, alice: Any) -> None:
        before = timezone.now()
        announcement = announce("Hello", to=EVERYONE)
        assert before <= announcement.publish_at <= timezone.now()
        assert (
            announcement.expires
            == announcement.publish_at + DEFAULT_LIFETIME
            == announcement.publish_at + timedelta(days=30)
        )
        assert (announcement.level, announcement.sender, announcement.key) == (constants.INFO_PERSISTENT, None, "")
        assert (announcement.must_acknowledge, announcement.revision, announcement.retracted_at) == (False, 1, None)

    def test_announce_default_lifetime_starts_at_publish_at(self, alice: Any) -> None:
        start = timezone.now() + timedelta(days=5)
        assert announce("Hello", to=EVERYONE, publish_at=start).expires == start + DEFAULT_LIFETIME

    def test_announce_stores_audience_size(self, alice: Any, bob: Any, make_user: MakeUser, sales: Group) -> None:
        make_user("gone", is_active=False)
        bob.groups.add(sales)
        assert announce("to all", to=EVERYONE).audience_size == 2
        assert announce("to sales", to=sales).audience_size == 1

    def test_announce_with_params_renders_in_reader_language(self, alice: Any) -> None:
        announce("%(count)s more", to=EVERYONE, params={"count": 3})
        announce("Yes", to=EVERYONE, params={})
        with translation.override("de"):
            assert texts(alice) == ["Ja", "3 more"]

    def test_announce_with_naive_datetime_uses_current_time_zone(self, alice: Any) -> None:
        with timezone.override("Asia/Tokyo"):
            announcement = announce("Hello", to=EVERYONE, expires=datetime(2099, 1, 1, 9))
        announcement.refresh_from_db()
        assert announcement.expires.isoformat() == "2099-01-01T00:00:00+00:00"

    @pytest.mark.parametrize(("to", "count"), [("everyone", 3), ("one group", 6), ("ten groups", 6)])
    def test_announce_query_count_is_independent_of_audience_size(
        self, alice: Any, make_user: MakeUser, to: str, count: int
    ) -> None:
        groups = [Group.objects.create(name=f"Group {number}") for number in range(10)]
        for number in range(20):
            make_user(f"user{number}").groups.set(groups)
        audience: Any = {"everyone": EVERYONE, "one group": groups[0], "ten groups": groups}[to]
        with CaptureQueriesContext(connection) as captured:
            announce("Hello", to=audience)
        # The audience is counted, the row and its record are written; groups are looked up, noted and named.
        statements = [query["sql"] for query in captured if not query["sql"].startswith(("SAVEPOINT", "RELEASE"))]
        assert len(statements) == count, statements

    def test_announce_logs_audit_event_with_text(self, alice: Any, sales: Group) -> None:
        announcement = announce("Hello", to=sales)
        record = AuditRecord.objects.get()
        assert (record.action, record.subject, record.text) == ("announce", f"announcement {announcement.pk}", "Hello")
        assert (record.audience, record.count) == (f"group {sales.pk} (Sales)", 0)

    def test_announce_writes_nothing_when_audit_log_fails(
        self, alice: Any, sales: Group, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_args: Any, **_options: Any) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr("messages_extends.models.audit.log_event", fail)
        with pytest.raises(ZeroDivisionError):
            announce("Hello", to=sales)
        assert not Announcement.objects.exists()
        assert not AnnouncementGroup.objects.exists()


class TestRefusals:
    """What is wrong is an error with the remedy, and nothing is written."""

    @pytest.fixture(autouse=True)
    def _nothing_is_written(self, in_acme: Tenant) -> Iterator[None]:
        yield
        assert rows() == (0, 0)

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("", r"message is blank"),
            (" \n\t", r"message is blank"),
            ("x" * 10_001, r"message has 10001 characters; at most 10000 are allowed"),
            ("a\0b", r"message contains a NUL character"),
            ("\ud800", r"a lone surrogate"),
        ],
    )
    def test_announce_refuses_invalid_text(self, alice: Any, text: str, words: str) -> None:
        with pytest.raises(ValueError, match=words):
            announce(text, to=EVERYONE)

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"extra_tags": "x" * 129}, r"extra_tags has 129 characters; at most 128 are allowed"),
            ({"key": "x" * 201}, r"key has 201 characters; at most 200 are allowed"),
            ({"url": "/" + "x" * 2000}, r"url has 2001 characters; at most 2000 are allowed"),
            ({"url": "javascript:alert(1)"}, r"url 'javascript:alert\(1\)' is not allowed: use a path on this site"),
            ({"url": "//evil.example/"}, r"is not allowed"),
            ({"url": "///evil.example/"}, r"is not allowed"),
            ({"url": "http://["}, r"is not allowed"),
            (
                {"level": constants.INFO},
                r"level INFO \(20\) is not persistent; use one of DEBUG_PERSISTENT",
            ),
            ({"level": "info"}, r"level 'info' is not persistent"),
            ({"params": "name"}, r"params is a str: use a dictionary or a list"),
            ({"params": {"when": object()}}, r"params may contain only strings, numbers, booleans and None"),
            ({"params": {"what": "\0"}}, r"params contains a NUL character"),
            ({"params": {"what": float("nan")}}, r"Out of range float"),
        ],
    )
    def test_announce_refuses_invalid_option_values(self, alice: Any, options: dict[str, Any], words: str) -> None:
        with pytest.raises(ValueError, match=words):
            announce("Hello", to=EVERYONE, **options)

    def test_announce_refuses_expires_in_past_or_before_publish_at(self, alice: Any) -> None:
        now = timezone.now()
        with pytest.raises(ValueError, match=r"^expires is in the past \(.*\): use a time in the future\.$"):
            announce("Hello", to=EVERYONE, expires=now)
        for late in (2 * HOUR, HOUR):
            with pytest.raises(ValueError, match=r"^expires is .*; it must be later than the time of publication, "):
                announce("Hello", to=EVERYONE, publish_at=now + late, expires=now + HOUR)

    @pytest.mark.parametrize("to", [[], (), set(), "no group there is"])
    def test_announce_refuses_empty_audience(self, alice: Any, to: Any) -> None:
        with pytest.raises(ValueError, match=r"to is empty, which would reach nobody: name groups, or EVERYONE\."):
            announce("Hello", to=Group.objects.filter(name=to) if isinstance(to, str) else to)

    @pytest.mark.parametrize("to", [None, "Sales", b"Sales", 1, [1], ALL_TENANTS, [EVERYONE]])
    def test_announce_refuses_audience_other_than_groups(self, alice: Any, to: Any) -> None:
        with pytest.raises(TypeError, match=r"to contains .*: use EVERYONE, a group, or groups\."):
            announce("Hello", to=to)

    def test_announce_refuses_user_as_audience(self, alice: Any) -> None:
        with pytest.raises(TypeError, match="use EVERYONE, a group, or groups"):
            announce("Hello", to=[alice])

    def test_announce_refuses_unsaved_or_deleted_group(self, alice: Any, sales: Group) -> None:
        gone = Group.objects.create(name="Gone")
        Group.objects.filter(pk=gone.pk).delete()
        for missing in (Group(name="Never saved"), gone):
            with pytest.raises(ValueError, match="not saved, or has been deleted"):
                announce("Hello", to=[sales, missing])

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"publish_at": "tomorrow"}, "publish_at is 'tomorrow': use a datetime"),
            ({"expires": 5}, "expires is 5: use a datetime"),
            ({"must_acknowledge": "yes"}, "must_acknowledge is 'yes': use True or False"),
            ({"colour": "red"}, "colour"),
        ],
    )
    def test_announce_refuses_options_of_wrong_type(self, alice: Any, options: dict[str, Any], words: str) -> None:
        with pytest.raises(TypeError, match=words):
            announce("Hello", to=EVERYONE, **options)

    def test_announce_in_public_schema_raises_no_tenant(self, alice: Any) -> None:
        with schema_context("public"), pytest.raises(NoTenant):
            announce("Hello", to=EVERYONE)

    def test_announce_refuses_group_of_other_tenant(self, alice: Any, globex: Tenant) -> None:
        with schema_context("globex"):
            theirs = Group.objects.create(name="Sales")
        for to in (theirs, [theirs]):
            with pytest.raises(WrongTenant, match="globex"):
                announce("Hello", to=to)

    def test_announce_refuses_sender_without_permission(self, alice: Any, sales: Group) -> None:
        for to in (EVERYONE, sales):
            with pytest.raises(PermissionDenied):
                announce("Hello", to=to, sender=alice)


class TestKeys:
    def test_announce_with_key_in_use_returns_existing_announcement(self, alice: Any) -> None:
        first = announce("One", to=EVERYONE, key="canteen")
        before = rows()
        assert announce("Two", to=EVERYONE, key="canteen") == first
        assert rows() == before
        assert texts(alice) == ["One"]

    def test_announce_with_key_of_scheduled_announcement_returns_existing(self, alice: Any) -> None:
        first = announce("One", to=EVERYONE, key="canteen", publish_at=timezone.now() + HOUR)
        assert announce("Two", to=EVERYONE, key="canteen") == first

    def test_announce_reuses_key_of_expired_announcement(self, alice: Any) -> None:
        first = announce("One", to=EVERYONE, key="canteen")
        ago(first, publish_at=-2 * HOUR, expires=-HOUR)
        assert announce("Two", to=EVERYONE, key="canteen") != first
        assert texts(alice) == ["Two"]

    def test_announce_reuses_key_of_retracted_announcement(self, alice: Any) -> None:
        first = announce("One", to=EVERYONE, key="canteen")
        retract(first)
        assert announce("Two", to=EVERYONE, key="canteen") != first
        assert texts(alice) == ["Two"]
        assert Announcement.objects.count() == 2

    def test_announce_with_key_none_publishes_every_time(self, alice: Any) -> None:
        for _ in range(2):
            announce("Hello", to=EVERYONE, key=None)
        assert texts(alice) == ["Hello", "Hello"]

    def test_announce_key_is_separate_in_each_tenant(self, alice: Any, globex: Tenant) -> None:
        announce("One", to=EVERYONE, key="canteen")
        with schema_context("globex"):
            assert str(announce("Two", to=EVERYONE, key="canteen")) == "Two"

    def test_cancel_retracts_announcement_once(self, alice: Any) -> None:
        announcement = announce("Hello", to=EVERYONE, key="canteen")
        assert cancel("canteen") == 1
        assert texts(alice) == []
        assert cancel("canteen") == 0
        announcement.refresh_from_db()
        assert announcement.state() is State.RETRACTED

    def test_cancel_ignores_expired_announcement(self, alice: Any) -> None:
        announcement = announce("Hello", to=EVERYONE, key="canteen")
        ago(announcement, publish_at=-2 * HOUR, expires=-HOUR)
        before = rows()
        assert cancel("canteen") == 0
        assert rows() == before
        assert retract(announcement).state() is State.EXPIRED

    def test_cancel_ends_only_messages_and_announcement_with_key(self, alice: Any) -> None:
        announce("Hello", to=EVERYONE, key="canteen")
        send(alice, "Hello", key="canteen")
        announce("Stays", to=EVERYONE, key="other")
        announce("Stays too", to=EVERYONE)
        assert cancel("canteen") == 2
        assert texts(alice) == ["Stays too", "Stays"]

    def test_cancel_refuses_empty_key(self, alice: Any) -> None:
        announce("Hello", to=EVERYONE)
        with pytest.raises(ValueError, match="key is empty"):
            cancel("")


class TestTime:
    def test_announcement_appears_at_publish_at_and_disappears_at_expires(self, alice: Any) -> None:
        announcement = announce("Soon", to=EVERYONE, publish_at=timezone.now() + HOUR)
        assert (texts(alice), announcement.state()) == ([], State.SCHEDULED)
        with pytest.raises(NoSuchMessage):
            inbox(alice).mark_read(str(announcement.reference))
        ago(announcement, publish_at=-HOUR)
        assert texts(alice) == ["Soon"]
        ago(announcement, expires=timedelta(0))
        assert texts(alice) == []
        assert inbox(alice).page().entries == []

    def test_in_state_returns_announcements_of_each_state(self, in_acme: Tenant) -> None:
        now = timezone.now()
        made = {
            State.SCHEDULED: announce("1", to=EVERYONE, publish_at=now + HOUR),
            State.LIVE: announce("2", to=EVERYONE),
            State.EXPIRED: announce("3", to=EVERYONE),
            State.RETRACTED: retract(announce("4", to=EVERYONE)),
        }
        ago(made[State.EXPIRED], publish_at=-2 * HOUR, expires=-HOUR)
        for state, announcement in made.items():
            assert list(Announcement.objects.in_state(state)) == [announcement]
            assert Announcement.objects.get(pk=announcement.pk).state() is state
        assert set(Announcement.objects.ended()) == {made[State.EXPIRED], made[State.RETRACTED]}


class TestGroups:
    def test_group_announcement_reaches_current_members(self, alice: Any, bob: Any, sales: Group) -> None:
        alice.groups.add(sales)
        announcement = announce("To sales", to=sales)
        assert (texts(alice), texts(bob)) == (["To sales"], [])
        alice.groups.remove(sales)
        bob.groups.add(sales)
        assert (texts(alice), texts(bob)) == ([], ["To sales"])
        with pytest.raises(NoSuchMessage):
            inbox(alice).mark_read(str(announcement.reference))

    def test_announcement_to_two_groups_appears_once_for_member_of_both(self, alice: Any, sales: Group) -> None:
        support = Group.objects.create(name="Support")
        alice.groups.add(sales, support)
        announcement = announce("Hello", to=[sales, support, sales])
        assert texts(alice) == ["Hello"]
        assert announcement.audience_size == 1

    def test_group_announcement_reaches_nobody_after_group_is_deleted(self, alice: Any, sales: Group) -> None:
        alice.groups.add(sales)
        announcement = announce("To sales", to=sales)
        sales.delete()
        assert texts(alice) == []
        announcement.refresh_from_db()
        assert announcement.audience == "groups"
        assert not AnnouncementGroup.objects.exists()

    def test_announce_accepts_queryset_of_groups(self, alice: Any, sales: Group) -> None:
        alice.groups.add(sales)
        announce("Hello", to=Group.objects.filter(name="Sales"))
        assert texts(alice) == ["Hello"]


class TestRevise:
    def test_revise_changes_announcement_for_every_reader(self, alice: Any, bob: Any) -> None:
        announcement = announce("Closed at 4", to=EVERYONE)
        revised = revise(announcement, message="Closed at 5", level=constants.WARNING_PERSISTENT, url="/hours/")
        assert revised == announcement
        assert (texts(alice), texts(bob)) == (["Closed at 5"], ["Closed at 5"])
        assert (entry(alice).level, entry(alice).url) == (constants.WARNING_PERSISTENT, "/hours/")

    def test_revise_keeps_values_not_passed(self, alice: Any) -> None:
        announcement = announce("%(n)s", to=EVERYONE, params={"n": 1}, key="k", extra_tags="t", url="/")
        expires, publish_at = announcement.expires, announcement.publish_at
        revised = revise(announcement, level=constants.ERROR_PERSISTENT)
        revised.refresh_from_db()
        assert (revised.params, revised.key, revised.extra_tags, revised.url) == ({"n": 1}, "k", "t", "/")
        assert (revised.expires, revised.publish_at, revised.revision) == (expires, publish_at, 1)

    def test_revise_keeps_read_announcement_read(self, alice: Any) -> None:
        announcement = announce("Closed at 4", to=EVERYONE)
        inbox(alice).mark_read(entry(alice).pk)
        revise(announcement, message="Closed at 5")
        assert texts(alice) == []
        assert (str(entry(alice)), entry(alice).read) == ("Closed at 5", True)

    def test_revise_with_show_again_makes_announcement_unread_and_first(self, alice: Any, bob: Any) -> None:
        announcement = announce("Closed at 4", to=EVERYONE)
        announce("Something else", to=EVERYONE)
        inbox(alice).mark_read(str(announcement.reference))
        assert revise(announcement, message="Closed at 5", show_again=True).revision == 2
        for reader in (alice, bob):
            assert texts(reader) == ["Closed at 5", "Something else"]

    def test_revise_with_show_again_keeps_future_publish_at(self, alice: Any) -> None:
        start = timezone.now() + HOUR
        announcement = announce("Soon", to=EVERYONE, publish_at=start)
        assert revise(announcement, show_again=True).publish_at == start

    def test_revise_changes_publish_at_only_before_publication(self, alice: Any) -> None:
        announcement = announce("Soon", to=EVERYONE, publish_at=timezone.now() + HOUR)
        revise(announcement, publish_at=timezone.now() - HOUR)
        assert texts(alice) == ["Soon"]
        with pytest.raises(ValueError, match="publish_at cannot be changed: it has been published already"):
            revise(announcement, publish_at=timezone.now())

    def test_revise_accepts_earlier_expires(self, alice: Any) -> None:
        end = timezone.now() + HOUR
        assert revise(announce("Hello", to=EVERYONE), expires=end).expires == end

    @pytest.mark.parametrize(
        ("changes", "error", "words"),
        [
            ({"key": "k", "sound": 1}, TypeError, r"key, sound: cannot be changed: use message, level, params"),
            ({"message": ""}, ValueError, "message is blank"),
            ({"message": "x" * 10_001}, ValueError, "at most 10000"),
            ({"url": "javascript:"}, ValueError, "is not allowed"),
            ({"level": 20}, ValueError, r"level INFO \(20\) is not persistent"),
            ({"expires": "later"}, TypeError, "expires is 'later': use a datetime"),
            ({"expires": datetime(2020, 1, 1)}, ValueError, "in the past"),
            ({"must_acknowledge": 1}, TypeError, "must_acknowledge is 1: use True or False"),
        ],
    )
    def test_revise_with_invalid_changes_changes_nothing(
        self, alice: Any, changes: dict[str, Any], error: type[Exception], words: str
    ) -> None:
        announcement = announce("Hello", to=EVERYONE)
        before = (Announcement.objects.values().get(), rows())
        with pytest.raises(error, match=words):
            revise(announcement, **changes)
        assert (Announcement.objects.values().get(), rows()) == before

    def test_revise_refuses_ended_or_deleted_announcement(self, alice: Any) -> None:
        retracted = retract(announce("1", to=EVERYONE))
        expired, deleted = announce("2", to=EVERYONE), announce("3", to=EVERYONE)
        ago(expired, publish_at=-2 * HOUR, expires=-HOUR)
        Announcement.objects.filter(pk=deleted.pk).delete()
        for ended in (retracted, expired, deleted):
            with pytest.raises(NotPublished, match="Publish a new one"):
                revise(ended, message="Again")

    def test_revise_refuses_objects_other_than_publications(self, alice: Any, make_message: MakeMessage) -> None:
        others: list[Any] = [make_message(alice), None]
        for other in others:
            with pytest.raises(TypeError, match="pass an announcement or a broadcast"):
                revise(other, message="Hello")

    def test_revise_and_retract_refuse_announcement_of_other_tenant(self, alice: Any, globex: Tenant) -> None:
        announcement = announce("Hello", to=EVERYONE)
        with schema_context("globex"):
            for act in (revise, retract):
                with pytest.raises(WrongTenant, match="acme"):
                    act(announcement)

    def test_revise_and_retract_refuse_sender_without_permission(self, alice: Any) -> None:
        announcement = announce("Hello", to=EVERYONE)
        before = rows()
        with pytest.raises(PermissionDenied):
            revise(announcement, sender=alice, message="Mine")
        with pytest.raises(PermissionDenied):
            retract(announcement, sender=alice)
        assert (texts(alice), rows()) == (["Hello"], before)

    def test_revise_logs_audit_event_with_new_text(self, alice: Any) -> None:
        revise(announce("Closed at 4", to=EVERYONE), message="Closed at 5")
        assert list(AuditRecord.objects.order_by("id").values_list("action", "text")) == [
            ("announce", "Closed at 4"),
            ("revise", "Closed at 5"),
        ]


class TestRetract:
    def test_retract_hides_announcement_from_every_reader(self, alice: Any, bob: Any) -> None:
        announcement = announce("Wrong", to=EVERYONE)
        inbox(bob).mark_read(entry(bob).pk)
        with count_our_queries() as queries:
            retract(announcement)
        assert len([query for query in queries if query.startswith("UPDATE")]) == 1
        for reader in (alice, bob):
            assert texts(reader) == []
            assert inbox(reader).page().entries == []
            with pytest.raises(NoSuchMessage):
                inbox(reader).mark_read(str(announcement.reference))

    def test_retract_of_retracted_announcement_changes_nothing(self, alice: Any) -> None:
        first = retract(announce("Wrong", to=EVERYONE))
        before = rows()
        assert retract(first).retracted_at == first.retracted_at
        assert rows() == before


AJAX = {"X-Requested-With": "XMLHttpRequest"}


class TestAcknowledging:
    @pytest.fixture
    def browser(self, in_acme: Tenant, alice: Any, browser_of: BrowserOf) -> Client:
        browser: Client = browser_of(in_acme, alice)
        return browser

    @pytest.fixture
    def rules(self, alice: Any) -> Announcement:
        return announce("The new rules", to=EVERYONE, must_acknowledge=True)

    def test_mark_read_page_for_announcement_to_acknowledge_returns_409(
        self, browser: Client, alice: Any, rules: Announcement
    ) -> None:
        answer = browser.post(f"/messages/mark_read/{rules.reference}/", headers=AJAX)
        assert answer.status_code == 409
        assert "acknowledged" in answer.content.decode()
        assert texts(alice) == ["The new rules"]

    def test_inbox_marking_refuses_announcement_to_acknowledge(self, alice: Any, rules: Announcement) -> None:
        for act in (inbox(alice).mark_read, inbox(alice).mark_unread):
            with pytest.raises(MustAcknowledge):
                act(str(rules.reference))
        inbox(alice).mark_all_read()
        assert texts(alice) == ["The new rules"]
        assert not Receipt.objects.exists()

    def test_acknowledge_cannot_be_reverted_by_mark_unread(
        self, browser: Client, alice: Any, rules: Announcement
    ) -> None:
        assert browser.post(f"/messages/acknowledge/{rules.reference}/", headers=AJAX).status_code == 200
        assert texts(alice) == []
        with pytest.raises(MustAcknowledge):
            inbox(alice).mark_unread(str(rules.reference))

    def test_acknowledge_from_other_tenant_returns_404(
        self, alice: Any, rules: Announcement, globex: Tenant, make_user: MakeUser, browser_of: BrowserOf
    ) -> None:
        with schema_context("globex"):
            browser = browser_of(globex, make_user("alice"))
        assert browser.post(f"/messages/acknowledge/{rules.reference}/", headers=AJAX).status_code == 404
        with schema_context("acme"):
            assert texts(alice) == ["The new rules"]

    def test_acknowledge_of_earlier_revision_leaves_new_revision_unread(
        self, browser: Client, alice: Any, rules: Announcement
    ) -> None:
        shown = rules.reference
        revise(rules, message="The newer rules", show_again=True)
        assert browser.post(f"/messages/acknowledge/{shown}/", headers=AJAX).status_code == 200
        assert texts(alice) == ["The newer rules"]

    def test_ordinary_announcement_can_be_marked_read_and_unread(self, browser: Client, alice: Any) -> None:
        announcement = announce("Hello", to=EVERYONE)
        assert browser.post(f"/messages/mark_read/{announcement.reference}/", headers=AJAX).status_code == 200
        assert texts(alice) == []
        assert inbox(alice).mark_unread(str(announcement.reference))
        assert texts(alice) == ["Hello"]
