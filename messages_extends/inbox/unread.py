"""The unread items of a request's user, which are queried once, and the privacy of pages that show them."""

from contextlib import suppress
from typing import TypeVar

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.messages.storage.base import Message
from django.http import HttpRequest, HttpResponseBase
from django.urls import NoReverseMatch
from django.utils.cache import patch_cache_control

from messages_extends.events.changes import change_counter
from messages_extends.inbox.inbox import Inbox, Unread
from messages_extends.links import reverse_page
from messages_extends.tenancy.schemas import current_schema

Shown = TypeVar("Shown")


def unread_for(request: HttpRequest, user: AbstractBaseUser) -> Unread:
    """Return the unread items of `user` in the current tenant, for banners and bell, with one query per request.

    They are queried again for another user, in another tenant, and after a change in this request. Raises WrongTenant
    if the user was loaded in another tenant.
    """
    note_personal(request)
    inbox = Inbox(user)
    known: dict[tuple[object, ...], Unread] = vars(request).setdefault("_messages_extends_unread", {})
    key = (current_schema(), user.pk, change_counter())
    if key not in known:
        known[key] = inbox.unread()
    return known[key]


def link_to_inbox(message: Shown) -> Shown:
    """Add the inbox's URL to the item "and n more", if the URLs are included."""
    if isinstance(message, Message):
        with suppress(NoReverseMatch):
            message.url = reverse_page("inbox")  # type: ignore[attr-defined]
    return message


def note_personal(request: HttpRequest) -> None:
    """Note that the response to `request` contains personal data, which caches must not serve to others."""
    request._messages_extends_is_personal = True  # type: ignore[attr-defined]
    # `cache_page` stores a page before any middleware has processed it.
    request._cache_update_cache = False  # type: ignore[attr-defined]


def keep_private(request: HttpRequest, response: HttpResponseBase) -> None:
    """Mark the response as private if `note_personal` was called, unless it has `no-store`."""
    if getattr(request, "_messages_extends_is_personal", False) and "no-store" not in response.get("Cache-Control", ""):
        patch_cache_control(response, private=True)
