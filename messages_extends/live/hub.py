"""Hold all streams of this process: receive the change events, count what is unread, and write the counts.

What has to be written is a set of recipients to count for. A page that has just been opened, a change event, a moment
at which a publication appears, a gap in which events may have been lost: each adds to that set, and one query for each
tenant empties it.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context
from dataclasses import dataclass, field
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

# Seconds between two looks at who may stay; two of them are less than a minute.
RECHECK_INTERVAL_S: Final = 25
# Seconds until a lost bus, or database, is tried again: the first time, and at most.
BACKOFF_S: Final = (0.2, 2.0)
# Of how many people one query asks.
SUBSCRIBERS_PER_QUERY: Final = 1_000
# How many streams are told before anything else gets its turn.
STREAMS_PER_TURN: Final = 100
# Milliseconds for each stream within which pages refetch what everybody is told, and at most.
JITTER_MS: Final = 5
MAX_JITTER_MS: Final = 30_000


@dataclass
class PendingRecipients:
    """To whom something has to be said."""

    opened: set[Stream] = field(default_factory=set)
    users: set[str] = field(default_factory=set)
    groups: set[str] = field(default_factory=set)
    everyone: bool = False
    # Milliseconds within which their pages may refetch.
    spread: int = 0

    def __bool__(self) -> bool:
        return bool(self.opened or self.users or self.groups or self.everyone)

    @property
    def people(self) -> set[str]:
        return self.users | {stream.subscriber.user for stream in self.opened}

    def add(self, other: "PendingRecipients") -> None:
        self.opened |= other.opened
        self.users |= other.users
        self.groups |= other.groups
        self.everyone |= other.everyone
        self.spread = max(self.spread, other.spread)

    def take(self, number: int) -> "PendingRecipients":
        """Take out so many users, and so many pages that were opened."""
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
        # Whose accounts have changed, so that they may have to go.
        self.accounts: set[str] = set()
        # Publications may have changed since the alarm was set, to when the next appears or disappears by itself.
        self.refresh_is_stale = True
        self.refresh: asyncio.TimerHandle | None = None
        # How often in a row the host has not let anybody through to our view.
        self.refused = 0
        self.failure_is_logged = False

    def __iter__(self) -> Iterator[Stream]:
        return (stream for streams in self.streams.values() for stream in streams)

    def take(self, event: ChangeEvent) -> None:
        """Note whom of those who are here a change event concerns."""
        self.pending.add(
            PendingRecipients(set(), set(event.users & self.streams.keys()), set(event.groups), event.everyone)
        )
        self.accounts |= event.accounts & self.streams.keys()
        self.refresh_is_stale |= bool(event.groups) or event.everyone

    def take_pending(self) -> PendingRecipients:
        pending, self.pending = self.pending, PendingRecipients()
        return pending

    def enter(self, stream: Stream) -> None:
        self.streams.setdefault(stream.subscriber.user, set()).add(stream)
        self.pending.opened.add(stream)

    def leave(self, stream: Stream) -> None:
        self.pending.opened.discard(stream)
        streams = self.streams.get(stream.subscriber.user, set())
        streams.discard(stream)
        if not streams:
            self.streams.pop(stream.subscriber.user, None)

    def pages_of(self, users: Collection[str]) -> list[Stream]:
        return [stream for user in users for stream in self.streams.get(user, ())]

    def schedule_refresh(self, refresh: asyncio.TimerHandle | None) -> None:
        if self.refresh:
            self.refresh.cancel()
        self.refresh = refresh


class Hub:
    """One for each process and event loop, from its first stream on."""

    def __init__(self, bus: Bus, is_served: Callable[[Scope], Awaitable[bool]]) -> None:
        """`is_served` asks the host's middlewares whether a request would still reach our view."""
        self.bus = bus
        self.is_served = is_served
        self.tenants: dict[str, TenantStreams] = {}
        self.sessions: dict[str, set[Stream]] = {}
        self.count = 0
        self._has_pending = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, "messages_extends.live", initializer=queries.use_dedicated_connection)
        # In contexts of their own: a task that is started in a request keeps that request's tenant for ever.
        self._tasks = [
            asyncio.get_running_loop().create_task(work, context=Context())
            for work in (self._listen(), self._count(), self._watch())
        ]

    async def close(self) -> None:
        """End all streams and everything else that was started."""
        for tenant in self.tenants.values():
            for stream in tenant:
                stream.end()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._in_thread(connections.close_all)
        self._thread.shutdown(wait=False)

    def streams_of(self, subscriber: Subscriber) -> int:
        tenant = self.tenants.get(subscriber.schema)
        return len(tenant.streams.get(subscriber.user, ())) if tenant else 0

    def enter(self, stream: Stream) -> None:
        """Take in a stream, which is told at once how things stand."""
        schema = stream.subscriber.schema
        tenant = self.tenants.setdefault(schema, TenantStreams(schema))
        tenant.enter(stream)
        self.sessions.setdefault(stream.session, set()).add(stream)
        self.count += 1
        self._has_pending.set()

    def leave(self, stream: Stream) -> None:
        tenant = self.tenants[stream.subscriber.schema]
        tenant.leave(stream)
        of_session = self.sessions[stream.session]
        of_session.discard(stream)
        if not of_session:
            del self.sessions[stream.session]
        self.count -= 1
        if not tenant.streams:
            tenant.schedule_refresh(None)
            del self.tenants[tenant.schema]

    # Hearing --------------------------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        pause, most = BACKOFF_S
        while True:
            try:
                async for text in self.bus.listen():
                    pause = BACKOFF_S[0]
                    self.hear(text)
            except Exception as error:
                # Whatever a bus may raise: it is tried again for as long as there are streams.
                logger.warning("Live updates hear nothing, and try again: %s", error)
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - no secret
            pause = min(pause * 2, most)

    def hear(self, text: str | None) -> None:
        """Note what a text of the bus says; None: there was a gap, in which anything may have changed."""
        try:
            event = ChangeEvent(None, everyone=True) if text is None else ChangeEvent.parse(text)
        except (ValueError, RecursionError):
            logger.warning("What came over the bus of live updates is not a change event: %.200r", text)
            return
        self._take(event)

    # Counting and telling -------------------------------------------------------------------------------------------

    async def _count(self) -> None:
        while True:
            await self._has_pending.wait()
            self._has_pending.clear()
            while pending := [tenant for tenant in self.tenants.values() if tenant.pending or tenant.accounts]:
                # A part of each in turn: one person's message does not wait for everybody's elsewhere.
                for tenant in pending:
                    await self._review_accounts(tenant)
                    await self._count_in(tenant)

    async def _count_in(self, tenant: TenantStreams) -> None:
        pending = tenant.take_pending()
        try:
            await self._resolve(tenant, pending)
            part = pending.take(queries.recipients_per_query())
            tenant.pending.add(pending)
            pending = part
            counts = await self._in_thread(queries.unread_counts_of, tenant.schema, part.people)
        except Exception:
            # The database is away, or something in the host's own code fails: nothing is lost, as it is asked again.
            self._log_failure_once(tenant)
            tenant.refresh_is_stale = True
            asyncio.get_running_loop().call_later(BACKOFF_S[1], self._retry_later, tenant, pending)
            return
        tenant.failure_is_logged = False
        await _tell(tenant.pages_of(part.users), counts, changed=True, spread=part.spread)
        await _tell([stream for stream in part.opened if stream.subscriber.user not in part.users], counts)

    def _log_failure_once(self, tenant: TenantStreams) -> None:
        """Log that the database does not answer, or a host's code fails: with all that is known, once until it does."""
        if not tenant.failure_is_logged:
            logger.exception("Live updates could not count in %s, and try again until they can.", tenant.schema)
        tenant.failure_is_logged = True

    async def _resolve(self, tenant: TenantStreams, pending: PendingRecipients) -> None:
        """Find out who of those who are here is in the groups, or of the people, whom something concerns."""
        if pending.groups or pending.everyone:
            groups = None if pending.everyone else pending.groups
            pending.users |= await self._in_thread(queries.addressed, tenant.schema, set(tenant.streams), groups)
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
        """Have everybody counted for when the next publication appears or disappears by itself."""
        # Before the question: what is published meanwhile has to ask again.
        tenant.refresh_is_stale = False
        moment = await self._in_thread(queries.next_change, tenant.schema)
        if moment is None or self.tenants.get(tenant.schema) is not tenant:
            tenant.schedule_refresh(None)
            return
        # A day at most: what is further away is asked for again then.
        wait = min(max((moment - timezone.now()).total_seconds(), 0) + 0.01, 86_400)
        event = ChangeEvent(tenant.schema, everyone=True)
        tenant.schedule_refresh(asyncio.get_running_loop().call_later(wait, self._take, event))

    def _take(self, event: ChangeEvent) -> None:
        for session in event.sessions & self.sessions.keys():
            for stream in self.sessions[session]:
                stream.end()
        tenants = self.tenants.values() if event.schema is None else filter(None, [self.tenants.get(event.schema)])
        for tenant in tenants:
            tenant.take(event)
        self._has_pending.set()

    # Who may stay ---------------------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(RECHECK_INTERVAL_S * random.uniform(0.9, 1))  # noqa: S311 - no secret
            # All who have gone first: what a host's middlewares say may take its time.
            for look in (self._end_revoked, self._close_if_refused):
                for tenant in list(self.tenants.values()):
                    try:
                        await look(tenant)
                    except Exception:
                        logger.exception("Live updates could not ask who may stay in %s.", tenant.schema)

    async def _review_accounts(self, tenant: TenantStreams) -> None:
        """Send away those whose accounts have changed, if they may not stay; the next look at all finds who is left."""
        if tenant.accounts:
            users, tenant.accounts = tenant.accounts, set()
            try:
                await self._end_revoked(tenant, [stream.subscriber for stream in tenant.pages_of(users)])
            except Exception:
                logger.exception("Live updates could not ask who may stay in %s.", tenant.schema)

    async def _end_revoked(self, tenant: TenantStreams, among: Sequence[Subscriber] | None = None) -> None:
        """End the streams of those who were logged out, deactivated or excluded."""
        subscribers = [stream.subscriber for stream in tenant] if among is None else among
        for start in range(0, len(subscribers), SUBSCRIBERS_PER_QUERY):
            part = set(subscribers[start : start + SUBSCRIBERS_PER_QUERY])
            _end(tenant, await self._in_thread(queries.revoked_subscribers, tenant.schema, part))

    async def _close_if_refused(self, tenant: TenantStreams) -> None:
        """End all streams of an organisation that the host serves no more.

        Asked with two requests, as one of them may be refused for what its sender has done, and in two rounds, as a
        database that is away for a moment closes nothing.
        """
        streams = [stream for stream in tenant if not stream.has_ended]
        for stream in random.sample(streams, min(len(streams), 2)):
            if await self.is_served(stream.scope):
                tenant.refused = 0
                return
        tenant.refused += 1
        if tenant.refused >= 2:
            _end(tenant, {stream.subscriber for stream in streams})

    async def _in_thread(self, act: Callable[..., Result], *args: object) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, _reconnecting, act, *args)


def _end(tenant: TenantStreams, subscribers: Collection[Subscriber]) -> None:
    for stream in list(tenant):
        if stream.subscriber in subscribers:
            stream.end()


async def _tell(
    streams: Collection[Stream], counts: Mapping[str, int], *, changed: bool = False, spread: int = 0
) -> None:
    for number, stream in enumerate(streams, 1):
        unread = counts.get(stream.subscriber.user)
        if unread is not None:
            stream.tell(unread, changed=changed, spread=spread)
        if number % STREAMS_PER_TURN == 0:
            await asyncio.sleep(0)


def _reconnecting(act: Callable[..., Result], *args: object) -> Result:
    """Do what asks the database; once more where the connection was cut since the last time."""
    try:
        return act(*args)
    except (InterfaceError, OperationalError):
        connections.close_all()
        return act(*args)
    except BaseException:
        connections.close_all()
        raise
