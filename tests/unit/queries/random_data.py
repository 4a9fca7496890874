"""Random organisations, in which each compiled query is held to what the ORM says without it.

Each suite of another host, with primary keys of another type, asks the same.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import hypothesis.strategies as st
from django.conf import settings as django_settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.core.exceptions import PermissionDenied
from django.db import connection, transaction
from django.test import override_settings
from django.utils import timezone
from django_tenants.utils import get_tenant_model, schema_context

from messages_extends.access import guards, pages, policy_queries, rate_limits
from messages_extends.access.grants import EVERY_GROUP, EVERYBODY, grant
from messages_extends.access.policy import (
    AllowAll,
    Policy,
    holds_on_person,
    pair_condition,
    reaches_group,
    reaches_person,
)
from messages_extends.broadcasts.models import Broadcast
from messages_extends.constants import ERROR_PERSISTENT, INFO_PERSISTENT
from messages_extends.exceptions import RateLimitExceeded
from messages_extends.inbox import feed
from messages_extends.inbox.filters import InboxFilter
from messages_extends.inbox.inbox import unread_counts
from messages_extends.inbox.items import KINDS
from messages_extends.models import Announcement, AuditRecord, Message, Receipt
from messages_extends.models.content import VIEWS
from messages_extends.queries import compiled
from messages_extends.queries.sql import names_of_people
from messages_extends.tenancy.databases import read_database, write_database

PEOPLE, GROUPS = 3, 2
HOUR = timedelta(hours=1)
NOW = timezone.now().replace(microsecond=7)
# Few, so that many are equal.
TIMES = [NOW - 2 * HOUR, NOW - HOUR, NOW, NOW + HOUR]
LIMITS = (("minute", 2), ("hour", 3))

person, group = st.integers(0, PEOPLE - 1), st.integers(0, GROUPS - 1)
holders = st.tuples(st.just("person"), person) | st.tuples(st.just("group"), group)
targets = holders | st.sampled_from([("all", EVERYBODY), ("all", EVERY_GROUP)])


@dataclass(frozen=True)
class Text:
    """A message to `reader`, or a publication to `group` or, with None, to all, which `reader` may have read."""

    kind: str
    at: datetime
    level: int
    reader: int
    group: int | None
    is_read: bool
    has_expired: bool


@dataclass(frozen=True)
class DataSet:
    texts: Sequence[Text]
    members: Sequence[tuple[int, int]]
    grants: Sequence[tuple[tuple[str, int], tuple[str, Any]]]
    permissions: Sequence[tuple[int, str]]
    superusers: Sequence[int]
    inactive: Sequence[int]
    records: Sequence[tuple[int, timedelta]]


texts = st.builds(
    Text,
    kind=st.sampled_from(KINDS),
    at=st.sampled_from(TIMES),
    level=st.sampled_from([INFO_PERSISTENT, ERROR_PERSISTENT]),
    reader=person,
    group=st.none() | group,
    is_read=st.booleans(),
    has_expired=st.booleans(),
)
data_sets = st.builds(
    DataSet,
    texts=st.lists(texts, max_size=12),
    members=st.lists(st.tuples(person, group), max_size=4),
    grants=st.lists(st.tuples(holders, targets), max_size=3),
    permissions=st.lists(
        st.tuples(person, st.sampled_from(["add_announcement", "view_announcement", "send_message"])), max_size=2
    ),
    superusers=st.lists(person, max_size=1),
    inactive=st.lists(person, max_size=1),
    records=st.lists(st.tuples(person, st.sampled_from([timedelta(seconds=5), 30 * HOUR / 60, 2 * HOUR])), max_size=8),
)


def compare_queries_on(data_set: DataSet, make_person: Callable[[int], Any], schema: str) -> None:
    """Store a data set in the current schema, compare all compiled queries with the ORM on it, and roll back."""
    with transaction.atomic():
        people = [make_person(number) for number in range(PEOPLE)]
        _fill(data_set, people, schema)
        for one in people:
            hold_feed(one, schema)
        hold_counts(people)
        hold_policy(people)
        hold_pairs(people)
        hold_limits(people)
        transaction.set_rollback(True)


def _fill(data_set: DataSet, people: Sequence[Any], schema: str) -> None:
    groups = [Group.objects.create(name=f"group {number}") for number in range(GROUPS)]
    named = {"person": people, "group": groups}
    for member, number in data_set.members:
        people[member].groups.add(groups[number])
    for (kind, number), (target_kind, target) in data_set.grants:
        grant(named[kind][number], target if target_kind == "all" else named[target_kind][target])
    for number, codename in data_set.permissions:
        people[number].user_permissions.add(*Permission.objects.filter(codename=codename))
    for number in data_set.superusers:
        people[number].is_superuser = True
        people[number].save()
    for number in data_set.inactive:
        people[number].is_active = False
        people[number].save()
    for number, text in enumerate(data_set.texts):
        _write(number, text, people, groups, schema)
    for number, age in data_set.records:
        record = AuditRecord.objects.create(actor_id=str(people[number].pk), action="send", subject="messages")
        with connection.cursor() as cursor:
            # Its records let nobody change them: not what they say, but whether they are rolled back, matters here.
            cursor.execute("SET LOCAL session_replication_role = replica")
            AuditRecord.objects.filter(pk=record.pk).update(recorded_at=timezone.now() - age)
            cursor.execute("SET LOCAL session_replication_role = DEFAULT")


def _write(number: int, text: Text, people: Sequence[Any], groups: Sequence[Group], schema: str) -> None:
    values: dict[str, Any] = {"message": f"text {number} %s", "level": text.level}
    reader = people[text.reader]
    expires = NOW - HOUR / 2 if text.has_expired and text.at < NOW - HOUR / 2 else NOW + 2 * HOUR
    if text.kind == "message":
        message = Message.objects.create(user=reader, expires=expires, **values)
        read_at = NOW if text.is_read else None
        Message.objects.filter(pk=message.pk).update(created=text.at, read_at=read_at)
        return
    publication: Any
    values |= {"publish_at": text.at, "expires": expires, "must_acknowledge": text.is_read}
    if text.kind == "announcement":
        publication = Announcement.objects.create(audience="everyone" if text.group is None else "groups", **values)
        if text.group is not None:
            publication.groups.add(groups[text.group])
    else:
        with schema_context("public"):
            publication = Broadcast.objects.create(audience="all" if text.group is None else "selected", **values)
            if text.group == 0:
                publication.tenants.add(get_tenant_model().objects.get(schema_name=schema))
    if text.is_read:
        Receipt.objects.create(user=reader, publication_id=publication.pk, revision=1, read_at=NOW)


def feed_queries(last: dict[str, Any]) -> Iterator[tuple[Any, dict[str, Any], dict[str, Any]]]:
    """Yield each query of the inbox: its builder, its values beyond those of all, and its shape."""
    filters = [InboxFilter(), InboxFilter(unread=True), InboxFilter(level=ERROR_PERSISTENT)]
    filters += [InboxFilter(view=view, unread=unread) for view in VIEWS for unread in (False, True)]
    filters += [InboxFilter(kind=kind) for kind in KINDS]
    yield feed.newest_banners, {}, {"limit": 3}
    yield feed.urgent_publications, {}, {"limit": 3}
    for chosen in filters:
        yield feed.page, {}, {"size": 4, "chosen": chosen}
        yield feed.unread_marks, {}, {"limit": None, "chosen": chosen}
        yield feed.unread_marks, {}, {"limit": 2, "chosen": chosen}
        yield feed.snapshot_rows, {}, {"limit": 3, "chosen": chosen}
    for kind, key in last.items():
        yield feed.page, {"last_at": NOW - HOUR, "last_id": key}, {"size": 4, "chosen": filters[0], "last": kind}


def hold_feed(user: Any, schema: str) -> None:
    first = {"message": Message.objects.first(), "announcement": Announcement.objects.first()}
    last = {kind: one.pk for kind, one in first.items() if one is not None}
    values = {"user": user, "at": NOW, "schema": schema}
    for build, more, shape in feed_queries(last):
        compare_with_orm(build, {**values, **more}, read_database(), **shape)


def compare_with_orm(build: Any, values: dict[str, Any], using: str, **shape: Any) -> None:
    """Assert that the query is compiled for everybody, and has the rows that the ORM finds without that."""
    query = compiled.kept_query(build, values, using, **shape)
    assert query is not None, f"{build.__name__} is not kept"
    rows = build(**values, **shape)
    expected = [tuple(row.values()) if isinstance(row, dict) else row for row in rows]
    assert sorted(map(repr, query.run(values))) == sorted(map(repr, expected)), build.__name__
    assert compiled.count(build, values, using, **shape) == len(expected)


def hold_condition(build: Any, sender: Any, model: Any) -> None:
    """Assert that the condition is compiled for everybody, and picks the rows that the ORM finds without that."""
    compiled_once = compiled.condition(build, {"sender": sender}, write_database(), model=model)
    assert isinstance(compiled_once.children[0], compiled.CompiledCondition), f"{build.__name__} is not kept"
    rows = model._base_manager.all()
    expected = set(rows.filter(build(sender)))
    assert set(rows.filter(compiled_once)) == expected, build.__name__
    # In a subquery the rows have another name.
    assert set(rows.filter(pk__in=rows.filter(compiled_once))) == expected, build.__name__


def hold_counts(people: Sequence[Any]) -> None:
    shape = {"limit": 100, "chosen": InboxFilter(unread=True)}
    values = {"at": timezone.now(), "schema": connection.schema_name}
    expected = {one.pk: len(feed.unread_marks(one, **values, **shape)) for one in people}
    assert unread_counts([one.pk for one in people]) == expected


def hold_policy(people: Sequence[Any]) -> None:
    keys = [one.pk for one in people]
    compare_with_orm(guards.members_with, {"keys": keys}, write_database(), inactive=False)
    compare_with_orm(guards.members_with, {"keys": keys[:1]}, write_database(), inactive=True)
    members = {one.pk for one in people if one.is_active}
    for sender in people:
        if not sender.is_active:
            continue
        for kind in (Policy, AllowAll):
            compare_with_orm(pages.page_access, {"person": sender}, read_database(), kind=kind)
        hold_condition(holds_on_person, sender, get_user_model())
        hold_condition(reaches_person, sender, get_user_model())
        hold_condition(reaches_group, sender, Group)
        reachable = {one.pk for one in Policy().reachable_people(sender)}
        for chosen in (keys, keys[:2], keys[1:], keys[2:]):
            wanted = members & set(chosen)
            try:
                found = set(guards.require_may_send(sender, chosen))
            except PermissionDenied:
                assert not wanted <= reachable
            else:
                assert wanted <= reachable
                assert found == wanted
            assert set(guards.require_may_send(None, chosen)) == wanted


def hold_pairs(people: Sequence[Any]) -> None:
    """Assert that the question about two people has the answer of the one about everybody."""
    using = write_database()
    member = policy_queries.member_condition(using)
    for kind in (Policy, AllowAll):
        pair = pair_condition(kind, using)
        assert member is not None
        assert pair is not None
        statement = f"SELECT {{key}} FROM {{people}} AS person WHERE {member} AND {pair}"
        for sender in people:
            with connection.cursor() as cursor:
                cursor.execute(statement.format(**names_of_people(using)), {"sender": sender.pk})
                found = {key for (key,) in cursor.fetchall()}
            reachable = {one.pk for one in kind().reachable_people(sender)}
            assert found == reachable, f"{kind.__name__} of {sender.pk!r}"
            assert {one.pk for one in people if kind().may_message(sender, one)} == reachable


def hold_limits(people: Sequence[Any]) -> None:
    now = timezone.now()
    own = {**getattr(django_settings, "MESSAGES_EXTENDS", {}), "SEND_LIMITS": dict(LIMITS)}
    for one in people:
        with override_settings(MESSAGES_EXTENDS=own), connection.cursor() as cursor:
            condition = rate_limits.limit_condition(one, now, write_database())
            cursor.execute(f"SELECT {condition.sql}", condition.values)
            is_free = cursor.fetchone() == (True,)
            try:
                rate_limits.check_rate_limit(one)
            except RateLimitExceeded:
                assert not is_free
            else:
                assert is_free
    since = {"since_minute": now - timedelta(minutes=1), "since_hour": now - HOUR}
    for one in people:
        values = {"actor": str(one.pk), **since}
        compare_with_orm(rate_limits.free_times, values, write_database(), records=AuditRecord, limits=LIMITS)
