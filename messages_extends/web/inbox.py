"""The inbox page and the panel of the bell."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from messages_extends.inbox.badge import UnreadBadge
from messages_extends.inbox.inbox import Inbox
from messages_extends.models.message import UNREAD_CAP
from messages_extends.tenancy.databases import reading_from_primary
from messages_extends.texts.languages import in_interface_language, language_attributes
from messages_extends.web.filters import VIEWS, InboxFilterForm, RequestedFilter
from messages_extends.web.listing import rows_of
from messages_extends.web.requests import login_to_read, reader_of, require_reader
from messages_extends.web.snoozing import SnoozeForm, snooze_choices
from messages_extends.web.tokens import read_undo_token, snapshot_token

PANEL_SIZE = 8
# A text that may be lazily translated.
Text = str | Promise


@require_safe
@never_cache
@login_to_read
def inbox(request: HttpRequest) -> HttpResponse:
    form = InboxFilterForm(request.GET)
    is_valid = form.is_valid()
    chosen, mailbox = form.chosen, Inbox(reader_of(request))
    # Before the page is queried: later messages may not be on it.
    snapshot = mailbox.snapshot(**chosen.as_arguments(without="unread"))
    page = mailbox.page(chosen.after, **chosen.as_arguments())
    form.offer_senders(page.entries)
    undo = request.GET.get("undo", "")
    undoable = read_undo_token(request, undo) if undo else None
    context = {
        "rows": rows_of(page.entries),
        "form": form,
        "chosen": chosen,
        "tabs": _tabs(chosen),
        "chips": [
            (form.label_of(name, value), chosen.address(**{name: ""})) for name, value in chosen.narrowing.items()
        ],
        "first": chosen.address() if chosen.after else "",
        "next": chosen.address(after=page.next) if page.next else "",
        "snapshot": snapshot_token(request, snapshot),
        "unread": UnreadBadge(min(len(snapshot), UNREAD_CAP)),
        "here": chosen.address(after=chosen.after),
        "choices": snooze_choices(),
        "snooze": SnoozeForm(),
        "undo": undo,
        "undone": undoable.words if undoable else "",
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


def _tabs(chosen: RequestedFilter) -> list[tuple[str, Text, bool]]:
    """Return the address and the label of each tab, and whether it is the chosen one."""
    (inbox_view, inbox_label), *others = VIEWS
    in_inbox = chosen.view == "inbox"
    tabs = [
        (chosen.address(view=inbox_view, unread=""), inbox_label, in_inbox and not chosen.unread),
        (chosen.address(view=inbox_view, unread="1"), _("Unread"), in_inbox and chosen.unread),
    ]
    return [*tabs, *((chosen.address(view=view, unread=""), label, chosen.view == view) for view, label in others)]
