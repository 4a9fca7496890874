"""The ASGI application."""

import os
from typing import Any

import django
from django.core import signals
from django.core.handlers.asgi import ASGIHandler

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")


class Handler(ASGIHandler):
    """Django's handler, which also gives the request's database connection back where an error leaves it.

    Django says that a request has finished only where it has got a response to close. Whatever raises beyond that (an
    error in an error page, a stream that breaks off) would keep its connection for ever, and some twenty such requests
    the whole pool.
    """

    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await super().handle(scope, receive, send)
        except BaseException:
            await signals.request_finished.asend(sender=type(self))
            raise


django.setup(set_prefix=False)

from messages_extends.live.asgi import LiveUpdates  # noqa: E402 - once the apps are there

application = LiveUpdates(Handler())
