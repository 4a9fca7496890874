"""Add the schema of the organisation to log records."""

import asyncio
import logging
from contextvars import ContextVar

from tenants.database import connection

# Set by the middleware. Unlike the schema of the connection it is correct on the event loop and in tasks.
request_schema: ContextVar[str | None] = ContextVar("request_schema", default=None)


class SchemaFilter(logging.Filter):
    """Add a `schema` to every record. Use it for handlers: a logger's own filters skip its children's records.

    It is `extra={"schema": ...}` if given; otherwise the schema of the record's request; otherwise, on an event loop,
    that of the current request; otherwise that of this thread's connection; otherwise "-". The filter never raises an
    error and never opens a connection.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        if not hasattr(record, "schema"):
            record.schema = _schema_of(record) or "-"
        return True


def _schema_of(record: logging.LogRecord) -> str | None:
    tenant = getattr(getattr(record, "request", None), "tenant", None)
    if tenant is not None:
        return str(tenant.schema_name)
    return request_schema.get() if _on_event_loop() else _schema_of_thread()


def _on_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _schema_of_thread() -> str | None:
    try:
        return getattr(connection(), "schema_name", None)
    except Exception:  # settings or backend are not ready yet
        return None
