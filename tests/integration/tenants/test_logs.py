"""Every log line carries the schema."""

import asyncio
import logging
import threading
from contextvars import Context
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.test import RequestFactory
from django_tenants.utils import schema_context

from tenants.logs import SchemaFilter, request_schema
from tenants.models import Tenant
from tests.factories import BrowserOf


def schema_of_a_record(**attributes: Any) -> str:
    record = logging.makeLogRecord(attributes)
    assert SchemaFilter().filter(record)
    return str(record.schema)


def test_log_record_has_schema_of_current_thread() -> None:
    assert schema_of_a_record() == "public"
    with schema_context("acme"):
        assert schema_of_a_record() == "acme"


def test_log_record_ignores_schema_of_other_thread() -> None:
    seen: list[str] = []
    with schema_context("acme"):
        thread = threading.Thread(target=lambda: seen.append(schema_of_a_record()))
        thread.start()
        thread.join()
    assert seen == ["public"]


def test_log_record_keeps_given_schema() -> None:
    assert schema_of_a_record(schema="globex") == "globex"


def test_log_record_prefers_schema_of_its_request() -> None:
    request = RequestFactory().get("/")
    request.tenant = Tenant(schema_name="globex")
    assert schema_of_a_record(request=request) == "globex"


def test_log_record_on_event_loop_has_schema_of_request() -> None:
    async def handle(schema: str) -> str:
        request_schema.set(schema)
        await asyncio.sleep(0)
        return schema_of_a_record()

    async def serve() -> list[str]:
        return list(await asyncio.gather(handle("acme"), handle("globex")))

    assert asyncio.run(serve()) == ["acme", "globex"]


def test_log_record_outside_request_on_event_loop_has_dash() -> None:
    async def idle() -> str:
        return schema_of_a_record()

    assert Context().run(asyncio.run, idle()) == "-"


def test_log_record_without_tenant_on_connection_has_dash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "tenant", None)
    monkeypatch.setattr(connection, "schema_name", None)
    assert schema_of_a_record() == "-"


def test_logging_config_applies_schema_filter_to_every_handler() -> None:
    logging_setting: Any = django_settings.LOGGING
    assert all("schema" in handler["filters"] for handler in logging_setting["handlers"].values())
    assert all(logger["propagate"] and not logger["handlers"] for logger in logging_setting["loggers"].values())


@pytest.mark.django_db
def test_request_log_line_names_schema(acme: Tenant, browser_of: BrowserOf, capsys: pytest.CaptureFixture[str]) -> None:
    handler = logging.StreamHandler()
    handler.addFilter(SchemaFilter())
    handler.setFormatter(logging.Formatter("[{schema}] {message}", style="{"))
    logger = logging.getLogger("django.request")
    logger.addHandler(handler)
    try:
        browser_of(acme).get("/nowhere/")
    finally:
        logger.removeHandler(handler)
    assert capsys.readouterr().err == "[acme] Not Found: /nowhere/\n"
