"""Run work in a thread of this process after the response of a request was sent.

The duration of the response then reveals nothing. Work that is waiting when the process is killed is lost: use it only
for work that users can request again.
"""

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from typing import Any, Final

from django.db import connections
from django.http import HttpResponseRedirect
from django.utils import timezone, translation
from django_tenants.utils import schema_context

logger = logging.getLogger(__name__)

Act = Callable[[], None]

THREADS: Final = 2
# Further work is dropped, so that fast requests cannot fill the memory while a mail server is slow.
MAX_WAITING: Final = 1_000

_pool: Final = ThreadPoolExecutor(THREADS, "tenants.background")
# Adding to a set, removing from it and copying it are atomic.
_waiting: Final[set[Future[None]]] = set()


class RedirectAndAct(HttpResponseRedirect):
    """A redirect, after which `act` runs in the schema, the language and the time zone of its request."""

    def __init__(self, to: str, act: Act, *, schema: str) -> None:
        super().__init__(to)
        zone = timezone.get_current_timezone()
        self._act: Act | None = partial(_run, act, schema, translation.get_language(), zone)

    def close(self) -> None:
        super().close()
        # A server may close it more than once.
        act, self._act = self._act, None
        if act is not None:
            _start(act)


def wait_for_all() -> None:
    """Wait until all work is done."""
    wait(_waiting.copy())


def _start(act: Act) -> None:
    if len(_waiting) >= MAX_WAITING:
        logger.error("Too much is waiting to be done in the background: something was dropped.")
        return
    future = _pool.submit(act)
    _waiting.add(future)
    future.add_done_callback(_waiting.discard)


def _run(act: Act, schema: str, language: str | None, zone: Any) -> None:
    try:
        with schema_context(schema), translation.override(language), timezone.override(zone):
            # Inside the schema, so that the log line contains the organisation.
            try:
                act()
            except Exception:
                # No request waits for the result, so the error is only logged.
                logger.exception("Something that was left to the background has failed.")
    finally:
        connections.close_all()
