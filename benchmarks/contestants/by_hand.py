"""The lower bound: the same work as hand-written SQL with psycopg, without Django.

It works in our tables and on a connection set as Django's is: client-side binding, nothing prepared.
"""

import hashlib
import json
import os
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime
from statistics import median
from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier

from benchmarks.contestants.at_once import at_once
from benchmarks.contestants.base import schema_name
from benchmarks.contestants.serving import seconds, serve

INSERT = """
    INSERT INTO messages_extends_message (user_id, sender_id, level, message, params, url, key, is_safe, extra_tags,
        expires, created, modified)
    SELECT id, NULL, 19, %(text)s, NULL, '', '', false, '', NULL, %(now)s, %(now)s
    FROM people_user WHERE id <= %(people)s AND is_active
"""
# What keeps two senders from a deadlock, people who are deleted meanwhile from an error, and a key from a second row;
# and who got one, which open pages are told.
GUARDED = f"""
    {INSERT} ORDER BY id FOR KEY SHARE ON CONFLICT DO NOTHING RETURNING user_id
"""
COPY = """
    COPY messages_extends_message (user_id, level, message, url, key, is_safe, extra_tags, created, modified) FROM STDIN
"""
LIVE = "{0}.retracted_at IS NULL AND {0}.publish_at <= %(now)s AND {0}.expires > %(now)s"
MINE = """
    (a.audience = 'everyone' OR a.audience = 'groups' AND EXISTS (
        SELECT FROM messages_extends_announcementgroup ag JOIN people_user_groups ug ON ug.group_id = ag.group_id
        WHERE ag.announcement_id = a.id AND ug.user_id = %(user)s))
"""
OURS = """
    (b.audience = 'all' OR b.audience = 'selected' AND EXISTS (
        SELECT FROM broadcasts_broadcasttenant bt JOIN tenants_tenant t ON t.id = bt.tenant_id
        WHERE bt.broadcast_id = b.id AND t.schema_name = %(schema)s))
"""
ANNOUNCEMENTS = f"FROM messages_extends_announcement a WHERE {LIVE.format('a')} AND {MINE}"
BROADCASTS = f"FROM broadcasts_broadcast b WHERE {LIVE.format('b')} AND {OURS}"
# What this reader has read, or snoozed though it need not be acknowledged.
UNREAD = """
    AND NOT EXISTS (SELECT FROM messages_extends_receipt r
        WHERE r.user_id = %(user)s AND r.publication_id = {0}.id
        AND (r.revision >= {0}.revision AND r.read_at IS NOT NULL
            OR r.snoozed_until > %(now)s AND NOT {0}.must_acknowledge))
"""
UNREAD_ANNOUNCEMENTS = f"{ANNOUNCEMENTS} {UNREAD.format('a')}"
UNREAD_BROADCASTS = f"{BROADCASTS} {UNREAD.format('b')}"
MESSAGES = """
    FROM messages_extends_message m
    WHERE m.user_id = %(user)s AND (m.expires IS NULL OR m.expires > %(now)s) AND m.shows_at <= %(now)s
"""
UNREAD_MESSAGES = f"{MESSAGES} AND m.read_at IS NULL"
COUNT = f"""
    SELECT count(*) FROM (
        (SELECT 1 {UNREAD_MESSAGES} {{messages}}) UNION ALL (SELECT 1 {UNREAD_ANNOUNCEMENTS} {{limit}})
        UNION ALL (SELECT 1 {UNREAD_BROADCASTS} {{limit}})
    ) AS unread
"""
TEXT_OF = """
    level, {0}.message, params::text, extra_tags, url, is_safe, {0}.key, expires, title, url_label, display, category,
    {0}."group"
"""
OF_MESSAGE = f"""
    'message' AS kind, m.id::text, {TEXT_OF.format("m")}, m.read_at, m.shows_at, m.created, m.sender_id, m.from_person,
    '' AS author, 0 AS revision, false AS must_acknowledge, m.archived_at, m.snoozed_until, m.saved_at
"""
OF_ANNOUNCEMENT = f"""
    'announcement', a.id::text, {TEXT_OF.format("a")}, {{0}}, a.publish_at, sender_id, from_person, '', a.revision,
    must_acknowledge, {{1}}
"""
OF_BROADCAST = f"""
    'broadcast', b.id::text, {TEXT_OF.format("b")}, {{0}}, b.publish_at, NULL, false, author, b.revision,
    must_acknowledge, {{1}}
"""
UNMARKED = ("NULL, {0}.publish_at", "NULL, NULL, NULL")
URGENT = """
    ORDER BY display, must_acknowledge DESC, level DESC, publish_at DESC, id DESC LIMIT 10
"""
COUNTED = "count(*) OVER (), count(*) FILTER (WHERE display = 'banner') OVER ()"
BANNERS = f"""
    (WITH newest AS (SELECT m.* {UNREAD_MESSAGES} AND display = 'banner' ORDER BY m.shows_at DESC, m.id DESC LIMIT 100)
     SELECT {OF_MESSAGE}, (SELECT count(*) FROM (SELECT {UNREAD_MESSAGES} LIMIT 100) AS all_unread),
        (SELECT count(*) FROM newest) FROM newest AS m ORDER BY shows_at DESC, id DESC LIMIT 10)
    UNION ALL
    (SELECT {OF_ANNOUNCEMENT.format(UNMARKED[0].format("a"), UNMARKED[1])}, {COUNTED} {UNREAD_ANNOUNCEMENTS} {URGENT})
    UNION ALL
    (SELECT {OF_BROADCAST.format(UNMARKED[0].format("b"), UNMARKED[1])}, {COUNTED} {UNREAD_BROADCASTS} {URGENT})
"""
MARKED = (
    "CASE WHEN r.revision >= {0}.revision THEN r.read_at END, greatest({0}.publish_at, r.snoozed_until) AS shown_at",
    "r.archived_at, r.snoozed_until, r.saved_at",
)
OF_READER = " LEFT JOIN messages_extends_receipt r ON r.user_id = %(user)s AND r.publication_id = {0}.id WHERE "
IN_INBOX = """
    AND NOT (r.id IS NOT NULL AND (r.revision >= {0}.revision AND r.archived_at IS NOT NULL OR r.snoozed_until > %(now)s
        AND (NOT {0}.must_acknowledge OR r.revision >= {0}.revision AND r.read_at IS NOT NULL)))
"""
PAGE = f"""
    (SELECT {OF_MESSAGE} {MESSAGES} AND m.archived_at IS NULL {{messages}} ORDER BY m.shows_at DESC, m.id DESC LIMIT 21)
    UNION ALL
    (SELECT {OF_ANNOUNCEMENT.format(MARKED[0].format("a"), MARKED[1])}
        {ANNOUNCEMENTS.replace(" WHERE ", OF_READER.format("a"), 1)} {IN_INBOX.format("a")} {{announcements}}
        ORDER BY shown_at DESC, a.id DESC LIMIT 21)
    UNION ALL
    (SELECT {OF_BROADCAST.format(MARKED[0].format("b"), MARKED[1])}
        {BROADCASTS.replace(" WHERE ", OF_READER.format("b"), 1)} {IN_INBOX.format("b")} {{broadcasts}}
        ORDER BY shown_at DESC, b.id DESC LIMIT 21)
"""
# In a row of a page.
SHOWS_AT = 16
AFTER = {
    "messages": "AND (m.shows_at, m.id) < (%(at)s, %(id)s)",
    "announcements": "AND greatest(a.publish_at, r.snoozed_until) <= %(at)s",
    "broadcasts": "AND greatest(b.publish_at, r.snoozed_until) <= %(at)s",
}
LAST_BEFORE = """
    SELECT shows_at, id FROM messages_extends_message WHERE user_id = %(user)s ORDER BY shows_at DESC, id DESC
    OFFSET %(offset)s LIMIT 1
"""
MARK_MESSAGES = """
    UPDATE messages_extends_message SET read_at = %(now)s
    WHERE user_id = %(user)s AND read_at IS NULL AND (expires IS NULL OR expires > %(now)s) AND shows_at <= %(now)s
"""
MARK_PUBLICATIONS = f"""
    INSERT INTO messages_extends_receipt (user_id, publication_id, revision, read_at)
    SELECT %(user)s, id, revision, %(now)s FROM (
        SELECT id, revision {UNREAD_ANNOUNCEMENTS} AND NOT must_acknowledge
        UNION ALL SELECT id, revision {UNREAD_BROADCASTS} AND NOT must_acknowledge
    ) AS unread
    ON CONFLICT (user_id, publication_id) DO UPDATE SET revision = EXCLUDED.revision, read_at = EXCLUDED.read_at
"""
# What was archived, snoozed or saved at this time is undone as well.
UNMARK_MESSAGES = """
    UPDATE messages_extends_message SET
        read_at = CASE
            WHEN read_at = %(at)s AND (archived_at IS NULL OR marked_at = %(at)s AND previous_archived_at IS NULL)
            THEN NULL
            ELSE read_at
        END,
        archived_at = CASE WHEN marked_at = %(at)s THEN previous_archived_at ELSE archived_at END,
        snoozed_until = CASE WHEN marked_at = %(at)s THEN previous_snoozed_until ELSE snoozed_until END,
        saved_at = CASE WHEN marked_at = %(at)s THEN previous_saved_at ELSE saved_at END,
        marked_at = NULL
    WHERE user_id = %(user)s AND (read_at = %(at)s OR marked_at = %(at)s)
"""
UNMARK_PUBLICATIONS = "DELETE FROM messages_extends_receipt WHERE user_id = %(user)s AND read_at = %(at)s"
# Another app may have a permission of the same name: it is not this one.
HELD = """
    SELECT p.object_pk FROM guardian_userobjectpermission p JOIN auth_permission ap ON ap.id = p.permission_id
    JOIN django_content_type ct ON ct.id = ap.content_type_id
    WHERE p.user_id = %(user)s AND ap.codename = '{1}' AND ct.app_label = '{0}'
    UNION
    SELECT p.object_pk FROM guardian_groupobjectpermission p JOIN auth_permission ap ON ap.id = p.permission_id
    JOIN django_content_type ct ON ct.id = ap.content_type_id
    JOIN people_user_groups ug ON ug.group_id = p.group_id
    WHERE ug.user_id = %(user)s AND ap.codename = '{1}' AND ct.app_label = '{0}'
"""
ALLOWED = f"""
    SELECT %(user)s AS id
    UNION
    SELECT object_pk::bigint FROM ({HELD.format("people", "send_message")}) AS person
    UNION
    SELECT ug.user_id FROM people_user_groups ug
    JOIN ({HELD.format("auth", "send_group_message")}) AS held ON held.object_pk::bigint = ug.group_id
"""
# Who may write to everybody by a permission that is about no one.
RIGHTS = "('people', 'send_message'), ('auth', 'send_group_message')"
MODEL_WIDE = f"""
    SELECT FROM people_user u WHERE u.id = %(user)s AND (u.is_superuser
        OR EXISTS (SELECT FROM people_user_user_permissions up JOIN auth_permission p ON p.id = up.permission_id
            JOIN django_content_type ct ON ct.id = p.content_type_id
            WHERE up.user_id = u.id AND (ct.app_label, p.codename) IN ({RIGHTS}))
        OR EXISTS (SELECT FROM auth_group_permissions gp JOIN auth_permission p ON p.id = gp.permission_id
            JOIN django_content_type ct ON ct.id = p.content_type_id
            JOIN people_user_groups ug ON ug.group_id = gp.group_id
            WHERE ug.user_id = u.id AND (ct.app_label, p.codename) IN ({RIGHTS})))
"""
RECIPIENTS = f"""
    SELECT {{columns}} FROM people_user u WHERE u.is_active {{named}} AND (u.id IN ({ALLOWED}) OR EXISTS ({MODEL_WIDE}))
    AND EXISTS (SELECT FROM people_user me WHERE me.id = %(user)s AND me.is_active)
"""
# Scenario 16: what a person's message to many has to ask, by hand.
WAIT = "SELECT pg_advisory_xact_lock(hashtextextended(%(sender_key)s, 0))"
LIMIT_REACHED = """
    (SELECT recorded_at FROM messages_extends_auditrecord WHERE actor_id = %(actor)s
        AND action IN ('send', 'announce', 'broadcast', 'revise') AND recorded_at > %(now)s - interval '1 minute'
        ORDER BY recorded_at DESC OFFSET 59 LIMIT 1)
    UNION ALL
    (SELECT recorded_at FROM messages_extends_auditrecord WHERE actor_id = %(actor)s
        AND action IN ('send', 'announce', 'broadcast', 'revise') AND recorded_at > %(now)s - interval '1 hour'
        ORDER BY recorded_at DESC OFFSET 599 LIMIT 1)
"""
IN_GROUP = """
    SELECT u.id FROM people_user u JOIN people_user_groups ug ON ug.user_id = u.id
    WHERE ug.group_id = 1 AND u.is_active
"""
IN_QUERY = "SELECT id FROM people_user WHERE id <= %(people)s AND is_active"
LOCK_CHOSEN = f"""
    WITH chosen AS MATERIALIZED ({{chosen}})
    SELECT p.id, (SELECT count(*) FROM chosen WHERE id <> %(user)s),
        (SELECT count(*) FROM chosen c WHERE c.id <> %(user)s AND (c.id IN ({ALLOWED}) OR EXISTS ({MODEL_WIDE})))
    FROM people_user p WHERE p.id = ANY(ARRAY(SELECT id FROM chosen)) ORDER BY p.id FOR KEY SHARE OF p
"""
INSERT_CHOSEN = """
    INSERT INTO messages_extends_message (user_id, sender_id, level, message, params, url, key, is_safe, extra_tags,
        expires, created, modified, from_person)
    SELECT id, %(user)s, 19, %(text)s, NULL, '', '', false, '', NULL, %(now)s, %(now)s, true
    FROM people_user WHERE id = ANY(%(keys)s) ORDER BY id ON CONFLICT DO NOTHING RETURNING user_id
"""
RECORD = """
    INSERT INTO messages_extends_auditrecord (recorded_at, actor_id, actor_name, action, subject, audience, count,
        text_hash, text)
    VALUES (%(now)s, %(actor)s, %(name)s, 'send', 'messages', 'people', %(count)s, %(hash)s, '') RETURNING id
"""
HINTS = "SELECT pg_notify('messages_extends', text) FROM unnest(%(texts)s::text[]) AS text"
NAMED = "AND (u.name ILIKE %({0})s OR u.email ILIKE %({0})s)"
USER = "u.id, u.password, u.last_login, u.is_superuser, u.email, u.name, u.is_staff, u.is_active, u.date_joined"


def counting(*, exact: bool) -> str:
    """Return the statement that counts what is unread."""
    limit = "" if exact else "LIMIT 100"
    return COUNT.format(limit=limit, messages="" if exact else f"ORDER BY m.shows_at DESC, m.id DESC {limit}")


INSERT_ONE = INSERT.replace("id <= %(people)s", "id = %(user)s")
NOTIFY_ONE = "SELECT pg_notify('by_hand', %(payload)s)"


def _connect() -> psycopg.Connection[Any]:
    given = json.loads(os.environ["BENCHMARK_DATABASE"])
    names = {"NAME": "dbname", "USER": "user", "PASSWORD": "password", "HOST": "host", "PORT": "port"}
    return psycopg.connect(
        autocommit=True,
        cursor_factory=psycopg.ClientCursor,
        prepare_threshold=None,
        **{names[key]: value for key, value in given.items() if value},
    )


class ByHand:
    """Methods are called by the runner; they answer as those of the contestants do."""

    def __init__(self) -> None:
        self.database = _connect()

    def insert_select(self, organisation: int, people: int, text: str) -> float:
        values = {"people": people, "text": text}
        return self._once(organisation, [INSERT], values)["seconds"]  # type: ignore[no-any-return]

    def insert_guarded(self, organisation: int, people: int, text: str) -> float:
        self._enter(organisation)
        values = {"people": people, "text": text, "now": datetime.now(UTC)}
        return seconds(lambda: self._fetch(GUARDED, values))

    def insert_as_person(self, organisation: int, sender: int, people: int, group: bool, text: str) -> float:
        """Write as a person to a group or a queryset with our guards: limit, policy, locks, conflicts, record, hint."""
        self._enter(organisation)
        return seconds(lambda: self._insert_as_person(organisation, sender, people, group, text))

    def _insert_as_person(self, organisation: int, sender: int, people: int, group: bool, text: str) -> None:
        schema = schema_name(organisation)
        values: dict[str, Any] = {"user": sender, "actor": str(sender), "people": people, "text": text}
        values |= {"now": datetime.now(UTC), "sender_key": f"{schema}: {sender}", "name": f"Person {sender}"}
        with self.database.transaction():
            self._fetch(WAIT, values)
            if self._fetch(LIMIT_REACHED, values):
                raise AssertionError("The limit is reached.")
            locked = self._fetch(LOCK_CHOSEN.format(chosen=IN_GROUP if group else IN_QUERY), values)
            if len(locked) != people or any(others != may for _key, others, may in locked):
                raise AssertionError(f"{len(locked)} people instead of {people}, or not allowed.")
            written = self._fetch(INSERT_CHOSEN, {**values, "keys": [key for key, *_counts in locked]})
            hashed = hashlib.sha256(text.encode()).hexdigest()
            self._fetch(RECORD, {**values, "count": len(written), "hash": hashed})
        keys = [str(key) for (key,) in written]
        parts = [keys[start : start + 600] for start in range(0, len(keys), 600)]
        self._fetch(HINTS, {"texts": [json.dumps({"schema": schema, "users": part}) for part in parts]})

    def tell_at_once(self, organisation: int, writers: int, length: float, text: str) -> dict[str, Any]:
        """Have processes insert a row and notify for `length` seconds, each for a person of its own."""

        def write(number: int) -> Callable[[], None]:
            # A process that is forked must not share a connection with another.
            self.database = _connect()
            self._enter(organisation)
            payload = json.dumps({"schema": schema_name(organisation), "users": [str(number)]})

            def insert_and_notify() -> None:
                self.database.execute(INSERT_ONE, {"user": number, "text": text, "now": datetime.now(UTC)})
                self.database.execute(NOTIFY_ONE, {"payload": payload})

            return insert_and_notify

        return at_once(self.database, writers, length, nullcontext, write)

    def copy(self, organisation: int, people: int, text: str) -> float:
        """Read the keys, then COPY: what one does who has the people in Python."""

        def write() -> None:
            now = datetime.now(UTC)
            keys = self._fetch("SELECT id FROM people_user WHERE id <= %(people)s AND is_active", {"people": people})
            with self.database.transaction(), self.database.cursor().copy(COPY.encode()) as copy:
                for (key,) in keys:
                    copy.write_row((key, 19, text, "", "", False, "", now, now))

        self._enter(organisation)
        return seconds(write)

    def count(self, organisation: int, user: int, repeat: int, exact: bool = True) -> dict[str, Any]:
        found = self._repeated(organisation, counting(exact=exact), {"user": user}, repeat)
        number = found["value"][0][0]
        return {**found, "value": number if exact else min(number, 100)}

    def banners(self, organisation: int, user: int, repeat: int) -> dict[str, Any]:
        found = self._repeated(organisation, BANNERS, {"user": user}, repeat)
        return {**found, "value": len(found["value"])}

    def page(self, organisation: int, user: int, number: int, repeat: int) -> dict[str, Any]:
        values: dict[str, Any] = {"user": user}
        narrowed = dict.fromkeys(AFTER, "")
        if number > 1:
            self._enter(organisation)
            ((at, key),) = self._fetch(LAST_BEFORE, {"user": user, "offset": (number - 1) * 20 - 1})
            values |= {"at": at, "id": key}
            narrowed = AFTER
        found = self._repeated(organisation, PAGE.format(**narrowed), values, repeat)
        newest = sorted(found["value"], key=lambda row: row[SHOWS_AT], reverse=True)[:20]
        return {**found, "value": [row[3] for row in newest]}

    def mark_all(self, organisation: int, user: int) -> dict[str, Any]:
        return self._once(organisation, [MARK_MESSAGES, MARK_PUBLICATIONS], {"user": user})

    def undo(self, organisation: int, user: int, at: str) -> dict[str, Any]:
        values = {"user": user, "at": datetime.fromisoformat(at)}
        return self._once(organisation, [UNMARK_MESSAGES, UNMARK_PUBLICATIONS], values)

    def recipients(self, organisation: int, user: int, repeat: int) -> dict[str, Any]:
        statement = RECIPIENTS.format(columns="u.id", named="")
        found = self._repeated(organisation, statement, {"user": user}, repeat)
        return {**found, "value": sorted(row[0] for row in found["value"])}

    def may_message(self, organisation: int, user: int, others: list[int], repeat: int) -> dict[str, Any]:
        statement = RECIPIENTS.format(columns="1", named="AND u.id = %(other)s")
        answers = [self._repeated(organisation, statement, {"user": user, "other": other}, repeat) for other in others]
        return {
            "seconds": median(answer["seconds"] for answer in answers),
            "value": [bool(answer["value"]) for answer in answers],
        }

    def search(self, organisation: int, user: int, text: str, repeat: int) -> dict[str, Any]:
        words = {f"word{number}": f"%{word}%" for number, word in enumerate(text.split())}
        named = " ".join(NAMED.format(name) for name in words)
        statement = RECIPIENTS.format(columns=USER, named=named) + "ORDER BY u.name, u.email, u.id LIMIT 21"
        values = {"user": user, **words}
        found = self._repeated(organisation, statement, values, repeat)
        return {**found, "value": [row[5] for row in found["value"]]}

    def _repeated(self, organisation: int, statement: str, values: dict[str, Any], repeat: int) -> dict[str, Any]:
        self._enter(organisation)
        values = {**values, "now": datetime.now(UTC), "schema": schema_name(organisation)}
        rows = self._fetch(statement, values)
        return {
            "seconds": median(seconds(lambda: self._fetch(statement, values)) for _ in range(repeat)),
            "value": rows,
        }

    def _once(self, organisation: int, statements: list[str], values: dict[str, Any]) -> dict[str, Any]:
        """Run the statements in one transaction; return how long it took, and how many rows they changed."""
        self._enter(organisation)
        now = datetime.now(UTC)
        values = {**values, "now": now, "schema": schema_name(organisation)}
        changed: list[int] = []

        def run() -> None:
            with self.database.transaction():
                changed.extend(self.database.execute(statement.encode(), values).rowcount for statement in statements)

        return {"seconds": seconds(run), "changed": sum(changed), "at": now.isoformat()}

    def _fetch(self, statement: str, values: dict[str, Any]) -> list[Any]:
        return self.database.execute(statement.encode(), values).fetchall()

    def _enter(self, organisation: int) -> None:
        path = SQL("SET search_path = {}, public").format(Identifier(schema_name(organisation)))
        self.database.execute(path)


if __name__ == "__main__":
    serve(ByHand())
