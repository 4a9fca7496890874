"""Marking messages as read, or as acknowledged: by a form, or by a script that wants an empty answer."""

from collections.abc import Callable

from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import get_script_prefix
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from messages_extends.exceptions import MustAcknowledge, NoSuchMessage
from messages_extends.inbox import Inbox
from messages_extends.tenancy.schemas import is_public, schema_of


def _reader(request: HttpRequest) -> AbstractBaseUser:
    """Return who is reading: 404 outside any organisation, 403 when nobody is logged in."""
    if is_public(schema_of(request)):
        raise Http404("There are no messages outside an organisation.")
    if not request.user.is_authenticated:
        raise PermissionDenied
    return request.user


@require_POST
def message_mark_read(request: HttpRequest, message_id: str) -> HttpResponse:
    return _mark(request, Inbox.mark_read, message_id)


@require_POST
def message_acknowledge(request: HttpRequest, message_id: str) -> HttpResponse:
    return _mark(request, Inbox.acknowledge, message_id)


@require_POST
def message_mark_all_read(request: HttpRequest) -> HttpResponse:
    Inbox(_reader(request)).mark_all_read()
    return _done(request)


def _mark(request: HttpRequest, act: Callable[[Inbox, str], bool], message_id: str) -> HttpResponse:
    try:
        act(Inbox(_reader(request)), message_id)
    except NoSuchMessage as error:
        raise Http404("You have no such message.") from error
    except MustAcknowledge as error:
        return HttpResponse(str(error), status=409, content_type="text/plain; charset=utf-8")
    return _done(request)


def _done(request: HttpRequest) -> HttpResponse:
    if request.headers.get("X-Requested-With") == "XMLHttpRequest":
        return HttpResponse()
    return HttpResponseRedirect(_back(request))


def _back(request: HttpRequest) -> str:
    """Return where the user came from, if that is on this site; else the start page."""
    for url in (request.POST.get("next", ""), request.headers.get("Referer", "")):
        if url_has_allowed_host_and_scheme(url, {request.get_host()}, require_https=request.is_secure()):
            return url
    return get_script_prefix()
