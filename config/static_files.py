"""Serve static files from this process; a proxy in front may cache them."""

from collections.abc import Awaitable, Callable
from typing import IO, Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from whitenoise.middleware import WhiteNoiseMiddleware


class StaticFilesMiddleware(WhiteNoiseMiddleware):  # type: ignore[misc]
    """WhiteNoise for ASGI.

    WhiteNoise's middleware is synchronous: it would add a thread to every request, and stream files with a synchronous
    iterator, which causes a warning of Django. The files of this project are small and are sent as a whole.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        super().__init__(get_response)
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def add_files(self, root: str, prefix: str | None = None) -> None:
        """Serve the folder of collected files if it exists."""
        if settings.STATIC_MANIFEST:
            super().add_files(root, prefix)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if iscoroutinefunction(self):
            return self._respond_async(request)
        response: HttpResponseBase = self._file_for(request) or self.get_response(request)
        return response

    async def _respond_async(self, request: HttpRequest) -> HttpResponseBase:
        response: HttpResponseBase | None = None
        if request.path_info.startswith(self.static_prefix):
            response = await sync_to_async(self._file_for)(request)
        return response or await self.get_response(request)

    def _file_for(self, request: HttpRequest) -> HttpResponse | None:
        path = request.path_info
        file = self.find_file(path) if self.autorefresh else self.files.get(path)
        if file is None:
            return None
        found = file.get_response(request.method, request.META)
        response = HttpResponse(_content(found.file), status=int(found.status))
        del response.headers["Content-Type"]
        for name, value in found.headers:
            response.headers[name] = value
        return response


def _content(file: IO[bytes] | None) -> bytes:
    if file is None:
        return b""
    with file:
        return file.read()
