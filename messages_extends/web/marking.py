"""The views that mark messages as read, unread or acknowledged, for forms and scripts."""

from collections.abc import Callable

from django.core.exceptions import BadRequest
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext
from django.views.decorators.http import require_POST

from messages_extends.exceptions import MustAcknowledge, NoSuchMessage
from messages_extends.inbox.inbox import Inbox
from messages_extends.web.filters import InboxFilterForm
from messages_extends.web.requests import badge_response, get_success_url, require_reader, wants_json
from messages_extends.web.tokens import read_snapshot_token, read_undo_token, undo_token


@require_POST
def message_mark_read(request: HttpRequest, message_id: str) -> HttpResponse:
    return _mark(request, Inbox.mark_read, message_id)


@require_POST
def message_mark_unread(request: HttpRequest, message_id: str) -> HttpResponse:
    return _mark(request, Inbox.mark_unread, message_id)


@require_POST
def message_acknowledge(request: HttpRequest, message_id: str) -> HttpResponse:
    return _mark(request, Inbox.acknowledge, message_id)


@require_POST
def message_mark_all_read(request: HttpRequest) -> HttpResponse:
    """Mark all messages that the page showed as unread, limited by its filter, as read.

    The inbox then shows their number and a button to undo it.
    """
    user = require_reader(request)
    form = InboxFilterForm(request.POST)
    if not form.is_valid():
        raise BadRequest(form.problem)
    chosen = form.chosen
    token = request.POST.get("snapshot", "")
    snapshot = read_snapshot_token(request, token)
    if token and snapshot is None:
        raise BadRequest("This snapshot does not belong to this user.")
    marked = Inbox(user).mark_all_read(snapshot, **chosen.as_arguments(without="unread"))
    if "undoable" not in request.POST:
        return _done(request, Inbox(user))
    undo = undo_token(request, marked, "read") if marked.count else ""
    return HttpResponseRedirect(chosen.address(undo=undo))


@require_POST
def message_undo(request: HttpRequest) -> HttpResponse:
    inbox = Inbox(require_reader(request))
    marked = read_undo_token(request, request.POST.get("undo", ""))
    if marked is None:
        raise BadRequest("There is nothing to undo.")
    inbox.undo(marked.at)
    return _done(request, inbox)


def _mark(request: HttpRequest, act: Callable[[Inbox, str], bool], message_id: str) -> HttpResponse:
    inbox = Inbox(require_reader(request))
    try:
        act(inbox, message_id)
    except NoSuchMessage as error:
        raise Http404("You have no such message.") from error
    except MustAcknowledge:
        text = gettext("This message must be acknowledged. It cannot be closed or marked as unread.")
        return HttpResponse(text, status=409, content_type="text/plain; charset=utf-8")
    return _done(request, inbox)


def _done(request: HttpRequest, inbox: Inbox) -> HttpResponse:
    if wants_json(request):
        return badge_response(inbox)
    if request.headers.get("X-Requested-With") == "XMLHttpRequest":
        return HttpResponse()
    return HttpResponseRedirect(get_success_url(request))
