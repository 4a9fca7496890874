"""Code written for django-messages-extends 0.6.3: what `send` refuses is saved and logged, and old names are there."""

import importlib
import logging
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib import messages
from django.contrib.auth.models import AnonymousUser
from django.contrib.messages import MessageFailure
from django.contrib.messages.storage import base
from django.contrib.messages.storage.base import Message as OrdinaryMessage
from django.contrib.messages.test import MessagesTestMixin
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.template import Context, Template
from django.test import RequestFactory, TestCase
from django.utils import timezone
from django.utils.safestring import mark_safe
from django_tenants.utils import schema_context

from messages_extends import api, deprecation, views
from messages_extends.access.grants import EVERYBODY, grant
from messages_extends.api import EVERYONE, announce, inbox, send
from messages_extends.constants import INFO_PERSISTENT, INFO_STICKY, PERSISTENT_MESSAGE_LEVELS
from messages_extends.exceptions import LevelOfMessageException, MessagesExtendsError, NoTenant, WrongTenant
from messages_extends.models import Message
from messages_extends.policy import AllowAll
from messages_extends.storages import FallbackStorage, PersistentStorage
from tenants.models import Tenant
from tests.conftest import count_our_queries
from tests.factories import MakeUser
from tests.unit.storages.test_storages import make_request, texts

pytestmark = pytest.mark.usefixtures("in_acme")

LONG, TOO_LONG = "x" * 20_000, "x" * 150_000


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], list[logging.LogRecord]]]:
    """Return what has been logged, as if nothing had been before; a warning of the warnings module is an error."""
    deprecation._logged.clear()
    with caplog.at_level("WARNING", "messages_extends"), warnings.catch_warnings():
        warnings.simplefilter("error")
        yield lambda: [record for record in caplog.records if record.name == "messages_extends"]


Logged = Callable[[], list[logging.LogRecord]]


class TestLeniency:
    @pytest.mark.parametrize(
        ("text", "options"),
        [
            ("Past", {"expires": timezone.now() - timedelta(days=1)}),
            ("Past", {"expires": date(2020, 1, 1)}),
            ("Past", {"expires": "2020-01-01 12:00"}),
            ("Past", {"expires": datetime.min}),
            (LONG, {}),
        ],
    )
    def test_add_message_saves_and_logs_values_refused_by_send(
        self, in_acme: Tenant, alice: Any, logged: Logged, text: str, options: Any
    ) -> None:
        with pytest.raises((ValueError, TypeError)):
            send(alice, text, **options)
        messages.add_message(make_request(in_acme, alice), INFO_PERSISTENT, text, **options)
        assert Message.objects.get().message == text
        assert texts(make_request(in_acme, alice)) == ([] if options else [text])
        [record] = logged()
        assert (record.levelname, Path(record.pathname)) == ("WARNING", Path(__file__))
        assert ("in the past" if options else "has 20000 characters") in record.getMessage()

    @pytest.mark.parametrize("never", [datetime.max, datetime.max.replace(tzinfo=UTC), datetime(9999, 1, 1)])
    def test_add_message_with_far_future_expires_stores_none(
        self, in_acme: Tenant, alice: Any, logged: Logged, never: datetime
    ) -> None:
        messages.add_message(make_request(in_acme, alice), INFO_PERSISTENT, "For good", expires=never)
        assert Message.objects.get().expires is None
        assert "too late to be stored" in logged()[0].getMessage()

    @pytest.mark.parametrize("day", [date(2090, 7, 1), "2090-07-01"])
    def test_add_message_with_date_as_expires_stores_midnight(
        self, in_acme: Tenant, alice: Any, logged: Logged, settings: Any, day: date | str
    ) -> None:
        settings.TIME_ZONE = "Europe/Berlin"
        messages.add_message(make_request(in_acme, alice), INFO_PERSISTENT, "Hello", expires=day)
        assert Message.objects.get().expires == datetime(2090, 6, 30, 22, tzinfo=UTC)
        assert "Pass a datetime." in logged()[0].getMessage()

    @pytest.mark.parametrize("wrong", ["tomorrow", 5, "2020-13-01"])
    def test_add_message_refuses_invalid_expires(self, in_acme: Tenant, alice: Any, wrong: Any) -> None:
        with pytest.raises((TypeError, ValueError)):
            messages.add_message(make_request(in_acme, alice), INFO_PERSISTENT, "Hello", expires=wrong)
        assert not Message.objects.exists()

    def test_add_message_truncates_text_beyond_100000_characters(
        self, in_acme: Tenant, alice: Any, logged: Logged
    ) -> None:
        messages.add_message(make_request(in_acme, alice), INFO_PERSISTENT, mark_safe(f"<b>{TOO_LONG}</b>"))
        cut = Message.objects.get()
        assert (len(cut.message), cut.is_safe) == (100_000, False)
        messages.add_message(make_request(in_acme, alice), INFO_PERSISTENT, mark_safe(f"<b>{LONG}</b>"))
        assert Message.objects.latest("id").is_safe
        assert len(logged()) == 2

    @pytest.mark.parametrize("blank", [" ", "\n\t", "\u00a0"])
    @pytest.mark.parametrize("anonymous", [False, True])
    def test_add_message_ignores_and_logs_blank_text(
        self, in_acme: Tenant, alice: Any, logged: Logged, blank: str, anonymous: bool
    ) -> None:
        messages.add_message(make_request(in_acme, None if anonymous else alice), INFO_PERSISTENT, blank)
        assert not Message.objects.exists()
        assert "blank" in logged()[0].getMessage()

    def test_add_message_for_inactive_user_is_shown_after_activation(
        self, in_acme: Tenant, alice: Any, sally: Any, logged: Logged
    ) -> None:
        grant(alice, sally)
        type(sally).objects.filter(pk=sally.pk).update(is_active=False)
        messages.add_message(make_request(in_acme, alice), INFO_PERSISTENT, "From Alice", user=sally)
        messages.add_message(make_request(in_acme), INFO_PERSISTENT, "From the application", user=sally)
        assert [record.getMessage().partition(":")[0] for record in logged()] == [
            f"The user with the primary key {sally.pk} is inactive"
        ] * 2
        type(sally).objects.filter(pk=sally.pk).update(is_active=True)
        assert texts(make_request(in_acme, sally)) == ["From the application", "From Alice"]
        assert set(Message.objects.values_list("sender__name", flat=True)) == {"alice", None}

    @pytest.mark.parametrize("allowed", ["nobody", "another", "all, but the sender is inactive"])
    def test_add_message_for_inactive_user_respects_policy(
        self, in_acme: Tenant, alice: Any, sally: Any, make_user: MakeUser, allowed: str
    ) -> None:
        type(sally).objects.filter(pk=sally.pk).update(is_active=False)
        if allowed == "another":
            grant(alice, make_user("bob"))
        request = make_request(in_acme, alice)
        if allowed.startswith("all"):
            grant(alice, EVERYBODY)
            type(alice).objects.filter(pk=alice.pk).update(is_active=False)
        with pytest.raises(PermissionDenied):
            messages.add_message(request, INFO_PERSISTENT, "Hello", user=sally, fail_silently=True)
        assert not Message.objects.exists()

    def test_add_message_for_inactive_user_respects_custom_policy(
        self, in_acme: Tenant, alice: Any, sally: Any, make_user: MakeUser, settings: Any
    ) -> None:
        settings.MESSAGES_EXTENDS = {"POLICY": "tests.unit.storages.test_backward_compatibility.AllowAllExceptSally"}
        bob = make_user("bob", is_active=False)
        type(sally).objects.filter(pk=sally.pk).update(is_active=False)
        messages.add_message(make_request(in_acme, alice), INFO_PERSISTENT, "Hello", user=bob)
        with pytest.raises(PermissionDenied):
            messages.add_message(make_request(in_acme, alice), INFO_PERSISTENT, "Hello", user=sally)
        assert [each.user for each in Message.objects.all()] == [bob]

    def test_deprecation_is_logged_once_per_line_of_code(self, in_acme: Tenant, alice: Any, logged: Logged) -> None:
        for _ in range(3):
            messages.add_persistant_info(make_request(in_acme, alice), LONG)
            make_request(in_acme, alice)._messages.add(INFO_PERSISTENT, LONG)
        lines = [record.lineno for record in logged()]
        assert (len(lines), Message.objects.count()) == (2, 6)
        assert lines[1] == lines[0] + 1

    def test_fail_silently_hides_only_missing_middleware(
        self, in_acme: Tenant, alice: Any, globex: Tenant, make_user: MakeUser
    ) -> None:
        plain = RequestFactory().get("/")
        messages.add_message(plain, INFO_PERSISTENT, "Hello", fail_silently=True, user=alice)
        api.persistant_error(plain, "Hello", fail_silently=True, expires=timezone.now())
        with pytest.raises(MessageFailure):
            messages.add_message(plain, INFO_PERSISTENT, "Hello", user=alice)
        with schema_context("globex"):
            stranger = make_user("stranger")
        public = type(in_acme)(schema_name="public")
        for request, options, error in (
            (make_request(in_acme, alice), {"user": stranger}, WrongTenant),
            (make_request(in_acme), {}, NotImplementedError),
            (make_request(public, alice), {}, NoTenant),
            (make_request(in_acme, alice), {"url": "javascript:alert(1)"}, ValueError),
        ):
            with pytest.raises(error):
                messages.add_message(request, INFO_PERSISTENT, "Hello", fail_silently=True, **options)
        assert not Message.objects.exists()


class AllowAllExceptSally(AllowAll):
    """Everybody may write to everybody but Sally."""

    def reachable_people(self, sender: Any) -> Any:
        return super().reachable_people(sender).exclude(Q(name="sally"))


class TestNames:
    def test_old_views_mark_messages_read(self, in_acme: Tenant, alice: Any) -> None:
        assert views.message_mark_read.__name__ == "message_mark_read"
        send(alice, "one")
        send(alice, "another")
        request = RequestFactory().post("/", headers={"X-Requested-With": "XMLHttpRequest"})
        request.user, request.tenant = alice, in_acme
        assert views.message_mark_read(request, str(Message.objects.latest("id").pk)).status_code == 200
        assert inbox(alice).unread_count() == 1
        assert views.message_mark_all_read(request).status_code == 200
        assert inbox(alice).unread_count() == 0

    @pytest.mark.parametrize(
        ("module", "name", "now"),
        [
            ("models", "LEVEL_TAGS", lambda: base.LEVEL_TAGS),
            ("storages", "PersistentMessage", lambda: Message),
            ("", "add_message", lambda: api.add_message),
            ("", "persistant_error", lambda: api.persistant_error),
            ("", "MessageFailure", lambda: MessageFailure),
            ("", "WARNING_STICKY", lambda: 28),
            ("", "PERSISTENT_MESSAGE_LEVELS", lambda: PERSISTENT_MESSAGE_LEVELS),
        ],
    )
    def test_deprecated_names_are_importable_and_logged(self, logged: Logged, module: str, name: str, now: Any) -> None:
        path = f"messages_extends.{module}".rstrip(".")
        scope: dict[str, Any] = {}
        for _ in range(2):
            exec(f"from {path} import {name}", scope)
        assert scope[name] is now()
        [record] = logged()
        assert record.getMessage().startswith(f"{path}.{name} is deprecated: use ")

    @pytest.mark.parametrize("module", ["", ".models", ".storages"])
    def test_unknown_names_raise_attribute_error(self, module: str) -> None:
        with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
            _ = importlib.import_module(f"messages_extends{module}").nothing

    def test_level_tags_follow_message_tags_setting(self, settings: Any) -> None:
        settings.MESSAGE_TAGS = {INFO_STICKY: "glued"}
        assert importlib.import_module("messages_extends.models").LEVEL_TAGS[INFO_STICKY] == "glued"

    def test_level_of_message_exception_is_messages_extends_error(self) -> None:
        with pytest.raises(MessagesExtendsError, match="does not process messages of this level"):
            raise LevelOfMessageException


class NewestLast(PersistentStorage):
    """A subclass as it was written for django-messages-extends."""

    def _message_queryset(self, include_read: bool = False) -> Any:
        return super()._message_queryset(include_read).exclude(message="hidden").order_by("pk")


class ByHand(FallbackStorage):
    storages_names = ("tests.unit.storages.test_backward_compatibility.NewestLast",)


class StorageOfSally(PersistentStorage):
    def get_user(self) -> Any:
        user: Any = super().get_user()
        return type(user).objects.get(name="sally") if user.is_authenticated else user


class TestSubclasses:
    @pytest.fixture
    def _old_storage(self, settings: Any) -> None:
        settings.MESSAGES_STORAGES = ("tests.unit.storages.test_backward_compatibility.NewestLast",)

    @pytest.mark.usefixtures("_old_storage")
    def test_message_queryset_override_selects_messages_next_to_publications(self, in_acme: Tenant, alice: Any) -> None:
        for text in ("first", "hidden", "second"):
            send(alice, text)
        announce("for everyone", to=EVERYONE)
        request = make_request(in_acme, alice)
        with count_our_queries() as queries:
            assert texts(request) == ["for everyone", "first", "second"]
        assert len(queries) == 2
        assert texts(make_request(in_acme)) == []

    @pytest.mark.usefixtures("_old_storage")
    def test_message_queryset_override_beyond_limit_shows_count_of_rest(self, in_acme: Tenant, alice: Any) -> None:
        for number in range(12):
            send(alice, str(number))
        assert texts(make_request(in_acme, alice)) == [*map(str, range(10)), "and 2 more"]

    def test_message_queryset_returns_messages_of_request_user(self, in_acme: Tenant, alice: Any, sally: Any) -> None:
        send([alice, sally], "one")
        inbox(alice).mark_all_read()
        send(alice, "another")
        storage = PersistentStorage(make_request(in_acme, alice))
        assert [str(each) for each in storage._message_queryset()] == ["another"]
        assert [str(each) for each in storage._message_queryset(include_read=True)] == ["another", "one"]

    def test_fallback_storage_subclass_uses_own_storages_names(self, in_acme: Tenant, alice: Any) -> None:
        assert [type(each) for each in ByHand(make_request(in_acme, alice)).storages] == [NewestLast]

    def test_get_user_override_selects_owner_of_messages(
        self, in_acme: Tenant, alice: Any, sally: Any, settings: Any
    ) -> None:
        settings.MESSAGES_STORAGES = ("tests.unit.storages.test_backward_compatibility.StorageOfSally",)
        send(sally, "for Sally")
        assert texts(make_request(in_acme, alice)) == ["for Sally"]
        messages.add_message(make_request(in_acme, alice), INFO_PERSISTENT, "added")
        assert set(Message.objects.values_list("user__name", flat=True)) == {"sally"}
        assert texts(make_request(in_acme, AnonymousUser())) == []


class TestRows:
    def test_message_row_equals_django_message_with_same_level_and_text(self, alice: Any) -> None:
        send(alice, "Yes", params={})
        row = Message.objects.get()
        same = OrdinaryMessage(INFO_PERSISTENT, "Yes")
        assert row == same
        assert same == row
        assert row != OrdinaryMessage(INFO_PERSISTENT, "No")
        assert row != OrdinaryMessage(INFO_STICKY, "Yes")
        assert row != "Yes"

    def test_message_rows_are_equal_only_by_primary_key(self, alice: Any) -> None:
        send(alice, "same")
        send(alice, "same")
        one, other = Message.objects.all()
        assert one != other
        assert one == Message.objects.get(pk=one.pk)
        assert len({one, other, Message.objects.get(pk=one.pk)}) == 2

    def test_django_assert_messages_accepts_message_rows(self, in_acme: Tenant, alice: Any) -> None:
        class Case(MessagesTestMixin, TestCase):
            pass

        request = make_request(in_acme, alice)
        messages.add_message(request, INFO_PERSISTENT, "Saved", extra_tags="big")
        response: Any = type("Response", (), {"wsgi_request": request})
        Case().assertMessages(response, [OrdinaryMessage(INFO_PERSISTENT, "Saved", extra_tags="big")])

    def test_message_attribute_in_template_is_rendered_text(self, in_acme: Tenant, alice: Any) -> None:
        send(alice, "%(count)d <i>left</i>", params={"count": 3})
        send(alice, mark_safe("<b>safe</b>"))
        announce("%(who)s joins", to=EVERYONE, params={"who": "Bob"})
        template = Template("{% for message in messages %}{{ message.message }}|{{ message.level }};{% endfor %}")
        shown = template.render(Context({"messages": make_request(in_acme, alice)._messages}))
        assert shown == "Bob joins|19;<b>safe</b>|19;3 &lt;i&gt;left&lt;/i&gt;|19;"
        assert Message.objects.order_by("id")[0].message == "%(count)d <i>left</i>"

    def test_message_row_refuses_iteration_and_indexing(self, alice: Any) -> None:
        send(alice, "Hello")
        row: Any = Message.objects.get()
        with pytest.raises(TypeError):
            iter(row)
        with pytest.raises(TypeError):
            row["url"]
        with pytest.raises(TypeError, match="use a user"):
            send(row, "Hello")
