"""This package, called as a host project calls it, with the settings of the reference product."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from statistics import median
from typing import Any

from benchmarks.contestants.base import START, TEXT, numbered
from benchmarks.contestants.reference import ReferenceProduct
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

        return self._taken_apart(organisation, user, repeat, lambda person: inbox(person).unread_count(exact=exact))

    def banners(self, organisation: int, user: int, repeat: int) -> dict[str, Any]:
        from messages_extends.api import inbox

        return self._taken_apart(organisation, user, repeat, lambda person: len(inbox(person).banners()))

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
        from datetime import datetime

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

    def _taken_apart(self, organisation: int, user: int, repeat: int, act: Callable[[Any], Any]) -> dict[str, Any]:
        """Measure `act`, and its very statements by psycopg alone on the same connection, one after the other."""
        with self._inside(organisation):
            person = self._user(user)
            with self._sent() as sent:
                value = act(person)
            whole, database = [], []
            for _ in range(repeat):
                whole.append(seconds(lambda: act(person)))
                database.append(seconds(lambda: self._send_again(sent)))
            return {
                "seconds": median(whole),
                "database": median(database),
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
                cursor.fetchall()

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
