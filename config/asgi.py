"""The ASGI application."""

import os
from typing import Any

import django
from asgiref.sync import sync_to_async
from django.core import signals
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpRequest
from django.http.response import HttpResponseBase

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")


class Handler(ASGIHandler):
    """Django's handler, which runs the middleware and the view of a request in one call in a thread.

    All middleware of this project is synchronous. Django would enter the thread twice for each of them, which takes
    more time than most of them need.

    It also returns the request's database connection after any error. Django sends `request_finished` only when it
    closes a response. An error outside of that (in an error page, or in a stream) would keep its connection, and twenty
    such requests would exhaust the pool.
    """

    def load_middleware(self, is_async: bool = False) -> None:
        super().load_middleware(is_async=False)

    async def get_response_async(self, request: HttpRequest) -> HttpResponseBase:
        return await sync_to_async(self.get_response)(request)

    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await super().handle(scope, receive, send)
        except BaseException:
            await signals.request_finished.asend(sender=type(self))
            raise


django.setup(set_prefix=False)

from messages_extends.live.asgi import LiveUpdates  # noqa: E402 - once the apps are there

application = LiveUpdates(Handler())
