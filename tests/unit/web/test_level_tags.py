"""The words of a level: a persistent and a sticky one have those of the level that they belong to."""

from typing import Any

import pytest
from django.contrib.messages.storage import base
from django.test import override_settings

from messages_extends.api import EVERYONE, add_sticky_error, announce, get_messages, send
from messages_extends.constants import DEFAULT_TAGS, ERROR, ERROR_PERSISTENT, ERROR_STICKY, WARNING
from tenants.models import Tenant
from tests.factories import MakeUser
from tests.unit.storages.test_storages import make_request


@pytest.mark.parametrize(
    ("tags", "persistent", "sticky"),
    [
        ({}, "error persistent", "error sticky"),
        ({ERROR: "danger"}, "danger persistent", "danger sticky"),
        ({ERROR: "danger big"}, "danger big persistent", "danger big sticky"),
        ({ERROR: ""}, "persistent", "sticky"),
        ({ERROR_PERSISTENT: "alarm"}, "alarm", "error sticky"),
        ({ERROR: "danger", ERROR_PERSISTENT: "alarm"}, "alarm", "danger sticky"),
        ({WARNING: "other"}, "error persistent", "error sticky"),
    ],
)
def test_level_tags_follow_message_tags_of_base_level(
    settings: Any, tags: dict[int, str], persistent: str, sticky: str
) -> None:
    settings.MESSAGE_TAGS = tags
    assert (base.LEVEL_TAGS[ERROR_PERSISTENT], base.LEVEL_TAGS[ERROR_STICKY]) == (persistent, sticky)


def test_level_tags_without_message_tags_use_defaults() -> None:
    with override_settings(MESSAGE_TAGS={ERROR: "danger"}):
        assert base.LEVEL_TAGS[ERROR_PERSISTENT] == "danger persistent"
    assert {level: base.LEVEL_TAGS[level] for level in DEFAULT_TAGS} == DEFAULT_TAGS


def test_get_messages_applies_message_tags_to_every_kind(settings: Any, in_acme: Tenant, make_user: MakeUser) -> None:
    settings.MESSAGE_TAGS = {ERROR: "danger"}
    alice = make_user("alice")
    announce("announcement", to=EVERYONE, level=ERROR_PERSISTENT)
    send(alice, "message", level=ERROR_PERSISTENT)
    request = make_request(in_acme, alice)
    add_sticky_error(request, "sticky")
    assert {str(message): (message.level_tag, message.tags) for message in get_messages(request)} == {
        "message": ("danger persistent", "danger persistent unread"),
        "announcement": ("danger persistent", "danger persistent announcement unread"),
        "sticky": ("danger sticky", "danger sticky"),
    }
