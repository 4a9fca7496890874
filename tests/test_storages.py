"""The storages: what each takes, what a page shows, what it costs."""

from datetime import timedelta

import pytest
from django.contrib import messages
from django.contrib.auth.models import AnonymousUser
from django.test import RequestFactory
from django.utils import timezone

from messages_extends import constants
from messages_extends.models import Message
from messages_extends.storages import FallbackStorage


@pytest.fixture
def request_of(acme):
    def make(user=None):
        request = RequestFactory(headers={"host": "acme.localhost"}).get("/")
        request.tenant, request.user, request.session = acme, user or AnonymousUser(), {}
        request._messages = FallbackStorage(request)
        return request

    return make


@pytest.mark.parametrize("level", constants.PERSISTENT_MESSAGE_LEVELS)
def test_a_persistent_message_is_saved_and_shown(in_acme, make_user, request_of, level):
    alice = make_user()
    request = request_of(alice)
    request._messages.level = 0
    messages.add_message(request, level, "Hello")
    assert Message.objects.get().level == level
    [shown] = request_of(alice)._messages
    assert (str(shown), shown.pk is not None) == ("Hello", True)
