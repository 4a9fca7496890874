"""The public interface of this package.

The functions that take a request are also available in `django.contrib.messages` once the app is ready, so that code
written for django-messages-extends runs unchanged.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol, TypeVar, Unpack, cast

from asgiref.sync import sync_to_async
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.messages.api import MessageFailure, get_messages
from django.contrib.messages.api import add_message as add_ordinary_message
from django.contrib.messages.storage.base import BaseStorage
from django.contrib.messages.storage.base import Message as OrdinaryMessage
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.utils.functional import Promise

from messages_extends import constants
from messages_extends.constants import ALL_TENANTS, EVERYONE
from messages_extends.inbox.inbox import Inbox
from messages_extends.inbox.sent import SentMessages
from messages_extends.sending.messages import SendOptions, cancel, send
from messages_extends.sending.publications import announce, broadcast, retract, revise
from messages_extends.sending.recipients import Addressees
from messages_extends.tenancy.schemas import current_schema, has_messages, in_schema, schema_of

Result = TypeVar("Result")

__all__ = [
    "ALL_TENANTS",
    "EVERYONE",
    "Inbox",
    "MessageFailure",
    "SentMessages",
    "aadd_message",
    "add_message",
    "add_persistant_debug",
    "add_persistant_error",
    "add_persistant_info",
    "add_persistant_success",
    "add_persistant_warning",
    "add_persistent_debug",
    "add_persistent_error",
    "add_persistent_info",
    "add_persistent_success",
    "add_persistent_warning",
    "add_sticky_debug",
    "add_sticky_error",
    "add_sticky_info",
    "add_sticky_success",
    "add_sticky_warning",
    "aget_messages",
    "ainbox",
    "announce",
    "asend",
    "aunread_count",
    "broadcast",
    "cancel",
    "get_messages",
    "inbox",
    "persistant_debug",
    "persistant_error",
    "persistant_info",
    "persistant_success",
    "persistant_warning",
    "retract",
    "revise",
    "send",
    "sent",
]


def add_message(  # noqa: PLR0917 - django-messages-extends' signature
    request: HttpRequest,
    level: int,
    message: str | Promise,
    extra_tags: str = "",
    fail_silently: bool = False,
    user: AbstractBaseUser | None = None,
    expires: datetime | None = None,
    **options: object,
) -> None:
    """Add a message to the request. A message of a persistent level is saved for its recipient.

    Options of persistent messages: `user` (another recipient, to whom the policy must allow the request's user to
    write), `expires` (a datetime after which the message is not shown), `params` (the text is a msgid, translated into
    the reader's language), `url` (a path or an http(s) address), `key` (the message is not sent again while the
    recipient has it unread), and the labels and `publish_at` of `send`.

    Raises MessageFailure without MessageMiddleware, unless `fail_silently`; NotImplementedError for an anonymous
    recipient; WrongTenant, RecipientUnavailable, PermissionDenied and NoTenant; and ValueError for an option that
    the level does not support. After an error nothing is saved.
    """
    options |= {name: value for name, value in (("user", user), ("expires", expires)) if value is not None}
    storage = getattr(request, "_messages", None)
    if storage is None or not options:
        # Django's function reports a missing middleware, and calls storages that accept no options.
        add_ordinary_message(request, level, cast(str, message), extra_tags, fail_silently)
    else:
        storage.add(level, message, extra_tags, **options)


class Shortcut(Protocol):
    def __call__(
        self,
        request: HttpRequest,
        message: str | Promise,
        extra_tags: str = "",
        fail_silently: bool = False,
        *,
        user: AbstractBaseUser | None = None,
        expires: datetime | None = None,
        **options: object,
    ) -> None: ...


def _shortcut(level: int) -> Shortcut:
    def add(
        request: HttpRequest, message: str | Promise, extra_tags: str = "", fail_silently: bool = False, **options: Any
    ) -> None:
        add_message(request, level, message, extra_tags, fail_silently, **options)

    add.__doc__ = f"Add a message of the level {constants.DEFAULT_TAGS[level]}, with the options of `add_message`."
    return add


add_persistent_debug = _shortcut(constants.DEBUG_PERSISTENT)
add_persistent_info = _shortcut(constants.INFO_PERSISTENT)
add_persistent_success = _shortcut(constants.SUCCESS_PERSISTENT)
add_persistent_warning = _shortcut(constants.WARNING_PERSISTENT)
add_persistent_error = _shortcut(constants.ERROR_PERSISTENT)

add_sticky_debug = _shortcut(constants.DEBUG_STICKY)
add_sticky_info = _shortcut(constants.INFO_STICKY)
add_sticky_success = _shortcut(constants.SUCCESS_STICKY)
add_sticky_warning = _shortcut(constants.WARNING_STICKY)
add_sticky_error = _shortcut(constants.ERROR_STICKY)

# The spelling of django-messages-extends: with "add_" in its README, without it in its code.
add_persistant_debug = persistant_debug = add_persistent_debug
add_persistant_info = persistant_info = add_persistent_info
add_persistant_success = persistant_success = add_persistent_success
add_persistant_warning = persistant_warning = add_persistent_warning
add_persistant_error = persistant_error = add_persistent_error


async def aadd_message(  # noqa: PLR0917 - the signature of `add_message`
    request: HttpRequest,
    level: int,
    message: str | Promise,
    extra_tags: str = "",
    fail_silently: bool = False,
    user: AbstractBaseUser | None = None,
    expires: datetime | None = None,
    **options: object,
) -> None:
    """Add a message from an async view; the async counterpart of `add_message`."""
    await sync_to_async(_in_schema)(
        schema_of(request),
        lambda: add_message(request, level, message, extra_tags, fail_silently, user, expires, **options),
    )


async def aget_messages(request: HttpRequest) -> BaseStorage | list[OrdinaryMessage]:
    """Load the request's messages and user, so that rendering a template in an async view needs no more queries.

    Return what `get_messages` returns. Await it before rendering the template.
    """

    def load() -> None:
        len(get_messages(request))
        # Load the lazy user as well, because templates use it.
        getattr(getattr(request, "user", None), "pk", None)

    await sync_to_async(_in_schema)(schema_of(request), load)
    return get_messages(request)


def inbox(user: AbstractBaseUser) -> Inbox:
    """Return the inbox of `user` in the current tenant. Raises WrongTenant if `user` was loaded in another tenant."""
    return Inbox(user)


def sent(user: AbstractBaseUser) -> SentMessages:
    """Return what `user` has sent in the current tenant. Raises WrongTenant if `user` was loaded in another tenant."""
    return SentMessages(user)


async def ainbox(request: HttpRequest, act: Callable[[Inbox], Result]) -> Result:
    """Call `act` with the inbox of the request's user, from an async view; return what it returns.

    Everything that `act` does runs in one thread and in the request's tenant. Raises PermissionDenied for an anonymous
    user.
    """

    def call() -> Result:
        if not request.user.is_authenticated:
            raise PermissionDenied
        return act(Inbox(request.user))

    return await sync_to_async(_in_schema)(schema_of(request), call)


async def asend(recipients: Addressees, message: str | Promise, *, schema: str, **options: Unpack[SendOptions]) -> int:
    """Send from async code in the tenant with this schema; the async counterpart of `send`.

    The caller names the schema, because the event loop's connection is always in the public schema.
    """
    return await sync_to_async(_in_schema)(schema, lambda: send(recipients, message, **options))


async def aunread_count(request: HttpRequest) -> int:
    """Return the number of unread messages of the request's user, at most 100; 0 for an anonymous user."""

    def count() -> int:
        user = request.user
        return Inbox(user).unread_count() if user.is_authenticated and has_messages(current_schema()) else 0

    return await sync_to_async(_in_schema)(schema_of(request), count)


def _in_schema(schema: str, act: Callable[[], Result]) -> Result:
    # The thread may still be in the schema of another tenant.
    with in_schema(schema):
        return act()
