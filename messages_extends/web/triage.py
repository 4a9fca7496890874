"""The views that archive, snooze and save entries of the inbox, and bring them back."""

from collections.abc import Callable, Mapping
from typing import Final

from django.core.exceptions import BadRequest
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from messages_extends.exceptions import MustAcknowledge, NoSuchMessage
from messages_extends.inbox.badge import UnreadBadge
from messages_extends.inbox.inbox import Inbox
from messages_extends.inbox.selection import Marked, Selection
from messages_extends.inbox.snapshot import UnreadSnapshot
from messages_extends.web.filters import InboxFilterForm, RequestedFilter
from messages_extends.web.requests import require_reader, wants_json
from messages_extends.web.snoozing import SnoozeForm, snooze_choices
from messages_extends.web.tokens import read_snapshot_token, snapshot_token, undo_token

# The method for the button of each name.
ACTIONS: Final[Mapping[str, Callable[..., Marked]]] = {
    "archive": Selection.archive,
    "unarchive": Selection.unarchive,
    "snooze": Selection.snooze,
    "unsnooze": Selection.unsnooze,
    "save": Selection.save,
    "unsave": Selection.unsave,
}
TITLES: Final = {
    "archive": _("Mark as done"),
    "unarchive": _("Move to the inbox"),
    "snooze": _("Snooze"),
    "unsnooze": _("End the snooze"),
    "save": _("Save"),
    "unsave": _("Remove from saved"),
}
# The value of a button that changes everything in the filter. Other values are primary keys, or "" for the selected
# items.
ALL: Final = "all"


@require_POST
@never_cache
def message_triage(request: HttpRequest) -> HttpResponse:
    """Change one item, the selected ones, or everything in the filter, depending on the button.

    Without a time for snoozing, and without a snapshot for everything, show a page that asks for them.
    """
    inbox = Inbox(require_reader(request))
    action = next((name for name in ACTIONS if name in request.POST), None)
    filter_form = InboxFilterForm(request.POST)
    if action is None:
        raise BadRequest(f"Name one of these: {', '.join(ACTIONS)}.")
    if not filter_form.is_valid():
        raise BadRequest(filter_form.problem)
    chosen, value = filter_form.chosen, request.POST[action]
    token, snapshot = request.POST.get("snapshot", ""), None
    if value == ALL:
        snapshot = read_snapshot_token(request, token) if token else inbox.snapshot(**chosen.as_arguments())
        if snapshot is None:
            raise BadRequest("This snapshot does not belong to this user.")
    snooze = SnoozeForm(request.POST if "when" in request.POST else None)
    is_asked = value != ALL or "snapshot" in request.POST
    if not is_asked or (action == "snooze" and not snooze.is_valid()):
        return _ask(request, action, chosen, snapshot, snooze)
    times = [snooze.time] if action == "snooze" else []
    try:
        if value == ALL:
            selection = inbox.select_all(snapshot, **chosen.as_arguments())
        else:
            selection = inbox.select(*_keys(request, value))
        marked = ACTIONS[action](selection, *times)
    except NoSuchMessage as error:
        raise Http404("You have no such message.") from error
    except MustAcknowledge:
        text = gettext("This message must be acknowledged first.")
        return HttpResponse(text, status=409, content_type="text/plain; charset=utf-8")
    except ValueError as error:
        # The time has passed since the form was found valid.
        raise BadRequest("This time has passed.") from error
    undo = undo_token(request, marked, action) if marked.count else ""
    address = chosen.address(after=chosen.after, undo=undo)
    if wants_json(request):
        return JsonResponse({**UnreadBadge(inbox.unread_count()).as_json, "location": address})
    return HttpResponseRedirect(address)


def _keys(request: HttpRequest, value: str) -> list[str]:
    """Return the primary keys in the value of a button, or of the selected items.

    One value may contain the keys of several items, because a group can be folded.
    """
    values = [value] if value else request.POST.getlist("pk")
    return list(dict.fromkeys(key for each in values for key in each.split()))


def _ask(
    request: HttpRequest, action: str, chosen: RequestedFilter, snapshot: UnreadSnapshot | None, snooze: SnoozeForm
) -> HttpResponse:
    keys = _keys(request, request.POST[action]) if snapshot is None else ()
    count = len(keys) if snapshot is None else len(snapshot)
    context = {
        "action": action,
        "value": request.POST[action],
        "keys": keys if not request.POST[action] else (),
        "title": TITLES[action],
        "count": count,
        "is_more": snapshot is not None and snapshot.before is not None,
        "fields": chosen.parameters,
        "snapshot": "" if snapshot is None else snapshot_token(request, snapshot),
        "snooze": snooze,
        "choices": snooze_choices() if action == "snooze" else (),
        "back": chosen.address(),
    }
    return render(request, "messages_extends/triage.html", context, status=400 if snooze.errors else 200)
