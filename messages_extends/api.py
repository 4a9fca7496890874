"""Everything a host project calls.

`django.contrib.messages` has all of it too, once the app is ready: code written for django-messages-extends runs
unchanged.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol, TypeVar

from asgiref.sync import sync_to_async
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.messages.api import MessageFailure, get_messages
from django.contrib.messages.api import add_message as add_ordinary_message
from django.contrib.messages.storage.base import BaseStorage
from django.http import HttpRequest

from messages_extends import constants
from messages_extends.broadcasts.models import Broadcast
from messages_extends.constants import ALL_TENANTS, EVERYONE
from messages_extends.inbox.inbox import Inbox
from messages_extends.models import Announcement
from messages_extends.sending.broadcasts import broadcast, retract_broadcast, revise_broadcast
from messages_extends.sending.messages import cancel, send
from messages_extends.sending.publications import announce, retract_announcement, revise_announcement
from messages_extends.tenancy.schemas import current_schema, has_messages, inside, schema_of

AnyPublication = TypeVar("AnyPublication", Announcement, Broadcast)
Result = TypeVar("Result")

__all__ = [
    "ALL_TENANTS",
    "EVERYONE",
    "Inbox",
    "MessageFailure",
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
]


def add_message(  # noqa: PLR0917 - django-messages-extends' signature
    request: HttpRequest,
    level: int,
    message: Any,
    extra_tags: str = "",
    fail_silently: bool = False,
    user: Any = None,
    expires: datetime | None = None,
    **options: Any,
) -> None:
    """Add a message to the request; with a persistent level, save it for its recipient.

    Options of persistent messages: `user` (another recipient; the policy is asked whether the request's user may
    write to them), `expires` (a datetime; not shown after it), `params` (the text is a msgid, shown in the reader's
    language), `url` (a path or an http(s) address), `key` (not sent again while the recipient has it unread).

    Raises MessageFailure without MessageMiddleware (silenced by `fail_silently`), NotImplementedError for an
    anonymous recipient, WrongTenant, RecipientUnavailable, PermissionDenied, NoTenant, and ValueError for an option
    that the level cannot have; then nothing was saved.
    """
    options |= {name: value for name, value in (("user", user), ("expires", expires)) if value is not None}
    storage = getattr(request, "_messages", None)
    if storage is None or not options:
        # Django's own function reports a missing middleware, and serves storages that know no options.
        add_ordinary_message(request, level, message, extra_tags, fail_silently)
    else:
        storage.add(level, message, extra_tags, **options)


class Shortcut(Protocol):
    def __call__(
        self, request: HttpRequest, message: Any, extra_tags: str = "", fail_silently: bool = False, **options: Any
    ) -> None: ...


def _shortcut(level: int) -> Shortcut:
    def add(
        request: HttpRequest, message: Any, extra_tags: str = "", fail_silently: bool = False, **options: Any
    ) -> None:
        add_message(request, level, message, extra_tags, fail_silently, **options)

    add.__doc__ = f"Add a message of the level {constants.DEFAULT_TAGS[level]}; the options are those of `add_message`."
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

# The spelling of django-messages-extends: "add_" in its README, without in its code.
add_persistant_debug = persistant_debug = add_persistent_debug
add_persistant_info = persistant_info = add_persistent_info
add_persistant_success = persistant_success = add_persistent_success
add_persistant_warning = persistant_warning = add_persistent_warning
add_persistant_error = persistant_error = add_persistent_error


async def aadd_message(request: HttpRequest, *args: Any, **options: Any) -> None:
    """Add a message from an async view: `add_message` where a query is allowed."""
    await sync_to_async(_in_schema)(schema_of(request), lambda: add_message(request, *args, **options))


async def aget_messages(request: HttpRequest) -> BaseStorage | list[Any]:
    """Load the request's messages and its user, so that a template rendered in an async view queries no more.

    Return what `get_messages` returns. Await it before the template is rendered.
    """
    await sync_to_async(_in_schema)(schema_of(request), lambda: _load(request))
    return get_messages(request)


def _load(request: HttpRequest) -> None:
    len(get_messages(request))
    # The lazy user is loaded too: the template asks for it.
    getattr(getattr(request, "user", None), "pk", None)


def inbox(user: AbstractBaseUser) -> Inbox:
    """Return what `user` can read now in the current organisation; WrongTenant if loaded in another."""
    return Inbox(user)


def revise(
    publication: AnyPublication, *, sender: AbstractBaseUser | None = None, show_again: bool = False, **changes: Any
) -> AnyPublication:
    """Change a publication for all of its readers, whose next request sees it; return it as it is now.

    `changes`: message, level, params, extra_tags, url, must_acknowledge, expires, and publish_at while it is still to
    come. Who has read it is left alone, unless `show_again`: then it is unread for everybody and comes first again.
    `sender`: the person who asks for it, whom the policy is asked about; None is the application.

    Raises NotPublished if it has expired or was retracted; TypeError and ValueError, with the allowed values, for
    anything else that cannot be; PermissionDenied, WrongTenant.
    """
    act: Any = _verb(publication, revise_announcement, revise_broadcast)
    revised: AnyPublication = act(publication, sender=sender, show_again=show_again, **changes)
    return revised


def retract(publication: AnyPublication, *, sender: AbstractBaseUser | None = None) -> AnyPublication:
    """Take a publication away from all of its readers at once; doing it again changes nothing."""
    act: Any = _verb(publication, retract_announcement, retract_broadcast)
    retracted: AnyPublication = act(publication, sender=sender)
    return retracted


def _verb(publication: Any, for_announcement: Any, for_broadcast: Any) -> Any:
    if isinstance(publication, Announcement):
        return for_announcement
    if isinstance(publication, Broadcast):
        return for_broadcast
    raise TypeError(f"Expected a Publication, got {publication!r}: pass an announcement or a broadcast.")


async def asend(recipients: Any, message: Any, *, schema: str, **options: Any) -> int:
    """Send from async code: `send` in the organisation whose schema is named, where a query is allowed.

    The schema is named by the caller, because on the event loop the current one is always public.
    """
    return await sync_to_async(_in_schema)(schema, lambda: send(recipients, message, **options))


async def aunread_count(request: HttpRequest) -> int:
    """Return how many messages of the request's user are unread, counted up to 100; 0 for nobody."""
    return await sync_to_async(_in_schema)(schema_of(request), lambda: _unread_count(request))


def _unread_count(request: HttpRequest) -> int:
    user: Any = request.user
    return Inbox(user).unread_count() if user.is_authenticated and has_messages(current_schema()) else 0


def _in_schema(schema: str, act: Callable[[], Result]) -> Result:
    # By value: the thread may have been left in another tenant.
    with inside(schema):
        return act()
