"""Ordinary levels behave as with Django's own FallbackStorage: what its tests assert of that, asserted of ours.

Each rule holds outside any organisation and inside one, with our storages in any order around Django's two.
"""

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib import messages
from django.contrib.messages import Message, MessageFailure, constants, get_level, set_level
from django.contrib.messages.storage import base
from django.contrib.messages.storage.cookie import CookieStorage as DjangoCookieStorage
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory, override_settings
from django.utils.crypto import get_random_string
from django.utils.functional import SimpleLazyObject
from django.utils.safestring import SafeData, mark_safe
from django.utils.translation import gettext_lazy

from messages_extends.storages import FallbackStorage

STICKY = "messages_extends.storages.StickyStorage"
PERSISTENT = "messages_extends.storages.PersistentStorage"
COOKIE = "django.contrib.messages.storage.cookie.CookieStorage"
SESSION = "django.contrib.messages.storage.session.SessionStorage"
ORDERS = {
    "default": None,
    "ours last": (COOKIE, SESSION, STICKY, PERSISTENT),
    "ours between": (COOKIE, STICKY, PERSISTENT, SESSION),
    "Django's only": (COOKIE, SESSION),
}


@pytest.fixture(params=list(ORDERS.values()), ids=list(ORDERS), autouse=True)
def order(request: pytest.FixtureRequest, settings: Any) -> None:
    if request.param:
        settings.MESSAGES_STORAGES = request.param


class Browser:
    """What a browser carries from one response to the next request."""

    def __init__(self, tenant: Any) -> None:
        self.tenant = tenant
        self.cookies: dict[str, str] = {}
        self.session: dict[str, Any] = {}

    def request(self) -> HttpRequest:
        request = HttpRequest()
        request.COOKIES, request.session = self.cookies, self.session
        if self.tenant:
            request.tenant = self.tenant
        request._messages = FallbackStorage(request)
        return request

    def storage(self) -> FallbackStorage:
        return self.request()._messages

    def respond(self, storage: FallbackStorage) -> tuple[list[Any] | None, HttpResponse]:
        response = HttpResponse()
        unstored = storage.update(response)
        for name, morsel in response.cookies.items():
            if morsel.value:
                self.cookies[name] = morsel.value
            else:
                self.cookies.pop(name, None)
        return unstored, response

    def cookie_texts(self) -> list[Any]:
        part = next(storage for storage in self.storage().storages if isinstance(storage, DjangoCookieStorage))
        return [getattr(message, "message", message) for message in part._get()[0] or []]

    def session_texts(self) -> list[str]:
        stored = [value for value in self.session.values() if value]
        return [item[3] for value in stored for item in json.loads(value)]


@pytest.fixture(params=[None, "acme"], ids=["outside", "inside"])
def browser(request: pytest.FixtureRequest) -> Browser:
    return Browser(SimpleNamespace(schema_name=request.param) if request.param else None)


def texts(storage: FallbackStorage) -> list[str]:
    return [str(message) for message in storage]


def incompressible(length: int) -> str:
    return get_random_string(length)


def test_message_is_shown_once_after_redirect(browser: Browser) -> None:
    storage = browser.storage()
    storage.add(constants.INFO, "Saved")
    browser.respond(storage)
    storage = browser.storage()
    assert texts(storage) == ["Saved"]
    browser.respond(storage)
    assert texts(browser.storage()) == []
    assert browser.cookies == {}


def test_messages_accumulate_until_shown(browser: Browser) -> None:
    for number in range(3):
        storage = browser.storage()
        storage.add(constants.INFO, f"Message {number}")
        browser.respond(storage)
    assert texts(browser.storage()) == ["Message 0", "Message 1", "Message 2"]


def test_message_added_and_shown_in_one_request_is_not_stored(browser: Browser) -> None:
    storage = browser.storage()
    storage.add(constants.INFO, "Shown at once")
    assert texts(storage) == ["Shown at once"]
    browser.respond(storage)
    assert (browser.cookies, browser.session_texts()) == ({}, [])


def test_message_added_after_iteration_is_kept_for_next_request(browser: Browser) -> None:
    storage = browser.storage()
    storage.add(constants.INFO, "First")
    assert texts(storage) == ["First"]
    storage.add(constants.INFO, "Second")
    browser.respond(storage)
    assert texts(browser.storage()) == ["Second"]


def test_response_without_new_messages_stores_nothing(browser: Browser) -> None:
    storage = browser.storage()
    unstored, response = browser.respond(storage)
    assert unstored is None
    assert not response.cookies


def test_iterating_storage_twice_returns_same_messages(browser: Browser) -> None:
    storage = browser.storage()
    storage.add(constants.INFO, "Kept")
    assert not storage.used
    assert texts(storage) == texts(storage) == ["Kept"]
    assert storage.used


def test_len_and_contains_do_not_mark_storage_as_used(browser: Browser) -> None:
    storage = browser.storage()
    storage.add(constants.INFO, "One")
    assert (len(storage), storage.used, storage.added_new) == (1, False, True)
    assert storage._queued_messages[0] in storage
    browser.respond(storage)
    assert texts(browser.storage()) == ["One"]


def test_empty_message_is_not_added(browser: Browser) -> None:
    storage = browser.storage()
    storage.add(constants.INFO, "")
    assert (len(storage), storage.added_new) == (0, False)


def test_lazy_text_is_stored_in_current_language(browser: Browser) -> None:
    storage = browser.storage()
    storage.add(constants.INFO, gettext_lazy("lazy message"), extra_tags=gettext_lazy("lazy-tag"))
    browser.respond(storage)
    [message] = browser.storage()
    assert (message.message, message.extra_tags) == ("lazy message", "lazy-tag")


def test_safe_text_is_restored_as_safe_and_other_text_is_not(browser: Browser) -> None:
    storage = browser.storage()
    storage.add(constants.INFO, mark_safe("<b>safe</b>"))
    storage.add(constants.INFO, "<b>not</b>")
    browser.respond(storage)
    assert [isinstance(message.message, SafeData) for message in browser.storage()] == [True, False]


@pytest.mark.parametrize("extra_tags", ["", None, "two tags"])
def test_extra_tags_are_restored_unchanged(browser: Browser, extra_tags: str | None) -> None:
    storage = browser.storage()
    storage.add(constants.INFO, "Tagged", extra_tags=extra_tags)
    browser.respond(storage)
    [message] = browser.storage()
    assert message.extra_tags == extra_tags


def test_few_messages_are_stored_only_in_cookie(browser: Browser) -> None:
    storage = browser.storage()
    for number in range(5):
        storage.add(constants.INFO, str(number) * 100)
    browser.respond(storage)
    assert (len(browser.cookie_texts()), browser.session) == (5, {})


def test_messages_beyond_cookie_size_are_stored_in_session(browser: Browser) -> None:
    sent = [incompressible(400) for _ in range(5)]
    storage = browser.storage()
    for text in sent:
        storage.add(constants.INFO, text)
    unstored, _response = browser.respond(storage)
    assert unstored == []
    in_cookie = len(browser.cookie_texts())
    assert 0 < in_cookie < 5
    assert browser.session_texts() == sent[in_cookie:]
    assert texts(browser.storage()) == sent


def test_message_too_large_for_cookie_is_stored_in_session(browser: Browser) -> None:
    sent = incompressible(5000)
    storage = browser.storage()
    storage.add(constants.INFO, sent)
    browser.respond(storage)
    assert (browser.cookie_texts(), browser.session_texts()) == ([], [sent])


def test_session_is_not_read_when_cookie_holds_all_messages(browser: Browser) -> None:
    storage = browser.storage()
    storage.add(constants.INFO, "In the cookie")
    browser.respond(storage)

    class Unreadable(dict[str, Any]):
        def get(self, *args: Any) -> Any:
            raise AssertionError("the session was read")

    browser.session = Unreadable()
    assert texts(browser.storage()) == ["In the cookie"]


def test_storages_are_emptied_after_messages_are_shown(browser: Browser) -> None:
    storage = browser.storage()
    for _ in range(5):
        storage.add(constants.INFO, incompressible(400))
    browser.respond(storage)
    storage = browser.storage()
    assert len(texts(storage)) == 5
    browser.respond(storage)
    assert (browser.cookies, browser.session_texts()) == ({}, [])


def test_tampered_cookie_shows_no_messages(browser: Browser) -> None:
    storage = browser.storage()
    storage.add(constants.INFO, "Signed")
    browser.respond(storage)
    browser.cookies = {name: value[1:] for name, value in browser.cookies.items()}
    assert texts(browser.storage()) == []


def test_message_cookie_has_attributes_of_session_cookie(browser: Browser) -> None:
    with override_settings(SESSION_COOKIE_SECURE=True, SESSION_COOKIE_HTTPONLY=True, SESSION_COOKIE_SAMESITE="Strict"):
        storage = browser.storage()
        storage.add(constants.INFO, "Hello")
        _unstored, response = browser.respond(storage)
    [cookie] = response.cookies.values()
    assert (cookie["secure"], cookie["httponly"], cookie["samesite"], cookie["expires"]) == (True, True, "Strict", "")


def test_default_message_level_is_info(browser: Browser) -> None:
    request = browser.request()
    assert get_level(request) == constants.INFO
    request._messages.add(constants.DEBUG, "Too low")
    request._messages.add(constants.INFO, "High enough")
    assert texts(request._messages) == ["High enough"]


@pytest.mark.parametrize(("level", "shown"), [(5, 5), (30, 2)])
def test_set_level_filters_added_messages(browser: Browser, level: int, shown: int) -> None:
    request = browser.request()
    assert set_level(request, level)
    for recorded in (constants.DEBUG, constants.INFO, constants.SUCCESS, constants.WARNING, constants.ERROR):
        request._messages.add(recorded, "Hello")
    assert len(request._messages) == shown


def test_set_level_none_restores_default(browser: Browser) -> None:
    request = browser.request()
    set_level(request, constants.ERROR)
    set_level(request, None)
    assert get_level(request) == constants.INFO


def test_message_level_setting_filters_added_messages(browser: Browser, settings: Any) -> None:
    settings.MESSAGE_LEVEL = 27
    storage = browser.storage()
    assert storage.level == 27
    for level in (constants.SUCCESS, 27, constants.WARNING):
        storage.add(level, "Hello")
    assert [message.level for message in storage] == [27, constants.WARNING]


def test_message_tags_join_extra_tags_and_level_tag(browser: Browser) -> None:
    storage = browser.storage()
    storage.level = 0
    storage.add(constants.DEBUG, "Hello", extra_tags="extra")
    storage.add(27, "A level of the host's own")
    storage.add(constants.ERROR, "Oh")
    assert [(message.tags, message.level_tag) for message in storage] == [
        ("extra debug", "debug"),
        ("", ""),
        ("error", "error"),
    ]


def test_message_tags_setting_changes_level_tags(browser: Browser, settings: Any) -> None:
    settings.MESSAGE_TAGS = {constants.ERROR: "bad", constants.WARNING: "", 27: "custom"}
    storage = browser.storage()
    for level in (constants.ERROR, constants.WARNING, 27):
        storage.add(level, "Hello")
    assert [message.tags for message in storage] == ["bad", "", "custom"]


def test_level_tags_are_evaluated_lazily(settings: Any) -> None:
    assert isinstance(base.LEVEL_TAGS, SimpleLazyObject)
    settings.MESSAGE_TAGS = {constants.ERROR: "bad"}
    assert base.LEVEL_TAGS[constants.ERROR] == "bad"


def test_storage_repr_names_class_and_request(browser: Browser) -> None:
    assert repr(browser.storage()) == "<FallbackStorage: request=<HttpRequest>>"


def test_fallback_storage_refuses_request_without_session() -> None:
    with pytest.raises(ImproperlyConfigured):
        FallbackStorage(HttpRequest())


def test_add_message_without_middleware_raises_message_failure() -> None:
    with pytest.raises(MessageFailure):
        messages.add_message(RequestFactory().get("/"), constants.INFO, "Hello")


def test_add_message_without_middleware_can_fail_silently() -> None:
    messages.add_message(RequestFactory().get("/"), constants.INFO, "Hello", fail_silently=True)


def test_add_message_with_none_as_request_raises_type_error() -> None:
    with pytest.raises(TypeError, match="must be an HttpRequest"):
        messages.add_message(None, constants.INFO, "Hello")


def test_add_message_accepts_request_wrapper(browser: Browser) -> None:
    request = browser.request()
    wrapper: Callable[..., Any] = type("Wrapper", (), {"__getattr__": lambda _self, name: getattr(request, name)})
    messages.add_message(wrapper(), constants.INFO, "Hello")
    assert texts(request._messages) == ["Hello"]


@pytest.mark.parametrize("name", ["debug", "info", "success", "warning", "error"])
def test_django_shortcuts_add_to_fallback_storage(browser: Browser, name: str) -> None:
    request = browser.request()
    set_level(request, 0)
    getattr(messages, name)(request, "Hello", extra_tags="extra")
    assert list(request._messages) == [Message(getattr(constants, name.upper()), "Hello", extra_tags="extra")]
