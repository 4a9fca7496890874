"""Static files, served by this process: a proxy in front may cache them, and need not know where they lie."""

from collections.abc import Awaitable, Callable
from typing import IO, Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from whitenoise.middleware import WhiteNoiseMiddleware


class StaticFilesMiddleware(WhiteNoiseMiddleware):
    """WhiteNoise that is at home under ASGI too.

    WhiteNoise's own middleware is synchronous: it would put a thread between the server and every request, and stream
    files by a synchronous iterator, of which Django warns. Ours are small, so they are sent in one piece.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        super().__init__(get_response)
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if iscoroutinefunction(self):
            return self._respond_async(request)
        return self._file_for(request) or self.get_response(request)

    async def _respond_async(self, request: HttpRequest) -> HttpResponseBase:
        if not request.path_info.startswith(self.static_prefix):
            return await self.get_response(request)
        return await sync_to_async(self._file_for)(request) or await self.get_response(request)

    def _file_for(self, request: HttpRequest) -> HttpResponse | None:
        if self.autorefresh:
            file = self.find_file(request.path_info)
        else:
            file = self.files.get(request.path_info)
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
