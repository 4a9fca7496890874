"""The ASGI application keeps no database connection, whatever becomes of a request."""

import asyncio
import gc
from collections.abc import Iterator
from typing import Any

import pytest
from asgiref.testing import ApplicationCommunicator
from django.core.handlers.asgi import ASGIHandler
from django.db import connection
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.test import Client, override_settings
from django.urls import path

from config.asgi import Handler
from messages_extends.models import Message
from tenants.models import Tenant
from tests.pools import in_use_before, in_use_when_settled


def breaks_off(request: HttpRequest) -> StreamingHttpResponse:
    def chunks() -> Iterator[bytes]:
        yield str(Message.objects.count()).encode()
        raise RuntimeError("the stream breaks off")

    return StreamingHttpResponse(chunks())


Communicator: Any = ApplicationCommunicator


class Urls:
    urlpatterns = [path("breaks_off/", breaks_off)]


def connections_kept(handler: ASGIHandler) -> int:
    """Return how many connections more are out of the pool after five requests whose stream breaks off."""
    before = asyncio.run(in_use_before())
    with override_settings(ROOT_URLCONF=Urls):
        asyncio.run(_ask(handler, times=5))
    # The open bodies are this test's, and not of the one that runs when they are collected.
    gc.collect()
    return asyncio.run(in_use_when_settled()) - before


async def _ask(handler: ASGIHandler, times: int) -> None:
    scope = {"type": "http", "method": "GET", "path": "/breaks_off/", "headers": [(b"host", b"acme.localhost")]}
    for _ in range(times):
        browser: Any = Communicator(handler, {**scope, "query_string": b"", "http_version": "1.1"})
        await browser.send_input({"type": "http.request"})
        with pytest.raises(RuntimeError):
            await browser.wait(timeout=10)


# Of a stream that breaks off Django leaves the request's body open, and it dislikes synchronous ones.
pytestmark = [
    pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume"),
    pytest.mark.filterwarnings("ignore:.*Unclosed file:ResourceWarning"),
]


def test_asgi_handler_returns_connections_after_broken_stream(committing: None) -> None:
    connection.ensure_connection()
    assert connections_kept(Handler()) == 0


@pytest.mark.parametrize("charset", ["utf-16", "rot13", "unicode_escape", "no-such-charset"])
@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=b"])
def test_form_in_unsupported_charset_returns_400(in_acme: Tenant, charset: str, content_type: str) -> None:
    browser = Client(headers={"host": "acme.localhost"}, raise_request_exception=False)
    answer = browser.generic("POST", "/login/", b"a=b", f"{content_type}; charset={charset}")
    assert answer.status_code == 400


@pytest.mark.parametrize("charset", ["utf-8", "UTF-8"])
def test_form_in_utf_8_returns_200(in_acme: Tenant, charset: str) -> None:
    browser = Client(headers={"host": "acme.localhost"})
    content_type = f"application/x-www-form-urlencoded; charset={charset}"
    assert browser.post("/login/", "username=a", content_type=content_type).status_code == 200


def test_form_with_too_many_fields_returns_400(in_acme: Tenant) -> None:
    browser = Client(headers={"host": "acme.localhost"}, enforce_csrf_checks=True, raise_request_exception=False)
    browser.cookies["csrftoken"] = "a" * 32
    body = "&".join(f"f{number}=1" for number in range(1100))
    answer: HttpResponse = browser.post("/login/", body, content_type="application/x-www-form-urlencoded")
    assert answer.status_code == 400
