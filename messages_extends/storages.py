"""The storages of one request's messages.

They take the organisation and the user from the request: nothing that one organisation stores is read in another.
"""

import hashlib
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from django.conf import settings as django_settings
from django.contrib.auth.models import AnonymousUser
from django.contrib.messages.constants import DEFAULT_LEVELS
from django.contrib.messages.storage import cookie, fallback, session
from django.contrib.messages.storage.base import BaseStorage, Message
from django.http import HttpRequest, HttpResponseBase
from django.urls import NoReverseMatch
from django.utils.functional import cached_property
from django.utils.module_loading import import_string

from messages_extends.conf import settings
from messages_extends.constants import (
    PERSISTENT_MESSAGE_LEVELS,
    STICKY_MESSAGE_LEVELS,
    base_level,
    name_of_level,
)
from messages_extends.deprecation import log_once, renamed
from messages_extends.inbox.inbox import Unread
from messages_extends.inbox.unread import keep_private, note_personal, unread_for
from messages_extends.links import reverse_own
from messages_extends.models import Message as SavedMessage
from messages_extends.models.message import UNREAD_CAP
from messages_extends.sending.messages import send_leniently
from messages_extends.tenancy.schemas import has_messages, inside, is_public, require_messages, schema_of

if not TYPE_CHECKING:
    __getattr__ = renamed(__name__, {"PersistentMessage": "messages_extends.models.Message"})

logger = logging.getLogger(__name__)

OPTIONS = ("expires", "params", "url", "key")
# `expires` is left out: django-messages-extends let it pass with every level.
FOR_PERSISTENT = ("user", "params", "url", "key")


class LevelStorage(BaseStorage):
    """A storage that knows the fifteen levels.

    `levels` are those it takes for itself, wherever it stands in the order. One that `keeps_messages` has them
    saved already when the response is made.
    """

    levels: ClassVar[tuple[int, ...]] = ()
    keeps_messages: ClassVar[bool] = False

    # Django's, which its stubs leave out.
    _queued_messages: list[Any]
    _loaded_messages: list[Any]
    _prepare_messages: Callable[[list[Any]], None]

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        self.schema = schema_of(request)
        super().__init__(request, *args, **kwargs)

    def add(self, level: int, message: Any, extra_tags: str | None = "", *args: Any, **options: Any) -> None:
        """Queue a message for this response, or hand it to the storage whose own it is.

        `options` are for persistent messages: user, expires, params, url, key.
        """
        if not message or base_level(int(level)) < base_level(self.level):
            return
        queued = self._process(Message(level, message, extra_tags=extra_tags), *args, **options)
        if queued:
            _refuse_options(queued, options)
            self.added_new = True
            self._queued_messages.append(queued)

    def __iter__(self) -> Iterator[Any]:
        shown: Iterator[Any] = super().__iter__()
        if self._loaded_messages:
            note_personal(self.request)
        return shown

    def update(self, response: HttpResponseBase) -> list[Any] | None:
        """Store what a later response shall show, and mark the response as private if it shows anything personal."""
        keep_private(self.request, response)
        return super().update(response)

    def _process(self, message: Message, *args: Any, **options: Any) -> Message | None:
        return message

    def _get(self, *args: Any, **kwargs: Any) -> tuple[list[Any], bool]:
        return [], False

    def _store(self, messages: list[Any], response: HttpResponseBase, *args: Any, **kwargs: Any) -> list[Any]:
        return [message for message in messages if message.level not in self.levels]


class StickyStorage(LevelStorage):
    """Messages of the current response only: they are never stored, so one that no page has shown is gone.

    Where DEBUG is on, the log says so.
    """

    levels = STICKY_MESSAGE_LEVELS

    def _store(self, messages: list[Any], response: HttpResponseBase, *args: Any, **kwargs: Any) -> list[Any]:
        if django_settings.DEBUG:
            for message in messages:
                if message.level in self.levels:
                    logger.warning(
                        "A sticky message is lost, because this response (%s %s) has not shown it. Before a redirect, "
                        "and where a response has no messages in it, use an ordinary or a persistent level. It was: "
                        "%.100r",
                        response.status_code,
                        self.request.path,
                        str(message.message),
                    )
        return super()._store(messages, response, *args, **kwargs)


class PersistentStorage(LevelStorage):
    """Messages that are saved for one user and shown on every page until that user closes them.

    In the public schema, and at tenants of a type without messages, it shows nothing, and adding raises NoTenant.
    """

    levels = PERSISTENT_MESSAGE_LEVELS
    keeps_messages = True

    def get_user(self) -> Any:
        """Return whose messages are shown, and who receives one that names no other."""
        return getattr(self.request, "user", None) or AnonymousUser()

    def _message_queryset(self, include_read: bool = False) -> Any:
        """Return the messages of the request's user, the newest first.

        A subclass may override it, as with django-messages-extends: then these are shown beside what is published.
        """
        messages = SavedMessage.objects.for_user(self.get_user()).live().newest_first()
        return messages if include_read else messages.unread()

    def process_message(self, message: Message, *args: Any, user: Any = None, **options: Any) -> Message | None:
        """Save a message of a persistent level and return None; return any other as it is.

        A blank text is ignored. Options that another storage may know are let pass. NotImplementedError for an
        anonymous recipient, as in django-messages-extends; TypeError for one that is no user object; otherwise what
        `send_leniently` raises.
        """
        if message.level not in self.levels:
            return message
        if not str(message.message).strip():
            log_once("A message with a blank text was ignored. Pass a text.")
            return None
        require_messages(self.schema)
        with inside(self.schema):
            self._deliver(message, user, options)
        return None

    def _deliver(self, message: Message, user: Any, options: dict[str, Any]) -> None:
        sender = self.get_user()
        recipient = user or sender
        if not hasattr(recipient, "is_authenticated"):
            raise TypeError(f"user={recipient!r} is no user object: load the recipient in this organisation first.")
        if not recipient.is_authenticated:
            raise NotImplementedError("Persistent messages need a recipient who is logged in: this one is anonymous.")
        send_leniently(
            recipient,
            message.message,
            level=message.level,
            sender=sender if sender.is_authenticated else None,
            extra_tags=message.extra_tags or "",
            **{name: value for name, value in options.items() if name in OPTIONS},
        )

    def _process(self, message: Message, *args: Any, **options: Any) -> Message | None:
        return self.process_message(message, *args, **options)

    def _get(self, *args: Any, **kwargs: Any) -> tuple[list[Any], bool]:
        if not has_messages(self.schema):
            return [], False
        # The user may be loaded only now, and has to be this organisation's.
        with inside(self.schema):
            user = self.get_user()
            shown = self._unread(user).banners if user.is_authenticated else []
            return [linked(each) for each in shown], False

    def _unread(self, user: Any) -> Unread:
        """Return what is unread, with the messages of `_message_queryset` where a subclass overrides that."""
        unread = unread_for(self.request, user)
        if type(self)._message_queryset is PersistentStorage._message_queryset:
            return unread
        published = [each for each in unread.shown if not isinstance(each, SavedMessage)]
        messages = list(self._message_queryset()[:UNREAD_CAP])
        room = max(settings.max_banners - len(published), 0)
        return Unread([*published, *messages[:room]], len(published) + len(messages))


class CookieBinding:
    """Put the schema into the cookie's name and salt.

    The salt keeps another organisation's cookie from being read; the name keeps it from being overwritten where a
    cookie domain spans the subdomains. Outside any tenant both are Django's.
    """

    cookie_name: str
    key_salt: str

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        schema = schema_of(request)
        if not is_public(schema):
            self.cookie_name = f"{type(self).cookie_name}_{_as_cookie_name(schema)}"
            self.key_salt = f"{type(self).key_salt}:{schema}"
        super().__init__(request, *args, **kwargs)  # type: ignore[call-arg]


class SessionBinding:
    """Put the schema into the key in the session; store nothing where our session engine has no table, as in public."""

    session_key: str
    request: HttpRequest

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        schema = schema_of(request)
        if not is_public(schema):
            self.session_key = f"{type(self).session_key}:{schema}"
        super().__init__(request, *args, **kwargs)  # type: ignore[call-arg]

    def _store(self, messages: list[Any], response: HttpResponseBase, *args: Any, **kwargs: Any) -> list[Any]:
        can_store = getattr(self.request.session, "has_table", True)
        return super()._store(messages, response, *args, **kwargs) if can_store else messages  # type: ignore[misc]


class CookieStorage(CookieBinding, cookie.CookieStorage):
    """Django's cookie storage, bound to the tenant."""


class SessionStorage(SessionBinding, session.SessionStorage):
    """Django's session storage, bound to the tenant."""


class PairBinding:
    """Bind both storages of Django's own fallback."""

    storage_classes = (CookieStorage, SessionStorage)


BINDINGS: tuple[tuple[type, type], ...] = (
    (cookie.CookieStorage, CookieBinding),
    (session.SessionStorage, SessionBinding),
    (fallback.FallbackStorage, PairBinding),
)


@cache
def tenant_bound(storage_class: type) -> type:
    """Return the tenant-bound form of Django's storages, and of a host's subclasses of them; any other as it is."""
    for django_class, binding in BINDINGS:
        if issubclass(storage_class, django_class) and not issubclass(storage_class, binding):
            return type(storage_class.__name__, (binding, storage_class), {})
    return storage_class


class FallbackStorage(LevelStorage):
    """The storages of the setting MESSAGES_STORAGES, in order: each takes what is its own and passes the rest on."""

    @property
    def storages_names(self) -> Sequence[str]:
        """The dotted paths of the storages; a subclass may name others."""
        return settings.storages

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().__init__(request, *args, **kwargs)
        self._made_with = (args, kwargs)
        self._used_storages: set[Any] = set()
        if not hasattr(request, "session"):
            # Some storage may refuse that, and should do so at once.
            self.storages  # noqa: B018

    @cached_property
    def storages(self) -> list[Any]:
        """Return the storages, in order: made when they are asked for, which most responses never do."""
        args, kwargs = self._made_with
        # They take the schema from the request, and where that has none, the current one: that of this storage.
        with inside(self.schema):
            return [tenant_bound(import_string(path))(self.request, *args, **kwargs) for path in self.storages_names]

    def update(self, response: HttpResponseBase) -> list[Any] | None:
        """Do what every storage does; what is saved already is not loaded for it."""
        keep_private(self.request, response)
        self._prepare_messages(self._queued_messages)
        if self.used:
            return self._store(self._queued_messages, response)
        if self.added_new:
            carried = [message for messages in self._carried.values() for message in messages]
            return self._store(carried + self._queued_messages, response)
        return None

    def _process(self, message: Message | None, *args: Any, **options: Any) -> Message | None:
        for storage in self.storages:
            if message and hasattr(storage, "process_message"):
                message = storage.process_message(message, *args, **options)
        return message

    def _get(self, *args: Any, **kwargs: Any) -> tuple[list[Any], bool]:
        # Kept messages are read whatever the order: a cookie that says "all retrieved" must not hide them.
        shown = [storage._get()[0] if _keeps(storage) else self._carried.get(storage, []) for storage in self.storages]
        return [message for messages in shown for message in messages or []], True

    @cached_property
    def _carried(self) -> dict[Any, list[Any]]:
        """What an earlier response stored for this one, by storage: as Django's fallback reads it."""
        carried: dict[Any, list[Any]] = {}
        for storage in self.storages:
            if _keeps(storage):
                continue
            messages, all_retrieved = storage._get()
            if messages:
                carried[storage] = messages
                self._used_storages.add(storage)
            if all_retrieved:
                break
        return carried

    def _store(self, messages: list[Any], response: HttpResponseBase, *args: Any, **kwargs: Any) -> list[Any]:
        for storage in sorted(self.storages, key=_has_no_levels):
            if messages:
                messages = storage._store(messages, response, remove_oldest=False)
            elif storage in self._used_storages:
                # Nothing is left for it, but what it stored before has been shown.
                storage._store([], response)
                self._used_storages.remove(storage)
        return messages


def linked(message: Any) -> Any:
    """Have "and n more" lead to the inbox, where the host has one."""
    if isinstance(message, Message):
        with suppress(NoReverseMatch):
            message.url = reverse_own("inbox")  # type: ignore[attr-defined]
    return message


def _keeps(storage: BaseStorage) -> bool:
    return getattr(storage, "keeps_messages", False)


def _has_no_levels(storage: BaseStorage) -> bool:
    return not getattr(storage, "levels", ())


def _as_cookie_name(schema: str) -> str:
    # A schema's name may hold characters that a cookie's may not.
    return schema if re.fullmatch(r"[A-Za-z0-9_-]+", schema) else hashlib.sha256(schema.encode()).hexdigest()[:32]


def _refuse_options(message: Message, options: dict[str, Any]) -> None:
    refused = [name for name in FOR_PERSISTENT if options.get(name) not in (None, "")]
    if refused:
        raise ValueError(
            f"{' and '.join(refused)}: only for persistent messages, and the level is {name_of_level(message.level)}. "
            f"Use one of {', '.join(f'{name}_PERSISTENT' for name in DEFAULT_LEVELS)}, and list PersistentStorage in "
            "MESSAGES_STORAGES."
        )
