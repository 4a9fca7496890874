"""Static files, under WSGI and ASGI alike."""

from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connection
from django.test import AsyncClient, Client
from django.test.utils import CaptureQueriesContext

pytestmark = pytest.mark.integration

PATH = "/static/config/site.css"


def get(kind: str, path: str, **headers: str) -> Any:
    headers = {"host": "nobody.example", **{name.replace("_", "-"): value for name, value in headers.items()}}
    if kind == "sync":
        return Client().get(path, headers=headers)
    return async_to_sync(AsyncClient().get)(path, headers=headers)


@pytest.mark.django_db
@pytest.mark.parametrize("kind", ["sync", "async"])
class TestStaticFiles:
    def test_static_file_is_served_at_any_host_without_queries(self, kind: str) -> None:
        with CaptureQueriesContext(connection) as queries:
            response = get(kind, PATH)
        assert response.status_code == 200
        assert not response.streaming
        assert response["Content-Type"].startswith("text/css")
        assert b".alert" in response.content
        assert len(queries) == 0

    def test_unchanged_static_file_returns_304(self, kind: str) -> None:
        response = get(kind, PATH, if_none_match=get(kind, PATH)["ETag"])
        assert (response.status_code, response.content) == (304, b"")

    def test_static_file_range_returns_206(self, kind: str) -> None:
        response = get(kind, PATH, range="bytes=0-9")
        assert (response.status_code, len(response.content)) == (206, 10)

    @pytest.mark.parametrize("path", ["/static/nothing.css", "/static/../settings.py", "/static/%2e%2e/settings.py"])
    def test_missing_static_file_returns_404(self, kind: str, path: str) -> None:
        assert get(kind, path).status_code == 404
