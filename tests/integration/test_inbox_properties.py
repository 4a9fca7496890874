"""Whatever the times, the kinds and the size of a page: walking an inbox finds each entry once, in one order."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import hypothesis.strategies as st
import pytest
from django.db import transaction
from django.utils import timezone
from django_tenants.utils import schema_context
from hypothesis import HealthCheck, example, given, settings

from messages_extends.api import EVERYONE, inbox
from messages_extends.broadcasts.models import Broadcast
from messages_extends.constants import ERROR, INFO, INFO_PERSISTENT, PERSISTENT_MESSAGE_LEVELS, base_level
from messages_extends.inbox.cursor import PATTERN, Cursor
from messages_extends.inbox.items import KINDS
from messages_extends.models import Announcement, Message

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("in_acme")]

# Few, so that many are equal: neighbouring microseconds, the first of all, and long ago.
TIMES = [timezone.now().replace(microsecond=at) - timedelta(days=1) for at in (0, 1, 999_999)]
TIMES += [datetime(1970, 1, 1, tzinfo=UTC), datetime(2000, 1, 1, tzinfo=UTC)]
LATER = timezone.now() + timedelta(days=1)


@dataclass(frozen=True)
class CreatedItem:
    kind: str
    at: datetime
    level: int


made = st.builds(
    CreatedItem, st.sampled_from(KINDS), st.sampled_from(TIMES), st.sampled_from(PERSISTENT_MESSAGE_LEVELS)
)


def make(user: Any, number: int, one: CreatedItem) -> Any:
    text = {"message": f"text {number}", "level": one.level}
    if one.kind == "message":
        # As text they would be in another order.
        message = Message.objects.create(pk=number + 5, user=user, **text)
        Message.objects.filter(pk=message.pk).update(created=one.at)
        return message.pk
    if one.kind == "announcement":
        return Announcement.objects.create(audience=EVERYONE.value, publish_at=one.at, expires=LATER, **text).pk
    with schema_context("public"):
        return Broadcast.objects.create(audience="all", publish_at=one.at, expires=LATER, **text).pk


def walk(user: Any, size: int, **chosen: Any) -> list[str]:
    """Return all texts, page after page, each of which is full but for the last, and not empty if there is another."""
    texts: list[str] = []
    after = ""
    while True:
        page = inbox(user).page(after, size=size, **chosen)
        texts += [str(entry) for entry in page.entries]
        if not page.next:
            return texts
        assert len(page.entries) == size
        assert page.next != after
        after = page.next


@settings(
    max_examples=40,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(entries=st.lists(made, max_size=14), size=st.integers(1, 6))
@example(entries=[CreatedItem(kind, TIMES[0], INFO_PERSISTENT) for kind in KINDS * 3], size=1)
@example(entries=[CreatedItem(kind, TIMES[0], INFO_PERSISTENT) for kind in KINDS * 3], size=4)
@example(entries=[CreatedItem("message", at, INFO_PERSISTENT) for at in TIMES] * 2, size=5)
def test_inbox_pages_list_each_item_once_in_order(alice: Any, entries: list[CreatedItem], size: int) -> None:
    with transaction.atomic():
        keyed = [(one, make(alice, number, one), f"text {number}") for number, one in enumerate(entries)]
        # The newest first; of the same moment messages, then announcements, then broadcasts; the highest key first.
        ordered = sorted(keyed, key=lambda each: (each[0].at, -KINDS.index(each[0].kind), each[1]), reverse=True)
        assert walk(alice, size) == [text for _one, _key, text in ordered]
        assert walk(alice, size, unread=True) == [text for _one, _key, text in ordered]
        for kind in KINDS:
            assert walk(alice, size, kind=kind) == [text for one, _key, text in ordered if one.kind == kind]
        for level in (INFO, ERROR):
            of_level = [text for one, _key, text in ordered if base_level(one.level) == level]
            assert walk(alice, size, level=level) == of_level
            assert walk(alice, size, level=level, unread=True) == of_level
        assert inbox(alice).unread_count() == len(entries)
        transaction.set_rollback(True)


@settings(max_examples=40, deadline=None, database=None, derandomize=True)
@given(
    st.builds(
        Cursor,
        st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)),
        st.just("message"),
        st.integers(0, 10**18 - 1),
    )
    | st.builds(
        Cursor,
        st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)),
        st.sampled_from(KINDS[1:]),
        st.uuids(),
    )
)
def test_cursor_parse_restores_formatted_cursor(position: Cursor) -> None:
    assert Cursor.parse(str(position)) == position


@pytest.mark.django_db
@settings(
    max_examples=60,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    text=st.text(max_size=60)
    | st.from_regex(PATTERN)
    | st.from_regex(r"\A[0-9]{1,16}-(message-[0-9]{1,18}|broadcast-[0-9a-f]{32})\Z")
)
def test_inbox_page_with_arbitrary_cursor_is_empty_or_raises_value_error(alice: Any, text: str) -> None:
    try:
        page = inbox(alice).page(text)
    except ValueError as error:
        assert "page" in str(error)  # noqa: PT017 - either is right
    else:
        assert page.entries == []
