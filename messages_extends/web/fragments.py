"""Fragments that open pages fetch after a change event; texts are never part of an event.

They are read from the primary database, because a replica may lag behind the event.
"""

from typing import cast

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.cache import get_conditional_response
from django.utils.http import quote_etag
from django.utils.translation import get_language
from django.views.decorators.cache import cache_control, never_cache
from django.views.decorators.http import require_safe

from messages_extends.inbox.badge import UnreadBadge
from messages_extends.inbox.inbox import Inbox, with_senders
from messages_extends.inbox.unread import link_to_inbox
from messages_extends.tenancy.databases import reading_from_primary
from messages_extends.texts.languages import in_interface_language, language_attributes
from messages_extends.web.requests import require_reader_of_tab


@require_safe
@cache_control(private=True, no_cache=True)
def badge(request: HttpRequest) -> HttpResponse:
    """Return the unread count and the version of the banners as JSON; 304 if they are unchanged."""
    with reading_from_primary():
        unread = Inbox(require_reader_of_tab(request)).unread()
    answer = JsonResponse(UnreadBadge(unread.count).as_json | {"version": unread.version})
    # The label of the bell is translated.
    etag = quote_etag(f"{unread.version}-{get_language()}")
    answer["ETag"] = etag
    return cast(HttpResponse, get_conditional_response(request, etag=etag, response=answer))


@require_safe
@never_cache
@in_interface_language()
def message_banners(request: HttpRequest) -> HttpResponse:
    """Render the saved banners as a fragment, with one query, or two if users have sent them."""
    with reading_from_primary():
        unread = Inbox(require_reader_of_tab(request)).unread()
        with_senders(unread.shown)
    context = {
        "banners": [link_to_inbox(each) for each in unread.banners],
        "version": unread.version,
        "language_attributes": language_attributes(),
    }
    return render(request, "messages_extends/includes/banners.html", context)
