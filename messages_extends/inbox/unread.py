"""What is unread of the reader of a page: read once, whatever parts of it show that; such a page is theirs alone."""

from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest, HttpResponseBase
from django.utils.cache import patch_cache_control

from messages_extends.events.changes import change_counter
from messages_extends.inbox.inbox import Inbox, Unread
from messages_extends.tenancy.schemas import current_schema


def unread_for(request: HttpRequest, user: AbstractBaseUser) -> Unread:
    """Return what is unread of `user` in the current organisation, for banners and bell: one query a request.

    It is read again for another user, in another organisation, and once this request has changed anything. Raises
    WrongTenant if the user object was loaded in another organisation.
    """
    note_personal(request)
    inbox = Inbox(user)
    known: dict[tuple[object, ...], Unread] = vars(request).setdefault("_messages_extends_unread", {})
    key = (current_schema(), user.pk, change_counter())
    if key not in known:
        known[key] = inbox.unread()
    return known[key]


def note_personal(request: HttpRequest) -> None:
    """Note that the answer to `request` holds what is one person's: no cache may give it to another."""
    request._messages_extends_is_personal = True  # type: ignore[attr-defined]
    # Django's own `cache_page` keeps a page before any middleware has seen it.
    request._cache_update_cache = False  # type: ignore[attr-defined]


def keep_private(request: HttpRequest, response: HttpResponseBase) -> None:
    """Mark the response as private, where something personal was noted and it is not forbidden to store it at all."""
    if getattr(request, "_messages_extends_is_personal", False) and "no-store" not in response.get("Cache-Control", ""):
        patch_cache_control(response, private=True)
