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
    """Django's handler, with the middleware and the view of a request in one call of a thread.

    All of ours are synchronous. Django would enter the thread again for each half of each of them, which takes more
    time than most of them need.

    It also gives the request's database connection back where an error leaves it. Django says that a request has
    finished only where it has got a response to close. Whatever raises beyond that (an error in an error page, a
    stream that breaks off) would keep its connection for ever, and some twenty such requests the whole pool.
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
