"""Session middleware for tenants in subfolders of one host (`TENANT_SUBFOLDER_PREFIX`)."""

from django.conf import settings
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest, HttpResponse

from messages_extends.tenancy.folders import folder_of


class SubfolderSessionMiddleware(SessionMiddleware):
    """Give each tenant a session cookie with its own name and path.

    A session is valid in one tenant only, so with a single cookie for the host, opening a second tenant would end the
    session in the first. Other code sees the cookie under its usual name.
    """

    def process_request(self, request: HttpRequest) -> None:
        own = _cookie_name(request)
        if own in request.COOKIES:
            request.COOKIES[settings.SESSION_COOKIE_NAME] = request.COOKIES[own]
        super().process_request(request)

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        response = super().process_response(request, response)
        own, folder = _cookie_name(request), folder_of(request)
        cookie = response.cookies.get(settings.SESSION_COOKIE_NAME) if folder else None
        if cookie is not None:
            del response.cookies[settings.SESSION_COOKIE_NAME]
            response.cookies[own] = cookie.value
            response.cookies[own].update(cookie)
            # Browsers accept this prefix only with the path "/".
            if not own.startswith("__Host-"):
                response.cookies[own]["path"] = folder
        return response


def _cookie_name(request: HttpRequest) -> str:
    # Use the subfolder, because the schema may be renamed. All characters of a slug are valid in a cookie's name.
    folder = folder_of(request).rstrip("/").rpartition("/")[2]
    return f"{settings.SESSION_COOKIE_NAME}_{folder}" if folder else settings.SESSION_COOKIE_NAME
