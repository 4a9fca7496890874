"""Sessions where organisations are folders of one host (`TENANT_SUBFOLDER_PREFIX`)."""

from django.conf import settings
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest, HttpResponse
from django.urls import get_script_prefix
from django_tenants.utils import get_subfolder_prefix


def folder_of(request: object) -> str:
    """Return the path that the organisation of `request` is at, with slashes around; "" where it has a host of its own.

    The public pages of such a host are at no folder.
    """
    name = getattr(getattr(request, "tenant", None), "domain_subfolder", None)
    return f"{get_script_prefix()}{get_subfolder_prefix()}/{name}/" if name else ""


class SubfolderSessionMiddleware(SessionMiddleware):
    """Give each organisation a session cookie of its own, by its name and its path.

    With one cookie for the host, opening another organisation would log out of the first: a session is good in one.
    Everything else sees the cookie under its usual name.
    """

    def process_request(self, request: HttpRequest) -> None:
        own = _own_name(request)
        if own in request.COOKIES:
            request.COOKIES[settings.SESSION_COOKIE_NAME] = request.COOKIES[own]
        super().process_request(request)

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        response = super().process_response(request, response)
        own, folder = _own_name(request), folder_of(request)
        cookie = response.cookies.get(settings.SESSION_COOKIE_NAME) if folder else None
        if cookie is not None:
            del response.cookies[settings.SESSION_COOKIE_NAME]
            response.cookies[own] = cookie.value
            response.cookies[own].update(cookie)
            # Browsers accept that prefix with the path "/" alone.
            if not own.startswith("__Host-"):
                response.cookies[own]["path"] = folder
        return response


def _own_name(request: HttpRequest) -> str:
    # By the folder and not by the schema, which may be renamed. Slugs have no other characters than cookies' names.
    folder = folder_of(request).rstrip("/").rpartition("/")[2]
    return f"{settings.SESSION_COOKIE_NAME}_{folder}" if folder else settings.SESSION_COOKIE_NAME
