"""Whatever happens in whatever order, everybody sees what was addressed to them and nothing else.

Hypothesis makes up the story, in three organisations whose people and groups have the same keys and names; a model in
plain Python (tests/oracle.py) says what it must lead to. A short run is part of the suite. For a long one, which
makes up new stories each time, say how many:

    STATEFUL_STORIES=1000 python -m pytest tests/integration/test_stateful.py
"""

# ruff: noqa: PLR0917 - Hypothesis names what it hands over

import os
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import hypothesis.strategies as st
import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.contrib.sessions.backends.base import SessionBase
from django.core.exceptions import PermissionDenied
from django.db import connection, transaction
from django.test import RequestFactory
from django.utils import timezone
from django_tenants.utils import get_tenant_model, schema_context
from hypothesis import HealthCheck, Phase
from hypothesis import settings as hypothesis_settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from messages_extends.access.grants import EVERYBODY as EVERYBODY_HERE
from messages_extends.access.grants import grant, revoke
from messages_extends.api import (
    ALL_TENANTS,
    EVERYONE,
    add_message,
    announce,
    broadcast,
    cancel,
    inbox,
    retract,
    revise,
    send,
)
from messages_extends.broadcasts.models import Broadcast
from messages_extends.constants import DEBUG, PERSISTENT_MESSAGE_LEVELS
from messages_extends.exceptions import MustAcknowledge, NoSuchMessage, NotPublished, RecipientUnavailable
from messages_extends.maintenance.purge import purge
from messages_extends.models import Announcement, Message, Receipt
from messages_extends.models.content import VIEWS, View
from messages_extends.models.publication import Reference
from messages_extends.storages import FallbackStorage
from messages_extends.tenancy.sessions import SessionStore
from tests import oracle as expected
from tests.conftest import SCHEMAS
from tests.oracle import (
    EVERYBODY,
    Marks,
    OracleMessage,
    OraclePublication,
    OracleState,
    Organisation,
    Person,
    Seen,
    Who,
)

pytestmark = pytest.mark.integration

STORIES = int(os.environ.get("STATEFUL_STORIES", "0"))
STEPS = 60
# To shrink takes minutes, and to explain takes more.
PHASES = [Phase.generate, *([Phase.shrink] if STORIES else [])]
PEOPLE, GROUPS = (1, 2, 3), (1, 2)
# So few that some are hidden.
BANNERS = 3
LATER, DAY = timedelta(hours=1), timedelta(days=1)

# Most happens in one, so that much of it meets.
schemas = st.sampled_from(["acme", "acme", "acme", "globex", "platform", "platform"])
people = st.sampled_from((1, 1, 2, 3))
groups = st.sampled_from(GROUPS)
some_people = st.sets(st.sampled_from(PEOPLE))
audiences = st.sampled_from([None, frozenset({1}), frozenset({2}), frozenset({1, 2})])
organisations = st.one_of(st.none(), st.sets(st.sampled_from(SCHEMAS), min_size=1))
# The application speaks often; a person mostly is refused.
senders = st.one_of(st.none(), people)
keys = st.sampled_from(["", "key"])
levels = st.sampled_from(PERSISTENT_MESSAGE_LEVELS)
holders = st.one_of(st.tuples(st.just("user"), people), st.tuples(st.just("group"), groups))
targets = st.one_of(holders, st.just(EVERYBODY))
numbers = st.integers(0, 40)
rarely = st.sampled_from([False, False, False, True])
# Of texts that are all "text" and a number.
searches = st.sampled_from(["text", "TEXT 1", "2", "te 3", "ext", "text 1 2"])
words_or_none = st.one_of(st.just(""), st.just(""), searches)

steps_taken = 0

# What can happen, each with what it needs to know.
happenings: list[st.SearchStrategy[tuple[str, dict[str, Any]]]] = []


def happens(often: int = 1, **values: st.SearchStrategy[Any]) -> Callable[[Any], Any]:
    """Let a method of the story happen: as often as any other, or more often.

    Not by rules of Hypothesis', which leaves about half of them out of each story: here things have to meet.
    """

    def note(method: Any) -> Any:
        happenings.extend(st.tuples(st.just(method.__name__), st.fixed_dictionaries(values)) for _ in range(often))
        return method

    return note


class InboxMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.undone = transaction.atomic()
        self.undone.__enter__()
        self.count = 0
        self.world = OracleState({schema: Organisation(schema) for schema in SCHEMAS})
        self.deleted: dict[str, list[Any]] = {schema: [] for schema in SCHEMAS}
        self.marked: list[tuple[str, int, Any]] = []
        for schema in SCHEMAS:
            with schema_context(schema), connection.cursor() as cursor:
                # The same in all of them: a mistaken organisation finds a row.
                cursor.execute("SELECT setval('messages_extends_message_id_seq', 1, false)")
            self._settle(schema)

    def _settle(self, schema: str) -> None:
        """Begin with three people, two groups that share one of them, some grants and something to read."""
        for user in PEOPLE:
            self._hire(schema, user, is_superuser=False)
        for group in GROUPS:
            self._found(schema, group)
            self._regroup(schema, group, {group, group + 1})
        for holder, target in ((("user", 1), ("user", 2)), (("user", 2), ("group", 1)), (("group", 2), ("user", 1))):
            self._grant(schema, holder, target, give=True)
        self._send(schema, None, lambda: Group.objects.get(pk=1), {1, 2}, "key", 19)
        self._announce(schema, None, {2}, "key", 29, must=True, scheduled=False)

    def teardown(self) -> None:
        connection.set_schema_to_public()
        transaction.set_rollback(True)
        self.undone.__exit__(None, None, None)

    @rule(what=st.deferred(lambda: st.one_of(happenings)))
    def happen(self, what: tuple[str, dict[str, Any]]) -> None:
        name, values = what
        getattr(self, name)(**values)

    # People and groups ----------------------------------------------------------------------------------------------

    @happens(schema=schemas, user=people, is_superuser=rarely)
    def hire_or_dismiss(self, schema: str, user: int, is_superuser: bool) -> None:
        """Make a person, perhaps with the key of one who is gone; or delete them, but for the last one."""
        if user not in self._here(schema).people:
            self._hire(schema, user, is_superuser)
        elif len(self._here(schema).people) > 1:
            self._dismiss(schema, user)

    def _hire(self, schema: str, user: int, is_superuser: bool) -> None:
        with schema_context(schema):
            get_user_model()._default_manager.create_user(
                pk=user, email=f"{user}@example.com", name=f"Person {user}", is_superuser=is_superuser
            )
        self._here(schema).people[user] = Person(is_superuser=is_superuser)

    def _dismiss(self, schema: str, user: int) -> None:
        here = self._here(schema)
        with schema_context(schema):
            self.deleted[schema].append(self._user(user))
            self._user(user).delete()
        del here.people[user]
        for members in here.groups.values():
            members.discard(user)
        here.forget(("user", user))
        here.letters = [each for each in here.letters if each.user != user]
        for paper in [*here.papers, *self.world.broadcasts]:
            paper.receipts.pop((schema, user), None)
            paper.marks.pop((schema, user), None)
        for paper in here.papers:
            paper.sender = None if paper.sender == user else paper.sender

    @happens(schema=schemas, user=people, is_inactive=rarely, is_superuser=rarely)
    def change_person(self, schema: str, user: int, is_inactive: bool, is_superuser: bool) -> None:
        user = self._somebody(schema, user)
        values = {"is_active": not is_inactive, "is_superuser": is_superuser}
        with schema_context(schema):
            get_user_model()._default_manager.filter(pk=user).update(**values)
        self._here(schema).people[user] = Person(**values)

    @happens(schema=schemas, group=groups)
    def found_or_dissolve(self, schema: str, group: int) -> None:
        if group in self._here(schema).groups:
            self._dissolve(schema, group)
        else:
            self._found(schema, group)

    def _found(self, schema: str, group: int) -> None:
        with schema_context(schema):
            Group.objects.create(pk=group, name=f"Group {group}")
        self._here(schema).groups[group] = set()

    def _dissolve(self, schema: str, group: int) -> None:
        here = self._here(schema)
        with schema_context(schema):
            Group.objects.get(pk=group).delete()
        del here.groups[group]
        here.forget(("group", group))
        for paper in here.papers:
            if paper.to is not None:
                paper.to.discard(group)

    @happens(schema=schemas, group=groups, members=some_people)
    def regroup(self, schema: str, group: int, members: set[int]) -> None:
        if group in self._here(schema).groups:
            self._regroup(schema, group, members)

    def _regroup(self, schema: str, group: int, members: set[int]) -> None:
        here = self._here(schema)
        with schema_context(schema):
            Group.objects.get(pk=group).user_set.set(members & here.people.keys())
        here.groups[group] = members & here.people.keys()

    # Grants ---------------------------------------------------------------------------------------------------------

    @happens(schema=schemas, holder=holders, whom=targets, give=st.sampled_from([True, True, False]))
    def grant(self, schema: str, holder: Who, whom: Who, give: bool) -> None:
        if self._exists(schema, holder) and self._exists(schema, whom):
            self._grant(schema, holder, whom, give=give)

    def _grant(self, schema: str, holder: Who, target: Who, *, give: bool) -> None:
        here = self._here(schema)
        with schema_context(schema):
            (grant if give else revoke)(self._one(holder), self._one(target))
        if target == EVERYBODY:
            (here.permissions.add if give else here.permissions.discard)((holder, expected.WRITE_TO_ALL))
        else:
            (here.grants.add if give else here.grants.discard)((holder, target))

    @happens(schema=schemas, holder=holders, permission=st.sampled_from(expected.PERMISSIONS), give=st.booleans())
    def permit(self, schema: str, holder: Who, permission: str, give: bool) -> None:
        """Give or take a permission about no object, past our own functions."""
        if not self._exists(schema, holder):
            return
        app, codename = permission.split(".")
        with schema_context(schema):
            one = self._one(holder)
            held = one.user_permissions if holder[0] == "user" else one.permissions
            row = Permission.objects.get(codename=codename, content_type__app_label=app)
            (held.add if give else held.remove)(row)
        permissions = self._here(schema).permissions
        (permissions.add if give else permissions.discard)((holder, permission))

    # Sending --------------------------------------------------------------------------------------------------------

    @happens(schema=schemas, sender=senders, user=people, key=keys, level=levels)
    def send_to_user(self, schema: str, sender: int | None, user: int, key: str, level: int) -> None:
        user = self._somebody(schema, user)
        self._send(schema, sender, lambda: self._user(user), [user], key, level, exactly=True)

    @happens(2, schema=schemas, sender=senders, to=st.sets(st.sampled_from(PEOPLE), min_size=1), key=keys, level=levels)
    def send_to_each(self, schema: str, sender: int | None, to: set[int], key: str, level: int) -> None:
        here = to & self._here(schema).people.keys()
        self._send(schema, sender, lambda: [self._user(each) for each in here], here, key, level, exactly=True)

    @happens(2, schema=schemas, sender=senders, group=groups, key=keys, level=levels)
    def send_to_group(self, schema: str, sender: int | None, group: int, key: str, level: int) -> None:
        members = self._here(schema).groups.get(group)
        if members is not None:
            self._send(schema, sender, lambda: Group.objects.get(pk=group), members, key, level)

    @happens(schema=schemas, sender=senders, to=some_people, key=keys, level=levels)
    def send_to_queryset(self, schema: str, sender: int | None, to: set[int], key: str, level: int) -> None:
        found = get_user_model()._default_manager.filter(pk__in=to)
        self._send(schema, sender, lambda: found, to & self._here(schema).people.keys(), key, level)

    @happens(schema=schemas, sender=senders)
    def send_to_somebody_deleted(self, schema: str, sender: int | None) -> None:
        gone = [each for each in self.deleted[schema] if each.pk not in self._here(schema).people]
        if gone:
            self._send(schema, sender, lambda: gone[-1], [gone[-1].pk], "", 19, exactly=True)

    def _send(
        self,
        schema: str,
        sender: int | None,
        recipients: Callable[[], Any],
        to: Iterable[int],
        key: str,
        level: int,
        *,
        exactly: bool = False,
        **options: Any,
    ) -> None:
        here, text = self._here(schema), self._text()
        sender = self._speaker(schema, sender)
        receiving = here.active(to)
        reasons = self._reasons_not_to_send(here, sender, set(to), receiving, exactly=exactly)
        with schema_context(schema), self._raises(reasons):
            speaking = None if sender is None else self._user(sender)
            written = send(recipients(), text, sender=speaking, key=key, level=level, **options)
            assert written == self._deliver(here, receiving, text, key, level, later="publish_at" in options)

    def _reasons_not_to_send(
        self, here: Organisation, sender: int | None, to: set[int], receiving: set[int], *, exactly: bool
    ) -> tuple[type[Exception], ...]:
        if exactly and receiving != to:
            return (RecipientUnavailable, PermissionDenied)
        if sender is None or {sender} == to == receiving:
            return ()
        allowed = here.people[sender].is_active and all(here.may_write_to(sender, each) for each in receiving)
        return () if allowed else (PermissionDenied,)

    def _deliver(
        self, here: Organisation, to: Iterable[int], text: str, key: str, level: int, *, later: bool = False
    ) -> int:
        with_key = [each for each in here.letters if key and each.key == key]
        new = set(to) - {each.user for each in with_key if each.read_at is None and not each.is_put_away}
        for user in new:
            put_away = [each for each in with_key if each.user == user and each.is_put_away]
            replaced = [each for each in put_away if each.read_at is None or not later]
            here.letters = [each for each in here.letters if not any(each is one for one in replaced)]
            row = Message.objects.get(message=text, user_id=user)
            marks = Marks(is_saved=any(each.marks.is_saved for each in replaced))
            here.letters.append(OracleMessage(row.pk, user, text, key, level, marks=marks))
        return len(new)

    # Django drops those below the lowest level of the request.
    @happens(schema=schemas, sender=people, user=senders, level=levels.filter(lambda level: level > DEBUG))
    def add_message(self, schema: str, sender: int, user: int | None, level: int) -> None:
        """Write in a request, to oneself or to somebody else; who is inactive is shown it once they are active."""
        here, text = self._here(schema), self._text()
        sender, user = self._somebody(schema, sender), self._speaker(schema, user)
        to = sender if user is None else user
        allowed = to == sender or here.may_write_to(sender, to)
        with schema_context(schema), self._raises(() if allowed else (PermissionDenied,)):
            request: Any = RequestFactory().get("/")
            session: SessionBase = SessionStore()
            request.session, request.user = session, self._user(sender)
            request.tenant = SimpleNamespace(schema_name=schema)
            request._messages = FallbackStorage(request)
            # As if the thread had been left in another organisation.
            with schema_context("public"):
                add_message(request, level, text, user=None if user is None else self._user_in(schema, user))
            self._deliver(here, {to}, text, "", level)

    @happens(schema=schemas)
    def cancel(self, schema: str) -> None:
        here, key = self._here(schema), "key"
        gone = [each for each in here.letters if each.key == key and each.read_at is None]
        ended = [each for each in here.papers if each.key == key and not each.has_ended]
        with schema_context(schema):
            assert cancel(key) == len(gone) + len(ended)
        here.letters = [each for each in here.letters if each not in gone]
        for paper in ended:
            paper.state = "retracted"

    # Publishing -----------------------------------------------------------------------------------------------------

    @happens(2, schema=schemas, sender=senders, to=audiences, key=keys, level=levels, must=rarely, scheduled=rarely)
    def announce(
        self, schema: str, sender: int | None, to: set[int] | None, key: str, level: int, must: bool, scheduled: bool
    ) -> None:
        self._announce(schema, sender, to, key, level, must=must, scheduled=scheduled)

    def _announce(
        self, schema: str, sender: int | None, to: set[int] | None, key: str, level: int, *, must: bool, scheduled: bool
    ) -> None:
        here, text, sender = self._here(schema), self._text(), self._speaker(schema, sender)
        chosen = None if to is None else to & here.groups.keys()
        if chosen is not None and not chosen:
            return
        refused = sender is not None and not here.may_announce(sender, chosen)
        with schema_context(schema), self._raises((PermissionDenied,) if refused else ()):
            row = announce(
                text,
                to=EVERYONE if chosen is None else Group.objects.filter(pk__in=chosen),
                sender=None if sender is None else self._user(sender),
                key=key,
                level=level,
                must_acknowledge=must,
                publish_at=timezone.now() + LATER if scheduled else None,
            )
            paper = OraclePublication("announcement", row.pk, text, chosen, key, level, must, sender)
            self._publish(here.papers, paper, scheduled=scheduled)

    @happens(2, schema=schemas, sender=senders, to=organisations, key=keys, level=levels, must=rarely, scheduled=rarely)
    def broadcast(
        self, schema: str, sender: int | None, to: set[str] | None, key: str, level: int, must: bool, scheduled: bool
    ) -> None:
        here, text, sender = self._here(schema), self._text(), self._speaker(schema, sender)
        with schema_context(schema), self._raises(self._reasons_not_to_broadcast(here, sender, expected.BROADCAST)):
            row = broadcast(
                text,
                to=ALL_TENANTS if to is None else get_tenant_model().objects.filter(schema_name__in=to),
                sender=None if sender is None else self._user(sender),
                key=key,
                level=level,
                must_acknowledge=must,
                publish_at=timezone.now() + LATER if scheduled else None,
            )
            paper = OraclePublication("broadcast", row.pk, text, to, key, level, must)
            self._publish(self.world.broadcasts, paper, scheduled=scheduled)

    def _reasons_not_to_broadcast(
        self, here: Organisation, sender: int | None, permission: str
    ) -> tuple[type[Exception], ...]:
        allowed = here.schema == "platform" and (sender is None or here.holds(sender, permission))
        return () if allowed else (PermissionDenied,)

    def _publish(self, papers: list[OraclePublication], new: OraclePublication, *, scheduled: bool) -> None:
        same = [each for each in papers if new.key and each.key == new.key]
        there = [each for each in same if not each.has_ended]
        if there:
            assert new.id == there[0].id
            return
        for paper in same:
            paper.key = ""
        new.state = "scheduled" if scheduled else "live"
        papers.append(new)

    @happens(
        4, schema=schemas, sender=senders, number=numbers, show_again=st.booleans(), must=st.none() | st.booleans()
    )
    def revise(self, schema: str, sender: int | None, number: int, show_again: bool, must: bool | None) -> None:
        changes: dict[str, Any] = {} if must is None else {"must_acknowledge": must}
        text = self._text()

        def act(row: Any, speaking: Any) -> None:
            revise(row, sender=speaking, show_again=show_again, message=text, **changes)

        def note(paper: OraclePublication) -> None:
            paper.text, paper.revision = text, paper.revision + show_again
            paper.must_acknowledge = paper.must_acknowledge if must is None else must

        self._change_publication(schema, sender, number, act, note, ended=(NotPublished,))

    @happens(schema=schemas, sender=senders, number=numbers)
    def retract(self, schema: str, sender: int | None, number: int) -> None:
        def note(paper: OraclePublication) -> None:
            paper.state = paper.state if paper.has_ended else "retracted"

        self._change_publication(schema, sender, number, lambda row, by: retract(row, sender=by), note, ended=())

    def _change_publication(
        self,
        schema: str,
        sender: int | None,
        number: int,
        act: Callable[[Any, Any], Any],
        note: Callable[[OraclePublication], None],
        *,
        ended: tuple[type[Exception], ...],
    ) -> None:
        here, sender = self._here(schema), self._speaker(schema, sender)
        papers = self._papers(schema, number)
        if not papers:
            return
        paper = papers[number % len(papers)]
        if paper.kind == "broadcast":
            refused = self._reasons_not_to_broadcast(here, sender, expected.CHANGE_BROADCASTS)
        else:
            refused = () if sender is None or here.may_change(sender, paper) else (PermissionDenied,)
        with schema_context(schema), self._raises(refused or (ended if paper.has_ended else ())):
            act(self._row(paper), None if sender is None else self._user(sender))
            note(paper)

    @happens(2, schema=schemas, user=people, key=keys, level=levels)
    def send_later(self, schema: str, user: int, key: str, level: int) -> None:
        user = self._somebody(schema, user)
        here, before = self._here(schema), {each.id for each in self._here(schema).letters}
        at = timezone.now() + LATER
        self._send(schema, None, lambda: self._user(user), [user], key, level, exactly=True, publish_at=at)
        for letter in here.letters:
            letter.is_scheduled |= letter.id not in before

    # Time -----------------------------------------------------------------------------------------------------------

    @happens(2, schema=schemas)
    def what_was_scheduled_or_snoozed_appears(self, schema: str) -> None:
        here, now = self._here(schema), timezone.now()
        with schema_context(schema):
            Message.objects.filter(publish_at__gt=now).update(publish_at=now)
            Message.objects.filter(snoozed_until__gt=now).update(snoozed_until=now)
            Receipt.objects.filter(snoozed_until__gt=now).update(snoozed_until=now)
        for letter in here.letters:
            letter.is_scheduled = letter.marks.is_snoozed = False
        for paper in [*here.papers, *self.world.broadcasts]:
            for (reader_schema, _user), marks in paper.marks.items():
                marks.is_snoozed &= reader_schema != schema

    @happens(1, schema=schemas, number=numbers)
    def a_message_expires(self, schema: str, number: int) -> None:
        letters = self._here(schema).letters
        if letters:
            letter = letters[number % len(letters)]
            with schema_context(schema):
                assert Message.objects.filter(pk=letter.id).update(expires=timezone.now()) == 1
            letter.is_expired = True

    @happens(schema=schemas, number=numbers, appears=st.booleans())
    def time_goes_by_for_a_publication(self, schema: str, number: int, appears: bool) -> None:
        papers = self._papers(schema, number)
        if not papers:
            return
        paper, now = papers[number % len(papers)], timezone.now()
        if appears and paper.state != "scheduled":
            return
        times = {"publish_at": now} if appears else {"publish_at": now - LATER, "expires": now}
        with schema_context("public" if paper.kind == "broadcast" else schema):
            self._rows(paper).filter(pk=paper.id).update(**times)
        if paper.state != "retracted":
            paper.state = "live" if appears else "expired"

    @happens(2, schema=schemas, user=people)
    def show_all_again_after_they_were_read(self, schema: str, user: int) -> None:
        """Read all, see them again, and read all again: undoing that leaves them as they were read before."""
        user = self._somebody(schema, user)
        self.mark_all(schema, user)
        for paper in self.world.papers_for(schema, user):
            with schema_context("public" if paper.kind == "broadcast" else schema):
                revise(self._row(paper), show_again=True)
            paper.revision += 1
        self.mark_all(schema, user)

    @happens()
    def purge_what_has_ended(self) -> None:
        """Let two days pass for all that has ended, and purge: nobody sees any difference."""
        long_ago = timezone.now() - 2 * DAY
        with schema_context("public"):
            self._age_publications(Broadcast.objects, long_ago)
            purge(1)
        self.world.broadcasts = [each for each in self.world.broadcasts if not each.has_ended]
        for schema in SCHEMAS:
            here = self._here(schema)
            with schema_context(schema):
                Message.objects.filter(expires__lte=timezone.now()).update(expires=long_ago)
                self._age_publications(Announcement.objects, long_ago)
                assert not purge(1)["grants"]
            here.letters = [each for each in here.letters if not each.is_expired]
            here.papers = [each for each in here.papers if not each.has_ended]

    def _age_publications(self, publications: Any, at: datetime) -> None:
        publications.filter(expires__lte=timezone.now()).update(publish_at=at - DAY, expires=at)
        publications.exclude(retracted_at=None).update(retracted_at=at)

    # Reading --------------------------------------------------------------------------------------------------------

    @happens(
        4,
        schema=schemas,
        user=people,
        number=numbers,
        act=st.sampled_from(["mark_read", "mark_read", "acknowledge", "mark_unread"]),
    )
    def mark_own(self, schema: str, user: int, number: int, act: str) -> None:
        """Mark one of those that a person sees."""
        user = self._somebody(schema, user)
        visible = [*self.world.letters_to(schema, user), *self.world.papers_for(schema, user)]
        if visible:
            self._mark(schema, user, visible[number % len(visible)], act)

    @happens(
        2,
        schema=schemas,
        user=people,
        other=schemas,
        number=numbers,
        act=st.sampled_from(["mark_read", "acknowledge", "mark_unread"]),
        revision=st.integers(-1, 1),
    )
    def mark_any(self, schema: str, user: int, other: str, number: int, act: str, revision: int) -> None:
        """Mark whatever there is anywhere, in a revision that may not be the current one."""
        user = self._somebody(schema, user)
        there: list[Any] = [*self._here(other).letters, *self._here(other).papers, *self.world.broadcasts]
        if there:
            self._mark(schema, user, there[number % len(there)], act, revision)

    def _mark(
        self, schema: str, user: int, what: OracleMessage | OraclePublication, act: str, revision: int = 0
    ) -> None:
        at = object()
        shown = max(1, what.revision + revision) if isinstance(what, OraclePublication) else 0
        pk = str(Reference(what.id, shown)) if isinstance(what, OraclePublication) else what.id
        if isinstance(what, OracleMessage):
            # The number alone: it names the reader's own message of that number, if there is one.
            letters = [each for each in self._here(schema).letters if not each.is_scheduled]
            own = [each for each in letters if (each.id, each.user) == (what.id, user)]
            refused: Any = () if own else (NoSuchMessage,)
        else:
            visible = what in self.world.papers_for(schema, user) and shown <= what.revision
            asked = what.must_acknowledge and act != "acknowledge"
            refused = ((MustAcknowledge,) if asked else ()) if visible else (NoSuchMessage,)
        with schema_context(schema), self._raises(refused):
            changed = getattr(inbox(self._user(user)), act)(pk)
            if isinstance(what, OracleMessage):
                assert changed == self._mark_letter(schema, own[0], act, at)
            elif act == "mark_unread":
                assert changed == what.unread(schema, user)
            else:
                assert changed == what.read(schema, user, shown, at)

    def _mark_letter(self, schema: str, letter: OracleMessage, act: str, at: object) -> bool:
        if act == "mark_unread":
            return self.world.unread(schema, letter)
        was_unread = letter.read_at is None
        letter.read_at = letter.read_at or at
        return was_unread

    @happens(
        8,
        schema=schemas,
        user=people,
        chosen=st.sets(numbers, min_size=1, max_size=3),
        act=st.sampled_from(["archive", "archive", "snooze", "save", "unarchive", "unsnooze", "unsave"]),
        view=st.sampled_from(["all", "all", *VIEWS]),
        by_filter=rarely,
    )
    def triage(self, schema: str, user: int, chosen: set[int], act: str, view: str, by_filter: bool) -> None:
        """Archive, snooze or save some of what a person sees, or all that a view shows."""
        user = self._somebody(schema, user)
        visible: list[Any] = [
            *self.world.letters_to(schema, user, view),
            *self.world.papers_for(schema, user, view),
        ]
        some = (
            visible
            if by_filter
            else list({id(one): one for one in (visible[n % len(visible)] for n in chosen)}.values())
            if visible
            else []
        )
        put_away = act in {"archive", "snooze"}
        touched = [each for each in some if not (put_away and self.world.is_to_acknowledge(schema, user, each))]
        refused = (MustAcknowledge,) if len(touched) < len(some) and not by_filter else ()
        arguments = [timezone.now() + LATER] if act == "snooze" else []
        with schema_context(schema), self._raises(refused):
            read = inbox(self._user(user))
            pks = [
                str(Reference(each.id, each.revision)) if isinstance(each, OraclePublication) else each.id
                for each in some
            ]
            selection = read.select_all(view=view) if by_filter else read.select(*pks)
            marked = getattr(selection, act)(*arguments)
            assert marked.count == self.world.triage(schema, user, touched, act, marked.at)
            self.marked.append((schema, user, marked.at))

    @happens(
        4,
        schema=schemas,
        user=people,
        words=searches,
        view=st.sampled_from(VIEWS),
        act=st.sampled_from([None, "archive", "snooze", "save", "unarchive", "unsnooze", "unsave"]),
        by_snapshot=st.booleans(),
    )
    def search(self, schema: str, user: int, words: str, view: View, act: str | None, by_snapshot: bool) -> None:
        """Search in a view, and perhaps archive, snooze or save all that is found."""
        user = self._somebody(schema, user)
        found = [
            each
            for each in (*self.world.letters_to(schema, user, view), *self.world.papers_for(schema, user, view))
            if expected.contains(each.text, words)
        ]
        with schema_context(schema):
            read = inbox(self._user(user))
            entries = read.search(words, view=view, size=1000).entries
            assert _seen(entries) == self.world.as_seen(schema, user, found)
            if act is None:
                return
            snapshot = read.snapshot(unread=False, view=view, search=words) if by_snapshot else None
            selection = read.select_all(snapshot, view=view, search=words)
            marked = getattr(selection, act)(*([timezone.now() + LATER] if act == "snooze" else []))
        put_away = act in {"archive", "snooze"}
        changed = [each for each in found if not (put_away and self.world.is_to_acknowledge(schema, user, each))]
        assert marked.count == self.world.triage(schema, user, changed, act, marked.at)
        self.marked.append((schema, user, marked.at))

    @happens(4, schema=schemas, user=people, view=st.sampled_from(["inbox", "inbox", *VIEWS]), words=words_or_none)
    def mark_all(self, schema: str, user: int, view: View = "inbox", words: str = "") -> None:
        user = self._somebody(schema, user)
        with schema_context(schema):
            marked = inbox(self._user(user)).mark_all_read(view=view, search=words)
        assert marked.count == self.world.read_all(schema, user, marked.at, view, words)
        self.marked.append((schema, user, marked.at))

    @happens(
        4,
        number=st.sampled_from([0, 0, 0, 1, 2]),
        schema=schemas,
        user=people,
        own=st.sampled_from([True, True, False]),
    )
    def undo(self, number: int, schema: str, user: int, own: bool) -> None:
        """Take a "mark all" back, one's own or, which changes nothing, somebody else's."""
        if not self.marked:
            return
        by, of, at = self.marked[-1 - number % len(self.marked)]
        schema, user = (by, of) if own else (schema, user)
        if user in self._here(schema).people:
            with schema_context(schema):
                assert inbox(self._user(user)).undo(at) == self.world.undo(schema, user, at)

    # What must hold -------------------------------------------------------------------------------------------------

    @invariant()
    def everybody_sees_what_was_addressed_to_them_and_nothing_else(self) -> None:
        global steps_taken  # noqa: PLW0603 - the long run says how long it was
        steps_taken += 1
        self.count += 1
        readers = [(schema, user) for schema in SCHEMAS for user in self._here(schema).people]
        for schema, user in readers:
            with schema_context(schema):
                entries = inbox(self._user(user)).page(size=1000).entries
            assert _seen(entries) == self.world.seen_by(schema, user)
            times = [each.shows_at for each in entries]
            assert times == sorted(times, reverse=True)
        # What the database checks at COMMIT, which no story here comes to; of every schema.
        connection.check_constraints()
        if readers:
            self._look_closely(*readers[self.count % len(readers)], size=1 + self.count % 3)

    def _look_closely(self, schema: str, user: int, size: int) -> None:
        expected_here = self.world.seen_by(schema, user)
        unread = [each for each in expected_here if not each[2]]
        of_level = self.world.levels_of(schema, user)
        with schema_context(schema):
            read = inbox(self._user(user))
            assert self._walk(read, size) == expected_here
            assert self._walk(read, size, unread=True) == unread
            for view in VIEWS:
                assert self._walk(read, size, view=view) == self.world.seen_by(schema, user, view)
            word = f"TEXT {1 + self.count % 9}"
            found = [each for each in expected_here if expected.contains(each[1], word)]
            assert self._walk(read, size, search=word) == found
            assert read.unread_count() == read.unread_count(exact=True) == len(unread)
            for kind in ("message", "announcement", "broadcast"):
                assert self._walk(read, size, kind=kind) == [each for each in expected_here if each[0] == kind]
            level = PERSISTENT_MESSAGE_LEVELS[self.count % 5]
            assert self._walk(read, size, level=level) == [each for each in expected_here if of_level[each[1]] == level]
            self._check_banners(read.banners(), unread)

    def _walk(self, read: Any, size: int, **chosen: Any) -> list[Seen]:
        """Go through all pages; each is full but for the last."""
        entries: list[Any] = []
        after = ""
        while True:
            page = read.page(after, size=size, **chosen)
            entries += page.entries
            after = page.next
            if not after:
                return _seen(entries)
            assert len(page.entries) == size

    def _check_banners(self, banners: list[Any], unread: list[Seen]) -> None:
        shown, rest = (banners[:BANNERS], banners[BANNERS:]) if len(unread) > BANNERS else (banners, [])
        assert set(_seen(shown)) <= set(unread)
        assert len(shown) == min(BANNERS, len(unread))
        assert [str(each) for each in rest] == ([f"and {len(unread) - BANNERS} more"] if len(unread) > BANNERS else [])
        urgency = [(each.must_acknowledge, each.level, each.shows_at) for each in shown]
        assert urgency == sorted(urgency, reverse=True)

    # Small things ---------------------------------------------------------------------------------------------------

    def _here(self, schema: str) -> Organisation:
        return self.world.organisations[schema]

    def _somebody(self, schema: str, user: int) -> int:
        """Return a person who is there: this one if possible."""
        people_here = sorted(self._here(schema).people)
        return user if user in people_here else people_here[user % len(people_here)]

    def _speaker(self, schema: str, sender: int | None) -> int | None:
        return None if sender is None else self._somebody(schema, sender)

    def _papers(self, schema: str, number: int) -> list[OraclePublication]:
        """Return the publications that can be named here: mostly those only that have not ended."""
        papers = [*self._here(schema).papers, *self.world.broadcasts]
        return papers if number % 3 == 0 else [each for each in papers if not each.has_ended]

    def _exists(self, schema: str, who: Who) -> bool:
        here = self._here(schema)
        there: dict[str, Any] = {"user": here.people, "group": here.groups, "everybody": (0,)}
        return who[1] in there[who[0]]

    def _one(self, who: Who) -> Any:
        if who == EVERYBODY:
            return EVERYBODY_HERE
        return self._user(who[1]) if who[0] == "user" else Group.objects.get(pk=who[1])

    def _user(self, user: int) -> Any:
        return get_user_model()._default_manager.get(pk=user)

    def _user_in(self, schema: str, user: int) -> Any:
        with schema_context(schema):
            return self._user(user)

    def _rows(self, paper: OraclePublication) -> Any:
        model: Any = Broadcast if paper.kind == "broadcast" else Announcement
        return model.objects.all()

    def _row(self, paper: OraclePublication) -> Any:
        return self._rows(paper).get(pk=paper.id)

    def _text(self) -> str:
        self.count += 1
        return f"text {self.count}"

    def _raises(self, errors: tuple[type[Exception], ...]) -> Any:
        return pytest.raises(errors) if errors else nullcontext()


def _seen(entries: Iterable[Any]) -> list[Seen]:
    return sorted((each.kind, str(each), each.read) for each in entries)


@pytest.mark.django_db
def test_inboxes_match_oracle_after_random_operations(settings: Any) -> None:
    settings.MESSAGES_EXTENDS = {**settings.MESSAGES_EXTENDS, "MAX_BANNERS": BANNERS}
    checks = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
    run_state_machine_as_test(
        InboxMachine,
        settings=hypothesis_settings(
            max_examples=STORIES or 6,
            stateful_step_count=STEPS,
            # The suite's own run is the same each time.
            derandomize=not STORIES,
            database=None,
            deadline=None,
            report_multiple_bugs=False,
            phases=PHASES,
            suppress_health_check=checks,
        ),
    )
    assert steps_taken > STEPS
    if STORIES:
        print(f"{steps_taken} steps")  # noqa: T201
