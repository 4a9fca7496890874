"""Facts 10 to 12: on an event loop, in other threads and in streams the current schema is nobody's.

What is ours is told the schema by value, in the one function that then queries.
"""

import ast
import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from asgiref.testing import ApplicationCommunicator
from django.conf import settings as django_settings
from django.core.cache import cache
from django.db import OperationalError, connection, connections
from django.test import override_settings
from django_tenants.cache import make_key
from django_tenants.utils import schema_context

from config.asgi import Handler
from messages_extends.api import asend
from messages_extends.live.asgi import LiveUpdates
from messages_extends.models import Message
from messages_extends.tenancy.schemas import current_schema
from tenants.models import Tenant
from tenants.people.models import User
from tests.factories import BrowserOf, MakeMessage
from tests.isolation.conftest import OURS, OpenConnection
from tests.isolation.test_tenant_context_rules import SOURCES
from tests.pools import in_use_before, in_use_when_settled

Communicator: Any = ApplicationCommunicator


@pytest.fixture
def people(twins: dict[str, User], make_message: MakeMessage) -> dict[str, User]:
    """The twins, who have a message each."""
    for schema, person in twins.items():
        with schema_context(schema):
            make_message(person, f"of {schema}")
    return twins


def texts(schema: str) -> list[str]:
    with schema_context(schema):
        return list(Message.objects.order_by("pk").values_list("message", flat=True))


# The event loop -----------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_cache_on_event_loop_returns_value_of_other_tenant() -> None:
    async def view(schema: str) -> str:
        # As the middleware does, in the request's thread.
        await sync_to_async(left_in)(schema)
        return str(cache.get_or_set("who", f"of {schema}"))

    with override_settings(CACHES={"default": {"BACKEND": BACKEND, "KEY_FUNCTION": "django_tenants.cache.make_key"}}):
        assert [async_to_sync(view)(schema) for schema in ("acme", "globex")] == ["of acme", "of acme"]
        with schema_context("globex"):
            assert make_key("who", "", 1) == "globex::1:who"


BACKEND = "django.core.cache.backends.locmem.LocMemCache"


def uses_a_cache(source: str) -> list[str]:
    """Return imports of Django's caches, but for what checks their settings."""
    modules = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Import | ast.ImportFrom)]
    texts = [ast.unparse(node) for node in modules]
    return [text for text in texts if "django.core.cache" in text and "get_key_func" not in text]


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: str(source.relative_to(django_settings.BASE_DIR)))
def test_package_code_uses_no_cache(source: Path) -> None:
    assert uses_a_cache(source.read_text("utf-8")) == []
    assert uses_a_cache("from django.core.cache import cache") != []


@pytest.mark.usefixtures("people", "in_acme")
def test_schema_context_on_event_loop_does_not_affect_queries() -> None:
    async def view() -> list[str]:
        with schema_context("globex"):
            return [message.message async for message in Message.objects.all()]

    assert async_to_sync(view)() == ["of acme"]


def test_asend_on_event_loop_writes_to_given_schema(people: dict[str, Any], in_acme: Tenant) -> None:
    async def view() -> None:
        with schema_context("acme"):
            await asend([people["globex"]], "sent", schema="globex")

    async_to_sync(view)()
    assert (texts("acme"), texts("globex")) == (["of acme"], ["of globex", "sent"])


# Threads ------------------------------------------------------------------------------------------------------------


def left_in(schema: str) -> str:
    connection.set_schema(schema)
    return current_schema()


@pytest.mark.usefixtures("committing")
def test_reused_thread_keeps_schema_of_previous_task() -> None:
    def work() -> str:
        with ThreadPoolExecutor(1) as pool:
            for schema in ("acme", "globex"):
                pool.submit(left_in, schema).result()
            found = pool.submit(current_schema).result()
            pool.submit(connections.close_all).result()
            return found

    assert work() == "globex"


@pytest.mark.usefixtures("committing")
def test_background_task_without_schema_runs_in_public() -> None:
    async def view() -> str:
        await sync_to_async(left_in)("acme")
        later = asyncio.create_task(sync_to_async(current_schema, thread_sensitive=False)())
        return await later

    assert async_to_sync(view)() == "public"


def test_asend_in_tasks_writes_to_given_schema_when_thread_changes_schema(
    committing: None, people: dict[str, Any]
) -> None:
    async def view() -> None:
        task = asyncio.create_task(asend([people["globex"]], "sent", schema="globex"))
        await sync_to_async(left_in)("acme")
        await task
        await asyncio.gather(*(each_in(schema) for schema in ("acme", "globex") * 10))

    async def each_in(schema: str) -> None:
        await sync_to_async(left_in)("globex" if schema == "acme" else "acme")
        await asend([people[schema]], f"sent in {schema}", schema=schema)

    async_to_sync(view)()
    connection.set_schema_to_public()
    assert texts("acme") == ["of acme", *["sent in acme"] * 10]
    assert texts("globex") == ["of globex", "sent", *["sent in globex"] * 10]


# Streams ------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("people")
def test_sync_stream_reads_schema_of_later_request_between_chunks() -> None:
    def stream() -> Iterator[str]:
        while True:
            yield Message.objects.get().message

    connection.set_schema("acme")
    chunks = stream()
    first = next(chunks)
    # Between two chunks the same thread serves somebody else.
    connection.set_schema("globex")
    assert (first, next(chunks)) == ("of acme", "of globex")


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: str(source.relative_to(django_settings.BASE_DIR)))
def test_package_code_uses_no_streaming_http_response(source: Path) -> None:
    assert "StreamingHttpResponse" not in source.read_text("utf-8")


def test_querying_streams_exhaust_connection_pool(open_connection: OpenConnection) -> None:
    pool = {"min_size": 0, "max_size": 2, "timeout": 0.2}
    streams = [open_connection(OURS, pool=pool) for _ in range(2)]
    ordinary = open_connection(OURS, pool=pool)
    aliases = {each: each.alias for each in (streams[1], ordinary)}
    # All three have one pool, as the threads of one process do.
    ordinary.alias = streams[1].alias = streams[0].alias
    try:
        for each in streams:
            each.ensure_connection()
        with pytest.raises(OperationalError):
            ordinary.ensure_connection()
        streams[0].close()
        ordinary.ensure_connection()
    finally:
        for each in (*streams, ordinary):
            each.close()
        ordinary.close_pool()
        for each, alias in aliases.items():
            each.alias = alias


def test_open_streams_hold_no_database_connection(
    committing: None, acme: Tenant, people: dict[str, Any], browser_of: BrowserOf
) -> None:
    cookies = browser_of(acme, people["acme"]).cookies
    headers = [
        (b"host", b"acme.localhost"),
        (b"accept", b"text/event-stream"),
        (b"cookie", "; ".join(f"{name}={cookie.value}" for name, cookie in cookies.items()).encode()),
    ]
    own = {**django_settings.MESSAGES_EXTENDS, "MAX_STREAMS_PER_USER": 20}
    with override_settings(MESSAGES_EXTENDS=own):
        held = asyncio.run(_connections_held_by_streams(headers, count=20))
    # Fewer if a connection of an earlier test has ended meanwhile.
    assert held <= 0


async def _connections_held_by_streams(headers: list[tuple[bytes, bytes]], count: int) -> int:
    application = LiveUpdates(Handler())
    scope = {"type": "http", "method": "GET", "path": "/messages/stream/", "query_string": b"", "http_version": "1.1"}
    before = await in_use_before()
    browsers: list[Any] = [Communicator(application, {**scope, "headers": headers}) for _ in range(count)]
    try:
        for browser in browsers:
            await browser.send_input({"type": "http.request"})
            assert (await browser.receive_output(timeout=10))["status"] == 200
            # What the stream says first, and how things stand.
            while b'"unread": 1' not in (await browser.receive_output(timeout=10))["body"]:
                pass
        return await in_use_when_settled() - before
    finally:
        for browser in browsers:
            await browser.send_input({"type": "http.disconnect"})
        await application.close()
