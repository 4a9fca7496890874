"""The inbox page and the panel of the bell."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from messages_extends.inbox.badge import UnreadBadge
from messages_extends.inbox.inbox import Inbox
from messages_extends.links import reverse_page
from messages_extends.models.message import UNREAD_CAP
from messages_extends.tenancy.databases import reading_from_primary
from messages_extends.texts.languages import in_interface_language, language_attributes
from messages_extends.web.filters import TABS, InboxFilterForm, RequestedFilter
from messages_extends.web.requests import login_to_read, reader_of, require_reader
from messages_extends.web.tokens import read_undo_token, snapshot_token

PANEL_SIZE = 8


@require_safe
@never_cache
@login_to_read
def inbox(request: HttpRequest) -> HttpResponse:
    form = InboxFilterForm(request.GET)
    is_valid = form.is_valid()
    chosen, mailbox = form.chosen, Inbox(reader_of(request))
    # Before the page is queried: later messages may not be on it.
    snapshot = mailbox.snapshot(level=chosen.level, kind=chosen.kind)
    page = mailbox.page(chosen.after, unread=chosen.unread, level=chosen.level, kind=chosen.kind)
    undo = request.GET.get("undo", "")
    context = {
        "page": page,
        "form": form,
        "chosen": chosen,
        "tabs": [(_address(chosen, unread=value), label, chosen.unread == bool(value)) for value, label in TABS],
        "first": _address(chosen) if chosen.after else "",
        "next": _address(chosen, after=page.next) if page.next else "",
        "snapshot": snapshot_token(request, snapshot),
        "unread": UnreadBadge(min(len(snapshot), UNREAD_CAP)),
        "undo": undo,
        "undoable": read_undo_token(request, undo) if undo else None,
    }
    return render(request, "messages_extends/inbox.html", context, status=200 if is_valid else 400)


@require_safe
@never_cache
@in_interface_language()
def panel(request: HttpRequest) -> HttpResponse:
    """Render the latest items, unread ones first, as a fragment for the bell's script."""
    mailbox = Inbox(require_reader(request))
    # A replica may lag behind the event that made the user open the panel.
    with reading_from_primary():
        # Before the items are queried: later messages have not been seen.
        snapshot = mailbox.snapshot()
        entries = [*mailbox.page(size=PANEL_SIZE, unread=True).entries]
        if len(entries) < PANEL_SIZE:
            entries += [entry for entry in mailbox.page(size=PANEL_SIZE).entries if entry.read]
    context = {
        "entries": entries[:PANEL_SIZE],
        "snapshot": snapshot_token(request, snapshot),
        "language_attributes": language_attributes(),
    }
    return render(request, "messages_extends/panel.html", context)


def _address(chosen: RequestedFilter, **other: str) -> str:
    query = chosen.as_query(**other)
    return f"{reverse_page('inbox')}?{query}" if query else reverse_page("inbox")
