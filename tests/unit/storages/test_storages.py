"""Sticky and persistent messages: what each storage takes, what a page shows, what it costs."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.contrib import messages
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.contrib.messages.storage.base import BaseStorage
from django.contrib.messages.storage.base import Message as OrdinaryMessage
from django.contrib.messages.storage.cookie import CookieStorage
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.http import HttpResponse, HttpResponseRedirect
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone, translation
from django.utils.safestring import SafeData, mark_safe
from django.utils.translation import gettext_lazy
from django_tenants.utils import get_tenant_model, schema_context

from messages_extends import api, constants
from messages_extends.access.grants import grant
from messages_extends.broadcasts.models import Broadcast
from messages_extends.constants import (
    DEBUG_PERSISTENT,
    ERROR_STICKY,
    INFO,
    INFO_PERSISTENT,
    INFO_STICKY,
    PERSISTENT_MESSAGE_LEVELS,
    STICKY_MESSAGE_LEVELS,
    WARNING_PERSISTENT,
    base_level,
)
from messages_extends.exceptions import NoSessionTable, NoTenant, RecipientUnavailable, WrongTenant
from messages_extends.maintenance.personal_data import export
from messages_extends.models import Announcement, Message
from messages_extends.storages import FallbackStorage
from messages_extends.tenancy.sessions import SessionStore
from tenants.models import Tenant
from tests.conftest import count_our_queries
from tests.factories import BrowserOf, MakeUser

pytestmark = pytest.mark.usefixtures("in_acme")

STICKY = "messages_extends.storages.StickyStorage"
PERSISTENT = "messages_extends.storages.PersistentStorage"
COOKIE = "django.contrib.messages.storage.cookie.CookieStorage"
SESSION = "django.contrib.messages.storage.session.SessionStorage"


DANGEROUS = (
    "javascript:alert(1)",
    "data:text/html,x",
    " JavaScript:alert(1)",
    "java\tscript:alert(1)",
    "\x01javascript:alert(1)",
    "vbscript:x",
)


def store_link(user: Any, url: str, way: str) -> None:
    """Store a message with a link past everything that checks it."""
    values = {"user": user, "message": "Hello", "level": INFO_PERSISTENT}
    if way == "ORM":
        Message.objects.create(**values, url=url)
    elif way == "bulk":
        Message.objects.bulk_create([Message(**values, url=url)])
    else:
        Message.objects.create(**values)
        if way == "update":
            Message.objects.update(url=url)
        else:
            with connection.cursor() as cursor:
                cursor.execute("UPDATE messages_extends_message SET url = %s", [url])


def make_request(tenant: Any, user: Any = None, cookies: dict[str, str] | None = None) -> Any:
    request = RequestFactory().get("/")
    request.COOKIES = dict(cookies or {})
    request.tenant, request.user, request.session = tenant, user or AnonymousUser(), {}
    request._messages = FallbackStorage(request)
    return request


def respond(request: Any) -> dict[str, str]:
    response = HttpResponse()
    request._messages.update(response)
    return {name: morsel.value for name, morsel in response.cookies.items()}


def texts(request: Any) -> list[str]:
    return [str(message) for message in request._messages]


class TestPersistent:
    @pytest.mark.parametrize("level", PERSISTENT_MESSAGE_LEVELS)
    def test_persistent_message_is_shown_on_every_page_until_read(
        self, in_acme: Tenant, alice: Any, level: int
    ) -> None:
        request = make_request(in_acme, alice)
        request._messages.level = 0
        messages.add_message(request, level, "Hello", extra_tags="big")
        saved = Message.objects.get()
        assert (saved.level, saved.user, saved.sender, saved.extra_tags) == (level, alice, None, "big")
        for _ in range(2):
            page = make_request(in_acme, alice)
            assert [(message.pk, str(message)) for message in page._messages] == [(saved.pk, "Hello")]
            assert respond(page) == {}
        Message.objects.mark_read()
        assert texts(make_request(in_acme, alice)) == []

    def test_add_message_with_user_sends_to_that_user_with_sender(
        self, in_acme: Tenant, alice: Any, sally: Any
    ) -> None:
        grant(alice, sally)
        messages.add_message(make_request(in_acme, alice), INFO_PERSISTENT, "Hello", user=sally)
        assert (texts(make_request(in_acme, alice)), texts(make_request(in_acme, sally))) == ([], ["Hello"])
        assert Message.objects.get().sender == alice

    def test_add_message_with_user_without_grant_is_refused(self, in_acme: Tenant, alice: Any, sally: Any) -> None:
        with pytest.raises(PermissionDenied):
            messages.add_message(make_request(in_acme, alice), INFO_PERSISTENT, "Hello", user=sally)
        assert not Message.objects.exists()

    def test_add_message_accepts_user_and_expires_by_position(self, in_acme: Tenant, alice: Any, sally: Any) -> None:
        grant(alice, sally)
        tomorrow = timezone.now() + timedelta(days=1)
        messages.add_message(make_request(in_acme, alice), INFO_PERSISTENT, "Hello", "", False, sally, tomorrow)
        sent = Message.objects.get()
        assert (sent.user, sent.expires) == (sally, tomorrow)

    def test_add_message_refuses_primary_key_as_user(self, in_acme: Tenant, alice: Any, sally: Any) -> None:
        with pytest.raises(TypeError, match="not a user object"):
            messages.add_message(make_request(in_acme, alice), INFO_PERSISTENT, "Hello", user=sally.pk)
        assert not Message.objects.exists()

    def test_add_message_refuses_proxy_user_of_other_tenant(
        self, acme: Tenant, globex: Tenant, make_user: MakeUser
    ) -> None:
        staff = proxy_of_user()
        with schema_context("globex"):
            make_user("alice", pk=1000)
            stranger = staff.objects.get(pk=1000)
        with schema_context("acme"):
            alice, _same_pk = make_user("alice"), make_user("bob", pk=1000)
            with pytest.raises(WrongTenant):
                messages.add_message(make_request(acme, alice), INFO_PERSISTENT, "Hello", user=stranger)
            assert not Message.objects.exists()

    def test_add_message_from_anonymous_request_stores_no_sender(self, in_acme: Tenant, sally: Any) -> None:
        messages.add_message(make_request(in_acme), INFO_PERSISTENT, "Somebody tried to log in", user=sally)
        assert Message.objects.get().sender is None

    def test_add_message_refuses_anonymous_recipient(self, in_acme: Tenant) -> None:
        with pytest.raises(NotImplementedError, match="anonymous"):
            messages.add_message(make_request(in_acme), INFO_PERSISTENT, "Hello")
        assert not Message.objects.exists()

    def test_add_message_refuses_user_of_other_tenant(self, acme: Tenant, globex: Tenant, make_user: MakeUser) -> None:
        with schema_context("globex"):
            stranger = make_user("alice", pk=1000)
        with schema_context("acme"):
            alice, _same_pk = make_user("alice"), make_user("bob", pk=stranger.pk)
            with pytest.raises(WrongTenant, match="globex"):
                messages.add_message(make_request(acme, alice), INFO_PERSISTENT, "Hello", user=stranger)
            assert not Message.objects.exists()
        with schema_context("globex"):
            assert not Message.objects.exists()

    @pytest.mark.parametrize("gone", ["deleted", "deleted elsewhere", "never saved"])
    def test_add_message_refuses_deleted_or_unsaved_user(
        self, in_acme: Tenant, alice: Any, sally: Any, gone: str
    ) -> None:
        if gone == "deleted":
            sally.delete()
        elif gone == "deleted elsewhere":
            type(sally).objects.filter(pk=sally.pk).delete()
        else:
            sally = type(sally)(email="new@acme.example")
        with pytest.raises(RecipientUnavailable):
            messages.add_message(make_request(in_acme, alice), INFO_PERSISTENT, "Hello", user=sally)
        assert not Message.objects.exists()

    def test_add_message_refuses_user_deleted_during_own_request(self, in_acme: Tenant, alice: Any) -> None:
        request = make_request(in_acme, alice)
        type(alice).objects.filter(pk=alice.pk).delete()
        with pytest.raises(RecipientUnavailable):
            messages.add_message(request, INFO_PERSISTENT, "Hello")
        assert not Message.objects.exists()

    def test_add_message_refuses_inactive_sender(self, in_acme: Tenant, alice: Any, sally: Any) -> None:
        alice.is_active = False
        with pytest.raises(PermissionDenied):
            messages.add_message(make_request(in_acme, alice), INFO_PERSISTENT, "Hello", user=sally)
        assert not Message.objects.exists()

    def test_add_message_with_user_refuses_non_persistent_levels(self, in_acme: Tenant, alice: Any, sally: Any) -> None:
        request = make_request(in_acme, alice)
        with pytest.raises(ValueError, match="INFO_PERSISTENT"):
            messages.add_message(request, INFO, "Hello", user=sally)
        with pytest.raises(ValueError, match="user"):
            messages.add_message(request, INFO_STICKY, "Hello", user=sally)
        assert texts(request) == []

    def test_persistent_message_is_hidden_after_expires(self, in_acme: Tenant, alice: Any) -> None:
        now = timezone.now()
        for text, expires in (
            ("Past", now + timedelta(hours=1)),
            ("Future", now + timedelta(hours=1)),
            ("Never", None),
        ):
            messages.add_message(make_request(in_acme, alice), INFO_PERSISTENT, text, expires=expires)
        Message.objects.filter(message="Past").update(expires=now - timedelta(hours=1))
        assert texts(make_request(in_acme, alice)) == ["Never", "Future"]

    def test_persistent_message_is_filtered_by_base_level(self, in_acme: Tenant, alice: Any) -> None:
        request = make_request(in_acme, alice)
        messages.add_message(request, DEBUG_PERSISTENT, "Below the default level")
        messages.add_message(request, INFO_PERSISTENT, "At it")
        assert texts(make_request(in_acme, alice)) == ["At it"]

    def test_persistent_message_is_safe_only_when_marked_safe(self, in_acme: Tenant, alice: Any) -> None:
        for text in ("<i>plain</i>", mark_safe("<b>safe</b>")):
            messages.add_message(make_request(in_acme, alice), INFO_PERSISTENT, text)
        safe, plain = make_request(in_acme, alice)._messages
        assert isinstance(str(safe), SafeData)
        assert not isinstance(str(plain), SafeData)

    def test_persistent_message_with_params_uses_reader_language(self, in_acme: Tenant, alice: Any) -> None:
        request = make_request(in_acme, alice)
        messages.add_message(request, INFO_PERSISTENT, "Must be at least %(limit)s", params={"limit": "<3>"})
        messages.add_message(request, INFO_PERSISTENT, "Please enter a valid %(what)s", params={})
        broken, _translated = make_request(in_acme, alice)._messages
        assert str(broken) == "Please enter a valid %(what)s"
        messages.add_message(request, INFO_PERSISTENT, "Yes", params={})
        shown = next(iter(make_request(in_acme, alice)._messages))
        with translation.override("de"):
            assert str(shown) == "Ja"
        with translation.override("es"):
            assert str(shown) == "Sí"

    def test_lazy_text_with_params_is_stored_as_msgid(self, in_acme: Tenant, alice: Any) -> None:
        with translation.override("de"):
            messages.add_message(make_request(in_acme, alice), INFO_PERSISTENT, gettext_lazy("Yes"), params={})
        [shown] = make_request(in_acme, alice)._messages
        with translation.override("es"):
            assert str(shown) == "Sí"

    @pytest.mark.parametrize(
        ("text", "params"),
        [("%(a)s %(b)s", {"a": 1}), ("%c", [1114112]), ("%d", ["x"]), ("100%", {}), ("%d", {"a": 1})],
    )
    def test_persistent_message_with_unusable_params_keeps_text(
        self, in_acme: Tenant, alice: Any, text: str, params: Any
    ) -> None:
        messages.add_message(make_request(in_acme, alice), INFO_PERSISTENT, text, params=params)
        assert texts(make_request(in_acme, alice)) == [text]

    @pytest.mark.parametrize(
        "params",
        ["abc", 5, {"a": timezone.now()}, {"a": float("nan")}, {"a": "\0"}, ["\ud800"], {"a": gettext_lazy("b")}],
    )
    def test_add_message_refuses_params_not_storable_as_json(self, in_acme: Tenant, alice: Any, params: Any) -> None:
        with pytest.raises(ValueError, match=r"params|JSON"):
            messages.add_message(make_request(in_acme, alice), INFO_PERSISTENT, "Hello", params=params)
        assert not Message.objects.exists()

    def test_add_message_accepts_escaped_nul_text_in_params(self, in_acme: Tenant, alice: Any) -> None:
        messages.add_message(make_request(in_acme, alice), INFO_PERSISTENT, "%(a)s", params={"a": "\\u0000"})
        assert texts(make_request(in_acme, alice)) == ["\\u0000"]

    def test_params_of_safe_text_are_escaped(self, in_acme: Tenant, alice: Any) -> None:
        text = mark_safe("<b>%(name)s</b> has %(count)d")
        messages.add_message(
            make_request(in_acme, alice), INFO_PERSISTENT, text, params={"name": "<script>", "count": 3}
        )
        [shown] = make_request(in_acme, alice)._messages
        assert str(shown) == "<b>&lt;script&gt;</b> has 3"

    @pytest.mark.parametrize("text", ["%s", "%r", "%a"])
    def test_names_of_params_of_safe_text_are_escaped(self, in_acme: Tenant, alice: Any, text: str) -> None:
        options = {"params": {'" onclick="alert(1)': 1, "<script>": "<b>"}}
        messages.add_message(make_request(in_acme, alice), INFO_PERSISTENT, mark_safe(text), **options)
        [shown] = make_request(in_acme, alice)._messages
        assert isinstance(str(shown), SafeData)
        assert not set('"<>') & set(str(shown))

    def test_add_message_with_key_skips_while_unread(self, in_acme: Tenant, alice: Any) -> None:
        def send(text: str, **options: Any) -> None:
            messages.add_message(make_request(in_acme, alice), INFO_PERSISTENT, text, key="disk full", **options)

        send("First")
        send("Second")
        assert texts(make_request(in_acme, alice)) == ["First"]
        Message.objects.mark_read()
        send("Third", expires=timezone.now() + timedelta(hours=1))
        Message.objects.unread().update(expires=timezone.now() - timedelta(seconds=1))
        assert texts(make_request(in_acme, alice)) == []
        send("Fourth")
        assert texts(make_request(in_acme, alice)) == ["Fourth"]
        assert Message.objects.count() == 2

    @pytest.mark.parametrize(
        "url", ["javascript:alert(1)", "//evil.example/", "/\\evil.example", "ftp://x/", "http:///x"]
    )
    def test_add_message_refuses_unsafe_url(self, in_acme: Tenant, alice: Any, url: str) -> None:
        with pytest.raises(ValueError, match="use a path on this site"):
            messages.add_message(make_request(in_acme, alice), INFO_PERSISTENT, "Hello", url=url)
        assert not Message.objects.exists()

    @pytest.mark.parametrize("url", DANGEROUS)
    @pytest.mark.parametrize("way", ["ORM", "bulk", "update", "SQL"])
    def test_message_hides_unsafe_url_stored_without_validation(
        self, in_acme: Tenant, alice: Any, browser_of: BrowserOf, way: str, url: str
    ) -> None:
        store_link(alice, url, way)
        message = Message.objects.get()
        assert (message.url, Message.objects.values_list("url", flat=True)[0]) == ("", "")
        message.refresh_from_db()
        assert message.url == ""
        request = make_request(in_acme, alice)
        assert [each.url for each in request._messages] == [""]
        assert [each.url for each in api.inbox(alice).page().entries] == [""]
        browser = browser_of(in_acme, alice)
        for page in ("/", "/messages/", "/messages/panel/", "/messages/banners/", "/messages/badge/"):
            assert url.strip().split(":")[0] + ":" not in browser.get(page).text
        assert next(iter(export(alice)["messages_received"]))["url"] == ""

    @pytest.mark.parametrize("url", DANGEROUS[:2])
    def test_publication_hides_unsafe_url_stored_without_validation(
        self, in_acme: Tenant, alice: Any, browser_of: BrowserOf, url: str
    ) -> None:
        announcement = api.announce("Hello", to=api.EVERYONE, sender=None)
        Announcement.objects.update(url=url)
        with schema_context("public"):
            broadcast = api.broadcast("Hello", to=api.ALL_TENANTS)
            Broadcast.objects.update(url=url)
            assert Broadcast.objects.get(pk=broadcast.pk).url == ""
        assert Announcement.objects.get(pk=announcement.pk).url == ""
        assert [each.url for each in api.inbox(alice).page().entries] == ["", ""]
        root = get_user_model().objects.create_superuser("root@acme.example")
        for page in (f"/messages/announcements/{announcement.pk}/", f"/messages/announcements/{announcement.pk}/edit/"):
            answer = browser_of(in_acme, root).get(page)
            assert (answer.status_code, "script:" in answer.text) == (200, False)

    @pytest.mark.parametrize("url", ["/orders/5/", "orders/", "?page=2", "#top", "https://example.com/x"])
    def test_add_message_accepts_path_or_web_address_as_url(self, in_acme: Tenant, alice: Any, url: str) -> None:
        messages.add_message(make_request(in_acme, alice), INFO_PERSISTENT, "Hello", url=url)
        assert Message.objects.get().url == url

    @pytest.mark.parametrize(
        "options", [{"message": "a\0b"}, {"extra_tags": "x" * 129}, {"key": "k" * 201}, {"url": "/" + "u" * 2000}]
    )
    def test_add_message_refuses_values_not_storable_in_table(
        self, in_acme: Tenant, alice: Any, options: dict[str, Any]
    ) -> None:
        with pytest.raises(ValueError, match=next(iter(options))):
            messages.add_message(make_request(in_acme, alice), INFO_PERSISTENT, **{"message": "Hello", **options})
        assert not Message.objects.exists()

    def test_persistent_storage_in_public_shows_nothing_and_refuses_messages(self, in_acme: Tenant, alice: Any) -> None:
        public = get_tenant_model()(schema_name="public")
        request = make_request(public, alice)
        with count_our_queries() as queries:
            assert texts(request) == []
            with pytest.raises(NoTenant):
                messages.add_message(request, INFO_PERSISTENT, "Hello")
        assert queries == []


class TestBanners:
    def send(self, user: Any, count: int) -> None:
        Message.objects.bulk_create(
            Message(user=user, level=INFO_PERSISTENT, message=f"Message {number}") for number in range(count)
        )

    def test_banners_show_newest_message_first(self, in_acme: Tenant, alice: Any) -> None:
        self.send(alice, 3)
        assert texts(make_request(in_acme, alice)) == ["Message 2", "Message 1", "Message 0"]

    @pytest.mark.parametrize(
        ("count", "last"),
        [(10, "Message 0"), (11, "and 1 more"), (99, "and 89 more"), (100, "and 90+ more"), (250, "and 90+ more")],
    )
    def test_banners_show_ten_messages_and_count_of_rest(
        self, in_acme: Tenant, alice: Any, count: int, last: str
    ) -> None:
        self.send(alice, count)
        shown = list(make_request(in_acme, alice)._messages)
        assert (len(shown), str(shown[-1])) == (min(count, 11), last)

    def test_count_of_remaining_banners_is_ordinary_message_not_stored(self, in_acme: Tenant, alice: Any) -> None:
        self.send(alice, 11)
        request = make_request(in_acme, alice)
        *_saved, more = request._messages
        assert isinstance(more, OrdinaryMessage)
        assert (more.level, hasattr(more, "pk")) == (INFO, False)
        assert respond(request) == {}

    def test_max_banners_setting_limits_banners(self, in_acme: Tenant, alice: Any, settings: Any) -> None:
        settings.MESSAGES_EXTENDS = {"MAX_BANNERS": 2}
        self.send(alice, 4)
        assert texts(make_request(in_acme, alice)) == ["Message 3", "Message 2", "and 2 more"]


class TestSticky:
    @pytest.mark.parametrize("level", STICKY_MESSAGE_LEVELS)
    def test_sticky_message_is_shown_and_never_stored(self, in_acme: Tenant, level: int) -> None:
        request = make_request(in_acme)
        request._messages.level = 0
        messages.add_message(request, level, "Hello")
        assert [(message.level, message.tags) for message in request._messages] == [
            (level, constants.DEFAULT_TAGS[level])
        ]
        assert (respond(request), request.session) == ({}, {})

    @pytest.mark.parametrize("order", [(COOKIE, SESSION, PERSISTENT, STICKY), (STICKY, PERSISTENT, SESSION, COOKIE)])
    def test_sticky_message_not_shown_is_discarded_after_response(
        self, in_acme: Tenant, settings: Any, order: tuple[str, ...]
    ) -> None:
        settings.MESSAGES_STORAGES = order
        request = make_request(in_acme)
        messages.add_message(request, ERROR_STICKY, "Unseen")
        assert (respond(request), request.session) == ({}, {})

    def test_sticky_message_is_filtered_by_base_level(self, in_acme: Tenant) -> None:
        request = make_request(in_acme)
        messages.set_level(request, constants.WARNING)
        for level in STICKY_MESSAGE_LEVELS:
            messages.add_message(request, level, "Hello")
        assert [base_level(message.level) for message in request._messages] == [constants.WARNING, constants.ERROR]

    @pytest.mark.parametrize("response", [HttpResponseRedirect("/"), HttpResponse("<p>a part of a page</p>")])
    def test_lost_sticky_message_is_logged_only_in_debug(
        self, in_acme: Tenant, settings: Any, caplog: pytest.LogCaptureFixture, response: Any
    ) -> None:
        for settings.DEBUG in (False, True):
            request = make_request(in_acme)
            messages.add_message(request, INFO_STICKY, "never seen")
            messages.add_message(request, INFO, "carried on")
            request._messages.update(response)
        [record] = caplog.records
        assert "A sticky message was lost" in record.getMessage()
        assert record.getMessage().endswith("Message: 'never seen'")

    def test_shown_sticky_message_is_not_logged(
        self, in_acme: Tenant, settings: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        settings.DEBUG = True
        request = make_request(in_acme)
        messages.add_message(request, INFO_STICKY, "seen")
        assert texts(request) == ["seen"]
        respond(request)
        assert not caplog.records


def proxy_of_user() -> Any:
    """Make a proxy of the user model, once."""
    made: Any = apps.all_models["people"].get("staff")
    if made:
        return made
    meta = type("Meta", (), {"proxy": True, "app_label": "people"})
    user_model: Any = get_user_model()
    return type("Staff", (user_model,), {"__module__": __name__, "Meta": meta})


class ArchiveStorage(BaseStorage):
    """A storage of a host project, with the least that Django asks of one."""

    def _get(self, *args: Any, **kwargs: Any) -> tuple[list[Any], bool]:
        return [OrdinaryMessage(INFO, text) for text in self.request.session.get("archive", [])], False

    def _store(self, messages: list[Any], response: Any, *args: Any, **kwargs: Any) -> list[Any]:
        own = [message for message in messages if message.extra_tags == "archive"]
        self.request.session["archive"] = [message.message for message in own]
        return [message for message in messages if message not in own]


class OwnCookieStorage(CookieStorage):
    """A subclass of Django's, which knows nothing of tenants."""

    cookie_name = "own"


class SwallowingStorage(ArchiveStorage):
    """One that takes messages when they are added, as ours do, and has an option of its own."""

    def process_message(self, message: Any, *args: Any, loud: bool = False, **kwargs: Any) -> Any:
        self.request.session["loud"] = loud
        return None if loud else message


class TestOrders:
    @pytest.mark.parametrize(
        "order",
        [
            (STICKY, PERSISTENT, COOKIE, SESSION),
            (COOKIE, SESSION, STICKY, PERSISTENT),
            (SESSION, PERSISTENT, COOKIE),
            (PERSISTENT,),
        ],
    )
    def test_persistent_messages_are_shown_in_every_storage_order(
        self, in_acme: Tenant, alice: Any, settings: Any, order: tuple[str, ...]
    ) -> None:
        settings.MESSAGES_STORAGES = order
        messages.add_message(make_request(in_acme, alice), WARNING_PERSISTENT, "Saved")
        assert texts(make_request(in_acme, alice)) == ["Saved"]

    def test_messages_storages_setting_is_read_on_use(self, in_acme: Tenant, settings: Any) -> None:
        settings.MESSAGES_STORAGES = (SESSION,)
        request = make_request(in_acme)
        messages.info(request, "Hello")
        assert respond(request) == {}
        assert request.session

    def test_host_storage_stores_own_messages_and_passes_on_others(
        self, in_acme: Tenant, alice: Any, settings: Any
    ) -> None:
        settings.MESSAGES_STORAGES = ("tests.unit.storages.test_storages.ArchiveStorage", COOKIE, PERSISTENT)
        request = make_request(in_acme, alice)
        messages.info(request, "Mine", extra_tags="archive")
        messages.info(request, "Yours")
        messages.add_message(request, INFO_PERSISTENT, "Saved")
        cookies = respond(request)
        assert request.session == {"archive": ["Mine"]}
        page = make_request(in_acme, alice, cookies)
        page.session = request.session
        assert texts(page) == ["Mine", "Yours", "Saved"]

    def test_host_storage_may_consume_message(self, in_acme: Tenant, settings: Any) -> None:
        settings.MESSAGES_STORAGES = ("tests.unit.storages.test_storages.SwallowingStorage", COOKIE)
        request = make_request(in_acme)
        messages.add_message(request, INFO, "Gone", loud=True)
        assert (texts(request), request.session) == ([], {"loud": True})

    def test_persistent_storage_ignores_option_of_host_storage(
        self, in_acme: Tenant, alice: Any, settings: Any
    ) -> None:
        settings.MESSAGES_STORAGES = ("tests.unit.storages.test_storages.SwallowingStorage", PERSISTENT)
        messages.add_message(make_request(in_acme, alice), INFO_PERSISTENT, "Hello", loud=False)
        assert texts(make_request(in_acme, alice)) == ["Hello"]

    def test_message_refused_by_last_storage_is_returned_unstored(self, in_acme: Tenant, settings: Any) -> None:
        settings.MESSAGES_STORAGES = ("tests.unit.storages.test_storages.ArchiveStorage",)
        request = make_request(in_acme)
        messages.info(request, "Hello")
        assert [message.message for message in request._messages.update(HttpResponse())] == ["Hello"]


class TestTenantBinding:
    def test_message_cookie_is_ignored_and_kept_in_other_tenant(self, acme: Tenant, globex: Tenant) -> None:
        at_acme = make_request(acme)
        messages.info(at_acme, "Secret of acme")
        cookies = respond(at_acme)
        at_globex = make_request(globex, cookies=cookies)
        messages.info(at_globex, "Hello globex")
        assert texts(at_globex) == ["Hello globex"]
        assert not set(respond(at_globex)) & set(cookies)
        assert texts(make_request(acme, cookies=cookies)) == ["Secret of acme"]

    def test_host_subclass_of_cookie_storage_is_bound_to_tenant(
        self, acme: Tenant, globex: Tenant, settings: Any
    ) -> None:
        settings.MESSAGES_STORAGES = ("tests.unit.storages.test_storages.OwnCookieStorage",)
        at_acme = make_request(acme)
        messages.info(at_acme, "Secret of acme")
        cookies = respond(at_acme)
        assert set(cookies) == {"own_acme"}
        assert texts(make_request(globex, cookies={"own_globex": cookies["own_acme"]})) == []

    def test_message_cookie_renamed_for_other_tenant_is_refused(self, acme: Tenant, globex: Tenant) -> None:
        at_acme = make_request(acme)
        messages.info(at_acme, "Secret of acme")
        [value] = respond(at_acme).values()
        assert texts(make_request(globex, cookies={"messages_globex": value})) == []

    def test_message_cookie_in_public_schema_has_django_name(self, acme: Tenant) -> None:
        request = make_request(get_tenant_model()(schema_name="public"))
        messages.info(request, "Hello")
        assert set(respond(request)) == {"messages"}

    def test_session_messages_are_not_shown_in_other_tenant(self, acme: Tenant, globex: Tenant, settings: Any) -> None:
        settings.MESSAGES_STORAGES = (SESSION,)
        at_acme = make_request(acme)
        messages.info(at_acme, "Secret of acme")
        respond(at_acme)
        at_globex = make_request(globex)
        at_globex.session = at_acme.session
        assert json.dumps(at_acme.session).count("Secret of acme") == 1
        assert texts(at_globex) == []

    def test_message_cookie_hashes_schema_name_with_invalid_characters(self, acme: Tenant) -> None:
        request = make_request(get_tenant_model()(schema_name="acme & söhne"))
        messages.info(request, "Hello")
        [name] = respond(request)
        assert name.isascii()
        assert name.removeprefix("messages_").isalnum()

    def test_storages_use_tenant_of_request_not_of_connection(self, in_acme: Tenant, alice: Any) -> None:
        request = make_request(in_acme, alice)
        with schema_context("globex"):
            messages.add_message(request, INFO_PERSISTENT, "For acme")
            assert not Message.objects.exists()
            assert texts(make_request(in_acme, alice)) == ["For acme"]
            assert connection.schema_name == "globex"
        assert Message.objects.count() == 1


class TestPublicSchema:
    @pytest.fixture(autouse=True)
    def _in_public(self, in_acme: Tenant) -> None:
        connection.set_schema_to_public()

    def request(self, cookies: dict[str, str] | None = None) -> Any:
        request = make_request(get_tenant_model()(schema_name="public"), cookies=cookies)
        SessionMiddleware(lambda _request: HttpResponse()).process_request(request)
        request._messages = FallbackStorage(request)
        return request

    def test_ordinary_message_in_public_works_without_session_table(self, db: None) -> None:
        request = self.request({"sessionid": "a" * 32})
        messages.info(request, "Hello")
        assert texts(self.request({"sessionid": "a" * 32, **respond(request)})) == ["Hello"]

    def test_session_storage_in_public_returns_message_unstored(self, db: None, settings: Any) -> None:
        settings.MESSAGES_STORAGES = (SESSION,)
        request = self.request({"sessionid": "a" * 32})
        messages.info(request, "Hello")
        assert len(request._messages.update(HttpResponse())) == 1

    def test_saving_session_in_public_raises_no_session_table(self, db: None) -> None:
        store = SessionStore("a" * 32)
        assert dict(store.items()) == {}
        store["cart"] = 1
        with pytest.raises(NoSessionTable):
            store.save()


class TestQueries:
    def test_page_without_messages_takes_no_query(self, in_acme: Tenant, alice: Any) -> None:
        with count_our_queries() as queries:
            respond(make_request(in_acme, alice))
        assert queries == []

    def test_adding_ordinary_message_takes_no_query(self, in_acme: Tenant, alice: Any) -> None:
        with count_our_queries() as queries:
            request = make_request(in_acme, alice)
            messages.info(request, "Saved")
            respond(request)
        assert queries == []

    @pytest.mark.parametrize("unread", [0, 1, 200])
    def test_page_with_banners_takes_one_query(self, in_acme: Tenant, alice: Any, unread: int) -> None:
        TestBanners().send(alice, unread)
        with count_our_queries() as queries:
            request = make_request(in_acme, alice)
            assert bool(len(request._messages)) is bool(unread)
            for message in request._messages:
                assert str(message)
                assert message.tags
            respond(request)
        assert len(queries) == 1

    @pytest.mark.parametrize("key", ["", "k"])
    def test_adding_persistent_message_to_one_person_costs_one_query(
        self, in_acme: Tenant, alice: Any, sally: Any, key: str
    ) -> None:
        grant(alice, sally)
        # By the single statement that also asks the policy; see `test_single` for where it does not suffice.
        for recipient in (alice, sally):
            request = make_request(in_acme, alice)
            with CaptureQueriesContext(connection) as captured:
                messages.add_message(request, INFO_PERSISTENT, "Hello", user=recipient, key=key)
            queries = [each["sql"] for each in captured if "SAVEPOINT" not in each["sql"]]
            assert len(queries) == 1, queries

    def test_page_for_anonymous_user_takes_no_query(self, in_acme: Tenant) -> None:
        with count_our_queries() as queries:
            assert texts(make_request(in_acme)) == []
        assert queries == []


class TestShortcuts:
    @pytest.mark.parametrize("word", ["debug", "info", "success", "warning", "error"])
    @pytest.mark.parametrize("name", ["add_persistant_{}", "persistant_{}", "add_persistent_{}"])
    def test_persistent_shortcuts_work_on_django_and_api_modules(
        self, in_acme: Tenant, alice: Any, name: str, word: str
    ) -> None:
        request = make_request(in_acme, alice)
        messages.set_level(request, 0)
        for module in (messages, api):
            getattr(module, name.format(word))(request, "Hello", "extra")
        level = getattr(constants, f"{word.upper()}_PERSISTENT")
        assert list(Message.objects.values_list("level", "extra_tags")) == [(level, "extra")] * 2

    @pytest.mark.parametrize("word", ["debug", "info", "success", "warning", "error"])
    def test_sticky_shortcuts_work_on_django_and_api_modules(self, in_acme: Tenant, word: str) -> None:
        request = make_request(in_acme)
        messages.set_level(request, 0)
        for module in (messages, api):
            getattr(module, f"add_sticky_{word}")(request, "Hello")
        level = getattr(constants, f"{word.upper()}_STICKY")
        assert [message.level for message in request._messages] == [level] * 2

    def test_django_messages_module_has_only_functions_that_take_request(self) -> None:
        taking = {name for name in api.__all__ if name.startswith(("add_", "aadd_", "aget_", "persist"))}
        ours = {name for name in vars(messages) if getattr(vars(messages)[name], "__module__", "") == api.__name__}
        assert ours == taking


def test_response_without_messages_creates_no_storages(in_acme: Tenant, make_user: MakeUser) -> None:
    storage = FallbackStorage(make_request(in_acme, make_user()))
    storage.update(HttpResponse())
    assert "storages" not in vars(storage)
    storage.add(INFO, "Saved.")
    assert "storages" in vars(storage)


def test_late_created_storages_use_schema_of_request(in_acme: Tenant, make_user: MakeUser) -> None:
    request = make_request(in_acme, make_user())
    del request.tenant
    storage = FallbackStorage(request)
    with schema_context("globex"):
        names = [each.cookie_name for each in storage.storages if hasattr(each, "cookie_name")]
    assert names == ["messages_acme"]
