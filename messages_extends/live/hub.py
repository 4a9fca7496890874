"""Manage the streams of this process: receive change events, count unread messages and write the counts.

The hub keeps a set of pending recipients for each tenant. New pages, change events, publications that appear or expire,
and gaps in the bus add to the set. One query per tenant counts for all of them.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Final, TypeVar

from django.db import InterfaceError, OperationalError, connections
from django.utils import timezone

from messages_extends.events.bus import Bus
from messages_extends.events.changes import ChangeEvent
from messages_extends.live import queries
from messages_extends.live.queries import Subscriber
from messages_extends.live.streams import Scope, Stream

logger = logging.getLogger(__name__)
Result = TypeVar("Result")

# Streams are rechecked at this interval; two intervals are less than a minute.
RECHECK_INTERVAL_S: Final = 25
# Tokens of a tenant are honoured for this time after the application has served a request of the tenant.
SERVED_FOR_S: Final = 2 * RECHECK_INTERVAL_S
# The number of tokens that one query checks, few enough for pages to be served in between.
TOKENS_PER_QUERY: Final = 100
# The first and the longest delay before reconnecting to the bus or the database.
BACKOFF_S: Final = (0.2, 2.0)
# The number of subscribers that one query rechecks.
SUBSCRIBERS_PER_QUERY: Final = 1_000
# The number of streams to update before yielding to the event loop.
STREAMS_PER_TURN: Final = 100
# Pages refetch an event for everybody within JITTER_MS per stream, and at most MAX_JITTER_MS.
JITTER_MS: Final = 5
MAX_JITTER_MS: Final = 30_000


@dataclass
class PendingRecipients:
    """The recipients whose unread messages must be counted again."""

    opened: set[Stream] = field(default_factory=set)
    users: set[str] = field(default_factory=set)
    groups: set[str] = field(default_factory=set)
    everyone: bool = False
    # Those for whom something that was scheduled or snoozed has appeared since the last time.
    due: bool = False
    # The time in milliseconds within which their pages may refetch.
    spread: int = 0

    def __bool__(self) -> bool:
        return bool(self.opened or self.users or self.groups or self.everyone or self.due)

    @property
    def user_keys(self) -> set[str]:
        return self.users | {stream.subscriber.user for stream in self.opened}

    def add(self, other: "PendingRecipients") -> None:
        self.opened |= other.opened
        self.users |= other.users
        self.groups |= other.groups
        self.everyone |= other.everyone
        self.due |= other.due
        self.spread = max(self.spread, other.spread)

    def pop(self, number: int) -> "PendingRecipients":
        """Remove and return up to `number` users and up to `number` new streams."""
        part = PendingRecipients(set(islice(self.opened, number)), set(islice(self.users, number)), spread=self.spread)
        self.opened -= part.opened
        self.users -= part.users
        return part


class TenantStreams:
    """The streams of one organisation."""

    def __init__(self, schema: str) -> None:
        self.schema = schema
        self.streams: dict[str, set[Stream]] = {}
        self.pending = PendingRecipients()
        # Users whose accounts have changed, so that their streams may have to end.
        self.accounts: set[str] = set()
        # When users to whom something has appeared were last resolved.
        self.due_since = timezone.now()
        # Whether something that appears later may have changed since the next refresh was scheduled.
        self.refresh_is_stale = True
        self.refresh: asyncio.TimerHandle | None = None
        # The number of consecutive rechecks in which the application refused every request.
        self.refused = 0
        self.failure_is_logged = False

    def __iter__(self) -> Iterator[Stream]:
        return (stream for streams in self.streams.values() for stream in streams)

    def apply(self, event: ChangeEvent) -> None:
        """Add the connected recipients of a change event to the pending ones."""
        self.pending.add(
            PendingRecipients(set(), set(event.users & self.streams.keys()), set(event.groups), event.everyone)
        )
        self.accounts |= event.accounts & self.streams.keys()
        self.refresh_is_stale |= bool(event.groups) or event.everyone or event.later

    def take_pending(self) -> PendingRecipients:
        pending, self.pending = self.pending, PendingRecipients()
        return pending

    def add(self, stream: Stream) -> None:
        self.streams.setdefault(stream.subscriber.user, set()).add(stream)
        self.pending.opened.add(stream)

    def remove(self, stream: Stream) -> None:
        self.pending.opened.discard(stream)
        streams = self.streams.get(stream.subscriber.user, set())
        streams.discard(stream)
        if not streams:
            self.streams.pop(stream.subscriber.user, None)

    def streams_of_users(self, users: Collection[str]) -> list[Stream]:
        return [stream for user in users for stream in self.streams.get(user, ())]

    def schedule_refresh(self, refresh: asyncio.TimerHandle | None) -> None:
        if self.refresh:
            self.refresh.cancel()
        self.refresh = refresh


class Hub:
    """The streams of one process and event loop."""

    def __init__(self, bus: Bus, is_served: Callable[[Scope], Awaitable[bool]]) -> None:
        """`is_served` tells whether a request still passes the middleware and reaches the view."""
        self.bus = bus
        self.is_served = is_served
        self.tenants: dict[str, TenantStreams] = {}
        self.sessions: dict[str, set[Stream]] = {}
        self.count = 0
        # When the application last served a request of each tenant.
        self._served: dict[str, float] = {}
        # The subscribers of tokens that are still to be checked, by schema.
        self._unchecked: dict[str, list[tuple[Subscriber, asyncio.Future[bool]]]] = {}
        self._has_pending = asyncio.Event()
        self._has_unchecked = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, "messages_extends.live", initializer=queries.use_dedicated_connection)
        # In new contexts: a task that is started in a request would keep that request's tenant.
        self._tasks = [
            asyncio.get_running_loop().create_task(work, context=Context())
            for work in (self._listen(), self._count_pending(), self._check_tokens(), self._recheck())
        ]

    async def close(self) -> None:
        """End all streams, tasks and connections."""
        for tenant in self.tenants.values():
            for stream in tenant:
                stream.end()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for unchecked in self._unchecked.values():
            _answer(unchecked, set())
        await self._in_thread(connections.close_all)
        self._thread.shutdown(wait=False)

    def streams_of(self, subscriber: Subscriber) -> int:
        tenant = self.tenants.get(subscriber.schema)
        return len(tenant.streams.get(subscriber.user, ())) if tenant else 0

    def add(self, stream: Stream) -> None:
        """Add a stream, which receives its unread count at once."""
        schema = stream.subscriber.schema
        tenant = self.tenants.setdefault(schema, TenantStreams(schema))
        tenant.add(stream)
        self.sessions.setdefault(stream.session, set()).add(stream)
        self.count += 1
        self._has_pending.set()

    def remove(self, stream: Stream) -> None:
        tenant = self.tenants[stream.subscriber.schema]
        tenant.remove(stream)
        of_session = self.sessions[stream.session]
        of_session.discard(stream)
        if not of_session:
            del self.sessions[stream.session]
        self.count -= 1
        if not tenant.streams:
            tenant.schedule_refresh(None)
            del self.tenants[tenant.schema]

    # Checking tokens --------------------------------------------------------------------------------------------------

    def note_served(self, schema: str) -> None:
        """Honour tokens of a tenant for some time: the application has just served a request of it."""
        self._served[schema] = asyncio.get_running_loop().time()

    def honours_tokens(self, schema: str) -> bool:
        """Tell whether the application has served a request of this tenant lately."""
        return asyncio.get_running_loop().time() < self._served.get(schema, -SERVED_FOR_S) + SERVED_FOR_S

    async def is_valid(self, subscriber: Subscriber) -> bool:
        """Tell whether the session and the account are still valid, by one query for all who ask at the same time."""
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._unchecked.setdefault(subscriber.schema, []).append((subscriber, answer))
        self._has_unchecked.set()
        return await answer

    async def _check_tokens(self) -> None:
        while True:
            await self._has_unchecked.wait()
            self._has_unchecked.clear()
            while self._unchecked:
                for schema in list(self._unchecked):
                    unchecked = self._unchecked.pop(schema)
                    if rest := unchecked[TOKENS_PER_QUERY:]:
                        self._unchecked[schema] = rest
                    await self._check_tokens_of(schema, unchecked[:TOKENS_PER_QUERY])

    async def _check_tokens_of(self, schema: str, unchecked: "list[tuple[Subscriber, asyncio.Future[bool]]]") -> None:
        subscribers = {subscriber for subscriber, _answer in unchecked}
        valid: set[Subscriber] = set()
        try:
            valid = subscribers - await self._in_thread(queries.revoked_subscribers, schema, subscribers)
        except Exception:
            logger.exception("Live updates could not check tokens in %s; the application decides instead.", schema)
        finally:
            _answer(unchecked, valid)

    # Receiving events -------------------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        pause, most = BACKOFF_S
        while True:
            try:
                async for text in self.bus.listen():
                    pause = BACKOFF_S[0]
                    self.receive(text)
            except Exception as error:
                # A bus may raise any error. Retry as long as there are streams.
                logger.warning("Live updates lost the bus and will reconnect: %s", error)
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - no secret
            pause = min(pause * 2, most)

    def receive(self, text: str | None) -> None:
        """Apply an event of the bus. None means that events may have been lost, so that anything may have changed."""
        try:
            event = ChangeEvent(None, everyone=True) if text is None else ChangeEvent.parse(text)
        except (ValueError, RecursionError):
            logger.warning("Live updates received an invalid change event: %.200r", text)
            return
        self._apply(event)

    # Counting and writing ---------------------------------------------------------------------------------------------

    async def _count_pending(self) -> None:
        while True:
            await self._has_pending.wait()
            self._has_pending.clear()
            while pending := [tenant for tenant in self.tenants.values() if tenant.pending or tenant.accounts]:
                # One batch per tenant in turn, so that a single message does not wait for another tenant's broadcast.
                for tenant in pending:
                    await self._review_accounts(tenant)
                    await self._count_in(tenant)

    async def _count_in(self, tenant: TenantStreams) -> None:
        pending = tenant.take_pending()
        try:
            await self._resolve(tenant, pending)
            part = pending.pop(queries.recipients_per_query())
            # Only if users are left, because their spread would delay the next update.
            if pending:
                tenant.pending.add(pending)
            pending = part
            counts = await self._in_thread(queries.unread_counts_of, tenant.schema, part.user_keys)
        except Exception:
            # The database may be unavailable, or code of the host project may fail: keep the recipients and retry.
            self._log_failure_once(tenant)
            tenant.refresh_is_stale = True
            asyncio.get_running_loop().call_later(BACKOFF_S[1], self._retry_later, tenant, pending)
            return
        tenant.failure_is_logged = False
        await _update(tenant.streams_of_users(part.users), counts, changed=True, spread=part.spread)
        await _update([stream for stream in part.opened if stream.subscriber.user not in part.users], counts)

    def _log_failure_once(self, tenant: TenantStreams) -> None:
        """Log the current exception, once until counting succeeds again."""
        if not tenant.failure_is_logged:
            logger.exception("Live updates could not count unread messages in %s and will retry.", tenant.schema)
        tenant.failure_is_logged = True

    async def _resolve(self, tenant: TenantStreams, pending: PendingRecipients) -> None:
        """Replace pending groups, everybody, or those to whom something has appeared, by connected users."""
        if pending.due:
            since, until = tenant.due_since, timezone.now()
            users = set(tenant.streams)
            pending.users |= await self._in_thread(queries.users_of_appearances, tenant.schema, users, since, until)
            pending.due, tenant.due_since = False, until
        if pending.groups or pending.everyone:
            groups = None if pending.everyone else pending.groups
            pending.users |= await self._in_thread(queries.recipients_among, tenant.schema, set(tenant.streams), groups)
            pending.groups, pending.everyone, pending.spread = (
                set(),
                False,
                min(len(tenant.streams) * JITTER_MS, MAX_JITTER_MS),
            )
        if tenant.refresh_is_stale:
            await self._schedule_refresh(tenant)

    def _retry_later(self, tenant: TenantStreams, pending: PendingRecipients) -> None:
        tenant.pending.add(pending)
        self._has_pending.set()

    async def _schedule_refresh(self, tenant: TenantStreams) -> None:
        """Schedule a count when the next publication appears or expires, or something scheduled or snoozed appears."""
        # Reset before the query: what is written meanwhile sets it again.
        tenant.refresh_is_stale = False
        next_change = await self._in_thread(queries.next_change, tenant.schema)
        appears = await self._in_thread(queries.next_appearance, tenant.schema, tenant.due_since)
        times = [time for time in (next_change, appears) if time is not None]
        if not times or self.tenants.get(tenant.schema) is not tenant:
            tenant.schedule_refresh(None)
            return
        # At most a day, after which the times are queried again.
        wait = min(max((min(times) - timezone.now()).total_seconds(), 0) + 0.01, 86_400)
        tenant.schedule_refresh(asyncio.get_running_loop().call_later(wait, self._refresh, tenant, next_change))

    def _refresh(self, tenant: TenantStreams, next_change: datetime | None) -> None:
        """Count for those for whom something appears now; for everybody if the publications have changed."""
        has_changed = next_change is not None and next_change <= timezone.now()
        tenant.pending.add(PendingRecipients(everyone=has_changed, due=True))
        tenant.refresh_is_stale = True
        self._has_pending.set()

    def _apply(self, event: ChangeEvent) -> None:
        for session in event.sessions & self.sessions.keys():
            for stream in self.sessions[session]:
                stream.end()
        tenants = self.tenants.values() if event.schema is None else filter(None, [self.tenants.get(event.schema)])
        for tenant in tenants:
            tenant.apply(event)
        self._has_pending.set()

    # Rechecking subscribers -------------------------------------------------------------------------------------------

    async def _recheck(self) -> None:
        while True:
            await asyncio.sleep(RECHECK_INTERVAL_S * random.uniform(0.9, 1))  # noqa: S311 - no secret
            self._served = {schema: at for schema, at in self._served.items() if self.honours_tokens(schema)}
            # Revoked subscribers of all tenants first, because requests to the application may be slow.
            for check in (self._end_revoked, self._close_if_refused):
                for tenant in list(self.tenants.values()):
                    try:
                        await check(tenant)
                    except Exception:
                        logger.exception("Live updates could not recheck the subscribers of %s.", tenant.schema)

    async def _review_accounts(self, tenant: TenantStreams) -> None:
        """Recheck users whose accounts have changed. After an error the periodic recheck follows."""
        if tenant.accounts:
            users, tenant.accounts = tenant.accounts, set()
            try:
                await self._end_revoked(tenant, [stream.subscriber for stream in tenant.streams_of_users(users)])
            except Exception:
                logger.exception("Live updates could not recheck the subscribers of %s.", tenant.schema)

    async def _end_revoked(self, tenant: TenantStreams, among: Sequence[Subscriber] | None = None) -> None:
        """End the streams of users who were logged out, deactivated or excluded."""
        subscribers = [stream.subscriber for stream in tenant] if among is None else among
        for start in range(0, len(subscribers), SUBSCRIBERS_PER_QUERY):
            part = set(subscribers[start : start + SUBSCRIBERS_PER_QUERY])
            _end_streams(tenant, await self._in_thread(queries.revoked_subscribers, tenant.schema, part))

    async def _close_if_refused(self, tenant: TenantStreams) -> None:
        """End all streams of a tenant that the application no longer serves.

        Two requests are repeated, because one may be refused for its own user, and two consecutive rechecks must fail,
        because the database may be unavailable for a moment.
        """
        streams = [stream for stream in tenant if not stream.has_ended]
        for stream in random.sample(streams, min(len(streams), 2)):
            if await self.is_served(stream.scope):
                tenant.refused = 0
                self.note_served(tenant.schema)
                return
        tenant.refused += 1
        self._served.pop(tenant.schema, None)
        if tenant.refused >= 2:
            _end_streams(tenant, {stream.subscriber for stream in streams})

    async def _in_thread(self, act: Callable[..., Result], *args: object) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, _run_with_reconnect, act, *args)


def _answer(unchecked: "Iterable[tuple[Subscriber, asyncio.Future[bool]]]", valid: Collection[Subscriber]) -> None:
    for subscriber, answer in unchecked:
        # It is done if the browser has disconnected meanwhile.
        if not answer.done():
            answer.set_result(subscriber in valid)


def _end_streams(tenant: TenantStreams, subscribers: Collection[Subscriber]) -> None:
    for stream in list(tenant):
        if stream.subscriber in subscribers:
            stream.end()


async def _update(
    streams: Collection[Stream], counts: Mapping[str, int], *, changed: bool = False, spread: int = 0
) -> None:
    for number, stream in enumerate(streams, 1):
        unread = counts.get(stream.subscriber.user)
        if unread is not None:
            stream.update(unread, changed=changed, spread=spread)
        if number % STREAMS_PER_TURN == 0:
            await asyncio.sleep(0)


def _run_with_reconnect(act: Callable[..., Result], *args: object) -> Result:
    """Run a query, and again after a new connection if the old one was lost."""
    try:
        return act(*args)
    except (InterfaceError, OperationalError):
        connections.close_all()
        return act(*args)
    except BaseException:
        connections.close_all()
        raise
