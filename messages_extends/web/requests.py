"""Helpers for views: the current user, access and redirects."""

import uuid
from collections.abc import Callable
from functools import wraps
from typing import cast

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.utils.http import url_has_allowed_host_and_scheme

from messages_extends.inbox.badge import UnreadBadge
from messages_extends.inbox.inbox import Inbox
from messages_extends.inbox.unread import note_personal
from messages_extends.links import start_page
from messages_extends.live.browser_channel import broadcast_channel_name
from messages_extends.tenancy.schemas import has_messages, schema_of

View = Callable[..., HttpResponse]


def require_organisation(request: HttpRequest) -> None:
    """Raise Http404 in schemas without messages. Mark any other response as private."""
    if not has_messages(schema_of(request)):
        raise Http404("There are no messages outside of an organisation.")
    # Here, because a decorator does not see the response to an exception.
    note_personal(request)


def require_reader(request: HttpRequest) -> AbstractBaseUser:
    """Return the current user. Raises Http404 in schemas without messages, PermissionDenied for anonymous users."""
    require_organisation(request)
    if not request.user.is_authenticated:
        raise PermissionDenied
    return request.user


def reader_of(request: HttpRequest) -> AbstractBaseUser:
    """Return the reader of a page whose view is decorated with `login_to_read`."""
    return cast(AbstractBaseUser, request.user)


def require_reader_of_tab(request: HttpRequest) -> AbstractBaseUser:
    """Return the current user like `require_reader`. Raises PermissionDenied if the tab belongs to another user.

    A browser has one session, so that after another login, open tabs of the previous user continue to send requests.
    """
    reader = require_reader(request)
    name = broadcast_channel_name(schema_of(request), reader)
    if request.GET.get("tabs", name) != name:
        raise PermissionDenied
    return reader


def login_to_read(view: View) -> View:
    """Redirect anonymous users to the login page, and raise Http404 in schemas without messages."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        require_organisation(request)
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        return view(request, *args, **kwargs)

    return guarded


def wants_json(request: HttpRequest) -> bool:
    return request.headers.get("Accept") == "application/json"


def badge_response(inbox: Inbox) -> JsonResponse:
    """Return the current state of the bell as JSON for a script."""
    return JsonResponse(UnreadBadge(inbox.unread_count()).as_json)


def get_success_url(request: HttpRequest) -> str:
    """Return the URL to redirect to: the previous page if it is on this site, otherwise the start page."""
    for url in (request.POST.get("next", ""), request.headers.get("Referer", "")):
        if url_has_allowed_host_and_scheme(url, {request.get_host()}, require_https=request.is_secure()):
            return url
    return start_page(request)


def form_number(request: HttpRequest) -> uuid.UUID | None:
    """Return the UUID of the page that the form was sent from, under which it is processed once; None without one."""
    try:
        return uuid.UUID(request.POST.get("number", ""))
    except ValueError:
        return None
