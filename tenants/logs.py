"""Add the schema of the organisation to log records."""

import asyncio
import logging
from contextvars import ContextVar

from tenants.database import connection

# Set by the middleware. Unlike the connection's schema it is right on the event loop and in tasks started there.
request_schema: ContextVar[str | None] = ContextVar("request_schema", default=None)


class SchemaFilter(logging.Filter):
    """Give every record a `schema`: a filter for a *handler*, as a logger's own filters skip its children's records.

    What the caller passes as `extra={"schema": ...}` stands; else it is the schema of the record's request; else, on an
    event loop, that of the request which the code belongs to; else this thread's connection's. Outside all of them it
    is "-". It never raises and never opens a connection.
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
