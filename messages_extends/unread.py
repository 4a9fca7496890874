"""What is unread of the reader of a page: read once, whatever parts of the page show it."""

from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest

from messages_extends.inbox import Inbox, Unread
from messages_extends.push.hints import changes
from messages_extends.tenancy.schemas import current_schema


def unread_for(request: HttpRequest, user: AbstractBaseUser) -> Unread:
    """Return what is unread of `user` in the current organisation, for banners and bell: one query a request.

    It is read again for another user, in another organisation, and once this request has changed anything. Raises
    WrongTenant if the user object was loaded in another organisation.
    """
    inbox = Inbox(user)
    known: dict[tuple[object, ...], Unread] = vars(request).setdefault("_messages_extends_unread", {})
    key = (current_schema(), user.pk, changes())
    if key not in known:
        known[key] = inbox.unread()
    return known[key]
