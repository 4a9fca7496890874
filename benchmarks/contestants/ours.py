"""This package, called as a host project calls it, with the settings of the reference product."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from itertools import cycle
from statistics import median
from typing import Any

from benchmarks.contestants.base import START, TEXT, numbered, schema_name
from benchmarks.contestants.by_hand import BANNERS, counting
from benchmarks.contestants.reference import ReferenceProduct
from benchmarks.contestants.round_trips import round_trips
from benchmarks.contestants.serving import seconds, serve

PAGE_SIZE = 20
PUBLICATIONS = ("messages_extends_announcement", "messages_extends_receipt")
PUBLIC = ("broadcasts_broadcast", "broadcasts_broadcasttenant")
RECORDS = ("messages_extends_auditrecord", "broadcasts_broadcastrecord")
FILL = """
    INSERT INTO messages_extends_message (user_id, message, level, extra_tags, url, is_safe, key, created, modified,
        read_at)
    SELECT %(user)s, text, 19, '', '', false, '', at, at, CASE WHEN unread THEN NULL ELSE at END
    FROM ({numbers}) AS numbered
"""
GROUPS = """
    INSERT INTO auth_group (name) SELECT 'group ' || n FROM generate_series(1, %(groups)s) AS n;
    INSERT INTO people_user_groups (user_id, group_id)
    SELECT u.id, g.id FROM people_user u JOIN auth_group g ON mod(u.id, %(groups)s) = mod(g.id, %(groups)s)
        OR mod(u.id, 7 * %(groups)s) = g.id
"""
# A fifth of each kind for person 1 and their groups; the rest are other people's.
GRANTS = """
    INSERT INTO guardian_userobjectpermission (permission_id, content_type_id, user_id, object_pk)
    SELECT p.id, p.content_type_id, CASE WHEN mod(n, 5) = 0 THEN 1 ELSE 1 + n END, (2 * n + 2)::text
    FROM generate_series(1, %(grants)s / 2) AS n, auth_permission p WHERE p.codename = 'send_message'
    ON CONFLICT DO NOTHING;
    INSERT INTO guardian_groupobjectpermission (permission_id, content_type_id, group_id, object_pk)
    SELECT p.id, p.content_type_id, 1 + mod(n, %(groups)s), (3 * n + 3)::text
    FROM generate_series(1, %(grants)s / 2 - %(groups)s) AS n, auth_permission p WHERE p.codename = 'send_message'
    ON CONFLICT DO NOTHING;
    INSERT INTO guardian_groupobjectpermission (permission_id, content_type_id, group_id, object_pk)
    SELECT p.id, p.content_type_id, 1 + mod(n, %(groups)s), (1 + mod(7 * n, %(groups)s))::text
    FROM generate_series(1, %(groups)s) AS n, auth_permission p WHERE p.codename = 'send_group_message'
    ON CONFLICT DO NOTHING
"""

# Each sender may write to the recipient and to twenty others, by grants on them. What they have written lies from two
# minutes ago to an hour ago, so that it counts for the hour.
SENDERS = """
    INSERT INTO guardian_userobjectpermission (permission_id, content_type_id, user_id, object_pk)
    SELECT p.id, p.content_type_id, sender, (%(recipient)s::int + n)::text
    FROM generate_series(%(first)s::int, %(last)s::int) AS sender, generate_series(0, 20) AS n, auth_permission p
    WHERE p.codename = 'send_message'
    ON CONFLICT DO NOTHING;
    INSERT INTO messages_extends_auditrecord (recorded_at, actor_id, actor_name, action, subject, audience, count,
        text_hash, text)
    SELECT now() - interval '2 minutes' - n * interval '5 seconds', sender::text, 'Person ' || sender, 'send',
        'messages', 'user 1', 1, repeat('0', 64), ''
    FROM generate_series(%(first)s::int, %(last)s::int) AS sender, generate_series(1, %(records)s::int) AS n ORDER BY n
"""
GROUP_SENDER = """
    INSERT INTO auth_group (id, name) OVERRIDING SYSTEM VALUE VALUES (1, 'all') ON CONFLICT DO NOTHING;
    DELETE FROM people_user_groups;
    INSERT INTO people_user_groups (user_id, group_id) SELECT n, 1 FROM generate_series(1, %(members)s::int) AS n;
    INSERT INTO people_user_user_permissions (user_id, permission_id)
    SELECT %(sender)s::int, id FROM auth_permission WHERE codename IN ('send_message', 'send_group_message')
    ON CONFLICT DO NOTHING
"""

WRITES = ("INSERT", "UPDATE", "DELETE", "WITH")

Statement = tuple[str, Any]


class Ours(ReferenceProduct):
    """All of it."""

    message_tables = ("messages_extends_message", *PUBLICATIONS)

    def clear(self) -> None:
        super().clear()
        self.raw.execute("SET search_path = public")
        self.raw.execute(f"TRUNCATE {', '.join(PUBLIC)} CASCADE".encode())

    def settle(self) -> None:
        super().settle()
        self.raw.execute("SET search_path = public")
        self.raw.execute(f"VACUUM (ANALYZE) {', '.join(PUBLIC)}".encode())

    def written(self, organisations: int) -> int:
        return super().written(organisations) + sum(self._count(1, f"public.{table}") for table in PUBLIC)

    def records(self) -> int:
        """Return how many audit records there are, in the first organisation and of the platform."""
        return sum(self._count(1, table) for table in RECORDS)

    def fill(self, organisation: int, user: int, count: int, unread: str) -> None:
        values = {"user": user, "count": count, "text": TEXT, "start": START}
        self._execute(organisation, FILL.format(numbers=numbered(unread)), values)

    def publish(self, organisation: int, count: int) -> None:
        """Have so many live publications, half of them announcements."""
        from messages_extends.api import ALL_TENANTS, EVERYONE, announce, broadcast

        for number in range(count):
            with self._inside_public() if number % 2 else self._inside(organisation):
                publish: Any = partial(broadcast, to=ALL_TENANTS) if number % 2 else partial(announce, to=EVERYONE)
                publish(f"Publication {number}: {TEXT}")

    def _inside_public(self) -> Any:
        from django_tenants.utils import schema_context

        return schema_context("public")

    # 1 and 2: telling ------------------------------------------------------------------------------------------------

    def _tell_organisations(self, organisations: int, text: str) -> None:
        from messages_extends.api import ALL_TENANTS, EVERYONE, announce, broadcast

        if organisations == 1:
            with self._inside(1):
                announce(text, to=EVERYONE)
        else:
            with self._inside_public():
                broadcast(text, to=ALL_TENANTS)

    def _tell_in(self, organisation: int, most: int | None, text: str) -> None:
        with self._inside(organisation):
            self._tell(self._people(most), text)

    def _tell(self, people: Any, text: str) -> None:
        from messages_extends.api import send

        send(people, text)

    def tell_by_bulk_create(self, organisation: int, people: int, text: str) -> float:
        """Write the same rows by Django's `bulk_create`, as one would who has no function for it."""
        from django.db import transaction

        from messages_extends.constants import INFO_PERSISTENT
        from messages_extends.models import Message

        def write() -> None:
            with self._inside(organisation), transaction.atomic():
                Message.objects.bulk_create(
                    Message(user=user, level=INFO_PERSISTENT, message=text) for user in self._people(people).iterator()
                )

        return seconds(write)

    # 3 to 6: reading and marking -------------------------------------------------------------------------------------

    def _newest(self, user: Any) -> list[str]:
        from messages_extends.api import inbox

        return [str(entry) for entry in inbox(user).banners()[:10]]

    def count(self, organisation: int, user: int, repeat: int, exact: bool = True) -> dict[str, Any]:
        from messages_extends.api import inbox

        by_hand = counting(exact=exact) if exact else ""
        return self._taken_apart(
            organisation, user, repeat, lambda person: inbox(person).unread_count(exact=exact), by_hand
        )

    def banners(self, organisation: int, user: int, repeat: int) -> dict[str, Any]:
        from messages_extends.api import inbox

        return self._taken_apart(organisation, user, repeat, lambda person: len(inbox(person).banners()), BANNERS)

    def banner_texts(self, organisation: int, user: int) -> list[str]:
        from messages_extends.api import inbox

        with self._inside(organisation):
            return [str(entry) for entry in inbox(self._user(user)).banners()]

    def page(self, organisation: int, user: int, number: int, repeat: int) -> dict[str, Any]:
        from messages_extends.api import inbox

        after = self._before_page(organisation, user, number)
        return self._taken_apart(
            organisation, user, repeat, lambda person: [str(entry) for entry in inbox(person).page(after).entries]
        )

    def _before_page(self, organisation: int, user: int, number: int) -> str:
        """Return what leads to a page: what the link on the one before says."""
        from messages_extends.inbox.cursor import Cursor
        from messages_extends.models import Message

        if number == 1:
            return ""
        with self._inside(organisation):
            last = Message.objects.for_user(self._user(user)).newest_first()[(number - 1) * PAGE_SIZE - 1]
            return str(Cursor.of(last))

    def mark_all(self, organisation: int, user: int) -> dict[str, Any]:
        from messages_extends.api import inbox

        marked: list[Any] = []
        with self._sent() as sent:
            done = self._once(organisation, user, lambda person: marked.append(inbox(person).mark_all_read()))
        return {**done, "changed": marked[0].count, "at": marked[0].at.isoformat(), **_told(sent)}

    def undo(self, organisation: int, user: int, at: str) -> dict[str, Any]:
        from messages_extends.api import inbox

        changed: list[int] = []
        with self._sent() as sent:
            undone = self._once(
                organisation, user, lambda person: changed.append(inbox(person).undo(datetime.fromisoformat(at)))
            )
        return {**undone, "changed": changed[0], **_told(sent)}

    def unread(self, organisation: int, user: int) -> int:
        from messages_extends.api import inbox

        with self._inside(organisation):
            return int(inbox(self._user(user)).unread_count(exact=True))

    def _taken_apart(
        self, organisation: int, user: int, repeat: int, act: Callable[[Any], Any], by_hand: str = ""
    ) -> dict[str, Any]:
        """Measure `act`, its very statements by psycopg alone, and SQL by hand if given, in turns on one connection."""
        with self._inside(organisation):
            person = self._user(user)
            with self._sent() as sent:
                value = act(person)
            values = {"user": user, "now": datetime.now(UTC), "schema": schema_name(organisation)}
            asked = [(by_hand, values)] if by_hand else []
            self._send_again(asked)
            whole, database, hand = [], [], []
            for _ in range(repeat):
                whole.append(seconds(lambda: act(person)))
                database.append(seconds(lambda: self._send_again(sent)))
                hand.append(seconds(lambda: self._send_again(asked)))
            return {
                "seconds": median(whole),
                "database": median(database),
                **({"by_hand": median(hand)} if asked else {}),
                "value": value,
                **_told(sent),
            }

    @contextmanager
    def _sent(self) -> Iterator[list[Statement]]:
        """Collect what Django sends in the block, but for the frame of a transaction."""
        from django.db import connection

        sent: list[Statement] = []

        def record(execute: Any, statement: str, params: Any, many: bool, context: Any) -> Any:
            if not statement.startswith("SET search_path"):
                sent.append((statement, params))
            return execute(statement, params, many, context)

        with connection.execute_wrapper(record):
            yield sent

    def _send_again(self, statements: list[Statement]) -> None:
        from django.db import connection

        with connection.connection.cursor() as cursor:
            for statement, params in statements:
                cursor.execute(statement, params)
                while cursor.nextset():
                    pass
                cursor.fetchall()

    # 14 to 17: writing to one person, to a group, and at once ---------------------------------------------------------

    def _tell_one(self, user: Any, text: str) -> None:
        from messages_extends.api import send

        send(user, text)

    def tell_one(self, organisation: int, user: int, text: str, repeat: int, way: str = "send") -> dict[str, Any]:
        """Write on behalf of the application, by `send`, with a new key each time, or as a message to oneself."""
        with self._inside(organisation):
            person = self._user(user)
            return self._repeated(partial(self._ways()[way], person, text), repeat)

    def _ways(self) -> dict[str, Callable[[Any, str], object]]:
        from django.contrib import messages
        from django.contrib.messages.storage import default_storage
        from django.test import RequestFactory

        from messages_extends.api import send
        from messages_extends.constants import INFO_PERSISTENT

        keys = iter(range(10**9))
        request: Any = RequestFactory().get("/")
        request.session = {}

        def oneself(person: Any, text: str) -> None:
            request.user, request._messages = person, default_storage(request)
            messages.add_message(request, INFO_PERSISTENT, text)

        return {
            "send": send,
            "oneself": oneself,
            "key": lambda person, text: send(person, text, key=f"{datetime.now(UTC).isoformat()} {next(keys)}"),
        }

    def tell_at_once(
        self, organisation: int, writers: int, length: float, text: str, live: bool = True
    ) -> dict[str, Any]:
        """Do so with live updates or, as the other packages, without."""
        from django.conf import settings
        from django.test import override_settings

        own = settings.MESSAGES_EXTENDS if live else {**settings.MESSAGES_EXTENDS, "PUSH_BUS": None}
        with override_settings(MESSAGES_EXTENDS=own):
            return super().tell_at_once(organisation, writers, length, text)

    def make_senders(self, organisation: int, recipient: int, first: int, count: int, records: int) -> None:
        """Let people write to `recipient` and twenty others, and have so many records of each in the last hour."""
        values = {"recipient": recipient, "first": first, "last": first + count - 1, "records": records}
        for statement in SENDERS.split(";"):
            self._execute(organisation, statement, values)
        self._execute(organisation, "ANALYZE")

    def tell_as_person(self, organisation: int, sender: int, user: int, text: str, repeat: int) -> dict[str, Any]:
        """Write as one person to another, with the limits of the default size."""
        from messages_extends.api import send
        from messages_extends.conf import DEFAULT_SEND_LIMITS, settings

        if settings.send_limits != DEFAULT_SEND_LIMITS:
            raise AssertionError("The limits are not those of the default size.")
        with self._inside(organisation):
            writer, reader = self._user(sender), self._user(user)
            return self._repeated(lambda: send(reader, text, sender=writer), repeat)

    def tell_many_as_person(self, organisation: int, sender: int, people: int, group: bool, text: str) -> float:
        """Write as a person to all members of the first group, or to people by a queryset."""
        from django.contrib.auth.models import Group

        from messages_extends.api import send

        with self._inside(organisation):
            writer = self._user(sender)
            to = Group.objects.get(pk=1) if group else self._people(people)
            sent: list[int] = []
            taken = seconds(lambda: sent.append(send(to, text, sender=writer)))
            if sent != [people]:
                raise AssertionError(f"Written to {sent} instead of {people} people.")
            return taken

    def tell_up_to_limit(self, organisation: int, sender: int, user: int, threads: int, limit: int) -> int:
        """Have threads write as one person until all are refused; return how many messages are there."""
        from concurrent.futures import ThreadPoolExecutor

        from django.conf import settings
        from django.db import connection
        from django.test import override_settings

        from messages_extends.api import send
        from messages_extends.exceptions import RateLimitExceeded

        text = f"limited {datetime.now(UTC).isoformat()}"

        def write(_number: int) -> None:
            with self._inside(organisation):
                writer, reader = self._user(sender), self._user(user)
                try:
                    for _ in range(limit):
                        send(reader, text, sender=writer)
                except RateLimitExceeded:
                    return
                finally:
                    connection.close()

        own = {**settings.MESSAGES_EXTENDS, "SEND_LIMITS": {"hour": limit}}
        with override_settings(MESSAGES_EXTENDS=own), ThreadPoolExecutor(threads) as pool:
            list(pool.map(write, range(threads)))
        written = "SELECT count(*) FROM messages_extends_message WHERE message = %s"
        return int(self._execute(organisation, written, [text])[0][0])

    def make_group_sender(self, organisation: int, sender: int, members: int) -> None:
        """Let a person write to the first group, of so many members, and to everybody."""
        values = {"sender": sender, "members": members}
        for statement in GROUP_SENDER.split(";"):
            self._execute(organisation, statement, values)
        self._execute(organisation, "ANALYZE")

    def records_of(self, organisation: int, sender: int) -> int:
        found = "SELECT count(*) FROM messages_extends_auditrecord WHERE actor_id = %s"
        return int(self._execute(organisation, found, [str(sender)])[0][0])

    def _repeated(self, act: Callable[[], object], repeat: int) -> dict[str, Any]:
        """Run `act` so many times, and in the same seconds its statements by psycopg alone; count the round trips.

        The statements are sent again in the transaction that Django has sent them in. They write the same rows, so
        that `act` has been run 2 * repeat + 2 times for whoever counts them.
        """
        from django.db import connection

        act()
        with self._sent() as sent:
            act()
        whole, database = [], []
        for _ in range(repeat):
            whole.append(seconds(act))
            database.append(seconds(partial(self._send_framed, sent)))
        return {
            "seconds": median(whole),
            "database": median(database),
            "trips": round_trips(connection.connection, act),
            "hints": self._hints(act),
            "acts": 2 * repeat + 4,
            "sql": [statement for statement, _params in sent],
        }

    def _send_framed(self, sent: list[Statement]) -> None:
        from django.db import connection

        # What stands before the hint is in one transaction, which one statement is by itself.
        *written, hint = sent
        if len(written) == 1:
            self._send_again(sent)
            return
        with connection.connection.transaction():
            self._send_again(written)
        self._send_again([hint])

    def _hints(self, act: Callable[[], object]) -> int:
        """Return how many hints a process that listens hears of one `act`."""
        self.raw.execute("LISTEN messages_extends")
        try:
            act()
            return len(list(self.raw.notifies(timeout=0.2)))
        finally:
            self.raw.execute("UNLISTEN *")

    # 7: a request that shows no message ------------------------------------------------------------------------------

    def silent_request(self, organisation: int, user: int, storage: str, repeat: int) -> dict[str, Any]:
        """Ask for a page that shows none; the storage of messages is the named one."""
        from django.test import override_settings

        with override_settings(ROOT_URLCONF="benchmarks.contestants.silent_urls", MESSAGE_STORAGE=storage):
            browser = self._browser(organisation, user)
            sent = self._statements_of(lambda: browser.get("/"))
            answer = browser.get("/")
            if (answer.status_code, answer.content) != (200, str(user).encode()):
                raise AssertionError(f"The silent page answers {answer.status_code}: {answer.content[:200]!r}")
            return {
                "seconds": median(seconds(lambda: browser.get("/")) for _ in range(repeat)),
                "middleware": self._by_middleware(organisation, user, repeat),
                "queries": sum("messages" in statement for statement in sent),
            }

    def _by_middleware(self, organisation: int, user: int, repeat: int) -> float:
        from django.contrib.messages.middleware import MessageMiddleware
        from django.http import HttpResponse
        from django.test import RequestFactory

        with self._inside(organisation):
            middleware = MessageMiddleware(lambda _request: HttpResponse())
            request: Any = RequestFactory().get("/")
            request.user, request.session = self._user(user), {}
            return median(seconds(lambda: middleware(request)) for _ in range(repeat))

    # 8: many organisations -------------------------------------------------------------------------------------------

    def fill_each(self, organisations: int, user: int, count: int, unread: str) -> None:
        """Have so many messages in every organisation that has none yet."""
        for number in range(1, organisations + 1):
            if not self._count(number, "messages_extends_message"):
                self.fill(number, user, count, unread)
                self._execute(number, "VACUUM (ANALYZE) messages_extends_message")

    def in_one(self, what: str, organisation: int, user: int, repeat: int) -> dict[str, Any]:
        read = getattr(self, f"_read_{what}")
        return self._taken_apart(organisation, user, repeat, read)

    def in_each(self, what: str, organisations: int, user: int, rounds: int) -> dict[str, Any]:
        """Read once in each organisation, one after the other: the median of all but the first round."""
        read = getattr(self, f"_read_{what}")
        times, values = [], set()
        for current in range(rounds + 1):
            for number in range(1, organisations + 1):
                with self._inside(number):
                    person = self._user(user)
                    taken = seconds(lambda: values.add(read(person)))  # noqa: B023 - called at once
                if current:
                    times.append(taken)
        return {"seconds": median(times), "values": sorted(values)}

    def _read_count(self, person: Any) -> int:
        from messages_extends.api import inbox

        return inbox(person).unread_count()

    def _read_banners(self, person: Any) -> int:
        from messages_extends.api import inbox

        return len(inbox(person).banners())

    def _read_page(self, person: Any) -> int:
        from messages_extends.api import inbox

        return len(inbox(person).page().entries)

    # 9: policy -------------------------------------------------------------------------------------------------------

    def grant(self, organisation: int, groups: int, grants: int) -> None:
        values = {"groups": groups, "grants": grants}
        for statement in (*GROUPS.split(";"), *GRANTS.split(";")):
            self._execute(organisation, statement, values)
        self._execute(organisation, "ANALYZE")

    def recipients(self, organisation: int, user: int, repeat: int) -> dict[str, Any]:
        from messages_extends.access.policy import policy

        def keys(person: Any) -> list[int]:
            return sorted(policy().reachable_people(person).values_list("pk", flat=True))

        return self._taken_apart(organisation, user, repeat, keys)

    def may_message(self, organisation: int, user: int, others: list[int], repeat: int) -> dict[str, Any]:
        """Ask whether one person may write to each of some others; the times are those of one question."""
        from messages_extends.access.policy import policy

        with self._inside(organisation):
            people = [self._user(other) for other in others]
        asked = cycle(people)
        found = self._taken_apart(organisation, user, repeat, lambda person: policy().may_message(person, next(asked)))
        with self._inside(organisation):
            person = self._user(user)
            return {**found, "value": [policy().may_message(person, other) for other in people]}

    def search(self, organisation: int, user: int, text: str, repeat: int) -> dict[str, Any]:
        """Search as the page for writing does."""
        from messages_extends.access.policy import policy
        from messages_extends.web.search import MAX_RESULTS, search_people

        def found(person: Any) -> list[str]:
            return [str(each) for each in search_people(text, policy().reachable_people(person))[: MAX_RESULTS + 1]]

        return self._taken_apart(organisation, user, repeat, found)


def _told(sent: list[Statement]) -> dict[str, Any]:
    sql = [statement.strip() for statement, _params in sent]
    return {"statements": len(sent), "sql": sql, "writes": sum(each.startswith(WRITES) for each in sql)}


if __name__ == "__main__":
    serve(Ours())
