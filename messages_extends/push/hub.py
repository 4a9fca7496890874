"""All streams of this process: hears the hints, counts for those whom they concern, and tells them.

Everything that anybody has to be told is a set of people to count for. A page that has just been opened, a hint, a
moment at which a publication appears, a gap in which hints may have been lost: each adds to that set, and one query
for each organisation empties it.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, TypeVar

from django.db import InterfaceError, OperationalError, connections
from django.utils import timezone

from messages_extends.push import looking
from messages_extends.push.bus import Bus
from messages_extends.push.hints import Hint
from messages_extends.push.looking import Holder
from messages_extends.push.streams import Stream

logger = logging.getLogger(__name__)
Result = TypeVar("Result")

# Seconds between two looks at who may stay; two of them are less than a minute.
ROUND: Final = 25
# Seconds until a lost bus, or database, is tried again: the first time, and at most.
PAUSES: Final = (0.2, 2.0)
# Of how many people one query asks.
TOGETHER: Final = 1_000
# How many streams are told before anything else gets its turn.
AT_ONCE: Final = 100
# Milliseconds for each stream within which pages refetch what everybody is told, and at most.
SPREAD: Final = 5
WIDEST_SPREAD: Final = 30_000


@dataclass
class Due:
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
        return self.users | {stream.holder.user for stream in self.opened}

    def add(self, other: "Due") -> None:
        self.opened |= other.opened
        self.users |= other.users
        self.groups |= other.groups
        self.everyone |= other.everyone
        self.spread = max(self.spread, other.spread)

    def take(self, number: int) -> "Due":
        """Take out so many users, and so many pages that were opened."""
        part = Due(set(islice(self.opened, number)), set(islice(self.users, number)), spread=self.spread)
        self.opened -= part.opened
        self.users -= part.users
        return part


class Room:
    """The streams of one organisation."""

    def __init__(self, schema: str) -> None:
        self.schema = schema
        self.streams: dict[str, set[Stream]] = {}
        self.due = Due()
        # Whose accounts have changed, so that they may have to go.
        self.accounts: set[str] = set()
        # Publications may have changed since the alarm was set, to when the next appears or disappears by itself.
        self.alarm_is_stale = True
        self.alarm: asyncio.TimerHandle | None = None
        # How often in a row the host has not let anybody through to our view.
        self.refused = 0
        self.complained = False

    def __iter__(self) -> Iterator[Stream]:
        return (stream for streams in self.streams.values() for stream in streams)

    def take(self, hint: Hint) -> None:
        """Note whom of those who are here a hint concerns."""
        self.due.add(Due(set(), set(hint.users & self.streams.keys()), set(hint.groups), hint.everyone))
        self.accounts |= hint.accounts & self.streams.keys()
        self.alarm_is_stale |= bool(hint.groups) or hint.everyone

    def take_due(self) -> Due:
        due, self.due = self.due, Due()
        return due

    def enter(self, stream: Stream) -> None:
        self.streams.setdefault(stream.holder.user, set()).add(stream)
        self.due.opened.add(stream)

    def leave(self, stream: Stream) -> None:
        self.due.opened.discard(stream)
        streams = self.streams.get(stream.holder.user, set())
        streams.discard(stream)
        if not streams:
            self.streams.pop(stream.holder.user, None)

    def pages_of(self, users: Collection[str]) -> list[Stream]:
        return [stream for user in users for stream in self.streams.get(user, ())]

    def set_alarm(self, alarm: asyncio.TimerHandle | None) -> None:
        if self.alarm:
            self.alarm.cancel()
        self.alarm = alarm


class Hub:
    """One for each process and event loop, from its first stream on."""

    def __init__(self, bus: Bus, is_served: Callable[[Any], Awaitable[bool]]) -> None:
        """`is_served` asks the host's middlewares whether a request would still reach our view."""
        self.bus = bus
        self.is_served = is_served
        self.rooms: dict[str, Room] = {}
        self.sessions: dict[str, set[Stream]] = {}
        self.count = 0
        self._due = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, "messages_extends.push", initializer=looking.connect_beside_the_pool)
        # In contexts of their own: a task that is started in a request keeps that request's tenant for ever.
        self._tasks = [
            asyncio.get_running_loop().create_task(work, context=Context())
            for work in (self._listen(), self._count(), self._watch())
        ]

    async def close(self) -> None:
        """End all streams and everything else that was started."""
        for room in self.rooms.values():
            for stream in room:
                stream.end()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._in_thread(connections.close_all)
        self._thread.shutdown(wait=False)

    def streams_of(self, holder: Holder) -> int:
        room = self.rooms.get(holder.schema)
        return len(room.streams.get(holder.user, ())) if room else 0

    def enter(self, stream: Stream) -> None:
        """Take in a stream, which is told at once how things stand."""
        schema = stream.holder.schema
        room = self.rooms.setdefault(schema, Room(schema))
        room.enter(stream)
        self.sessions.setdefault(stream.session, set()).add(stream)
        self.count += 1
        self._due.set()

    def leave(self, stream: Stream) -> None:
        room = self.rooms[stream.holder.schema]
        room.leave(stream)
        of_session = self.sessions[stream.session]
        of_session.discard(stream)
        if not of_session:
            del self.sessions[stream.session]
        self.count -= 1
        if not room.streams:
            room.set_alarm(None)
            del self.rooms[room.schema]

    # Hearing --------------------------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        pause, most = PAUSES
        while True:
            try:
                async for text in self.bus.listen():
                    pause = PAUSES[0]
                    self.hear(text)
            except Exception as error:
                # Whatever a bus may raise: it is tried again for as long as there are streams.
                logger.warning("Live updates hear nothing, and try again: %s", error)
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - no secret
            pause = min(pause * 2, most)

    def hear(self, text: str | None) -> None:
        """Note what a text of the bus says; None: there was a gap, in which anything may have changed."""
        try:
            hint = Hint(None, everyone=True) if text is None else Hint.parse(text)
        except (ValueError, RecursionError):
            logger.warning("What came over the bus of live updates is no hint: %.200r", text)
            return
        self._take(hint)

    # Counting and telling -------------------------------------------------------------------------------------------

    async def _count(self) -> None:
        while True:
            await self._due.wait()
            self._due.clear()
            while due := [room for room in self.rooms.values() if room.due or room.accounts]:
                # A part of each in turn: one person's message does not wait for everybody's elsewhere.
                for room in due:
                    await self._review_accounts(room)
                    await self._count_in(room)

    async def _count_in(self, room: Room) -> None:
        due = room.take_due()
        try:
            await self._resolve(room, due)
            part = due.take(looking.at_once())
            room.due.add(due)
            due = part
            counts = await self._in_thread(looking.counts_of, room.schema, part.people)
        except Exception:
            # The database is away, or something in the host's own code fails: nothing is lost, as it is asked again.
            self._complain(room)
            room.alarm_is_stale = True
            asyncio.get_running_loop().call_later(PAUSES[1], self._again, room, due)
            return
        room.complained = False
        await _tell(room.pages_of(part.users), counts, changed=True, spread=part.spread)
        await _tell([stream for stream in part.opened if stream.holder.user not in part.users], counts)

    def _complain(self, room: Room) -> None:
        """Log that the database does not answer, or a host's code fails: with all that is known, once until it does."""
        if not room.complained:
            logger.exception("Live updates could not count in %s, and try again until they can.", room.schema)
        room.complained = True

    async def _resolve(self, room: Room, due: Due) -> None:
        """Find out who of those who are here is in the groups, or of the people, whom something concerns."""
        if due.groups or due.everyone:
            groups = None if due.everyone else due.groups
            due.users |= await self._in_thread(looking.addressed, room.schema, set(room.streams), groups)
            due.groups, due.everyone, due.spread = set(), False, min(len(room.streams) * SPREAD, WIDEST_SPREAD)
        if room.alarm_is_stale:
            await self._set_alarm(room)

    def _again(self, room: Room, due: Due) -> None:
        room.due.add(due)
        self._due.set()

    async def _set_alarm(self, room: Room) -> None:
        """Have everybody counted for when the next publication appears or disappears by itself."""
        # Before the question: what is published meanwhile has to ask again.
        room.alarm_is_stale = False
        moment = await self._in_thread(looking.next_change, room.schema)
        if moment is None or self.rooms.get(room.schema) is not room:
            room.set_alarm(None)
            return
        # A day at most: what is further away is asked for again then.
        wait = min(max((moment - timezone.now()).total_seconds(), 0) + 0.01, 86_400)
        hint = Hint(room.schema, everyone=True)
        room.set_alarm(asyncio.get_running_loop().call_later(wait, self._take, hint))

    def _take(self, hint: Hint) -> None:
        for session in hint.sessions & self.sessions.keys():
            for stream in self.sessions[session]:
                stream.end()
        rooms = self.rooms.values() if hint.schema is None else filter(None, [self.rooms.get(hint.schema)])
        for room in rooms:
            room.take(hint)
        self._due.set()

    # Who may stay ---------------------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(ROUND * random.uniform(0.9, 1))  # noqa: S311 - no secret
            # All who have gone first: what a host's middlewares say may take its time.
            for look in (self._send_away, self._close_if_refused):
                for room in list(self.rooms.values()):
                    try:
                        await look(room)
                    except Exception:
                        logger.exception("Live updates could not ask who may stay in %s.", room.schema)

    async def _review_accounts(self, room: Room) -> None:
        """Send away those whose accounts have changed, if they may not stay; the next look at all finds who is left."""
        if room.accounts:
            users, room.accounts = room.accounts, set()
            try:
                await self._send_away(room, [stream.holder for stream in room.pages_of(users)])
            except Exception:
                logger.exception("Live updates could not ask who may stay in %s.", room.schema)

    async def _send_away(self, room: Room, among: Sequence[Holder] | None = None) -> None:
        """End the streams of those who were logged out, deactivated or excluded."""
        holders = [stream.holder for stream in room] if among is None else among
        for start in range(0, len(holders), TOGETHER):
            part = set(holders[start : start + TOGETHER])
            _end(room, await self._in_thread(looking.who_has_to_go, room.schema, part))

    async def _close_if_refused(self, room: Room) -> None:
        """End all streams of an organisation that the host serves no more.

        Asked with two requests, as one of them may be refused for what its sender has done, and in two rounds, as a
        database that is away for a moment closes nothing.
        """
        streams = [stream for stream in room if not stream.has_ended]
        for stream in random.sample(streams, min(len(streams), 2)):
            if await self.is_served(stream.scope):
                room.refused = 0
                return
        room.refused += 1
        if room.refused >= 2:
            _end(room, {stream.holder for stream in streams})

    async def _in_thread(self, act: Callable[..., Result], *args: Any) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, _reconnecting, act, *args)


def _end(room: Room, holders: Collection[Holder]) -> None:
    for stream in list(room):
        if stream.holder in holders:
            stream.end()


async def _tell(
    streams: Collection[Stream], counts: Mapping[str, int], *, changed: bool = False, spread: int = 0
) -> None:
    for number, stream in enumerate(streams, 1):
        unread = counts.get(stream.holder.user)
        if unread is not None:
            stream.tell(unread, changed=changed, spread=spread)
        if number % AT_ONCE == 0:
            await asyncio.sleep(0)


def _reconnecting(act: Callable[..., Result], *args: Any) -> Result:
    """Do what asks the database; once more where the connection was cut since the last time."""
    try:
        return act(*args)
    except (InterfaceError, OperationalError):
        connections.close_all()
        return act(*args)
    except BaseException:
        connections.close_all()
        raise
