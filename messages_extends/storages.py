"""Message storages that are bound to the tenant of the request.

What is stored in one tenant is never read in another.
"""

import hashlib
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, cast

from django.conf import settings as django_settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.contrib.messages.constants import DEFAULT_LEVELS
from django.contrib.messages.storage import cookie, fallback, session
from django.contrib.messages.storage.base import BaseStorage, Message
from django.http import HttpRequest, HttpResponseBase
from django.utils.functional import cached_property
from django.utils.module_loading import import_string

from messages_extends.conf import settings
from messages_extends.constants import (
    PERSISTENT_MESSAGE_LEVELS,
    STICKY_MESSAGE_LEVELS,
    base_level,
    describe_level,
)
from messages_extends.deprecation import log_once, renamed
from messages_extends.inbox.inbox import Unread
from messages_extends.inbox.unread import keep_private, link_to_inbox, note_personal, unread_for
from messages_extends.models import Message as SavedMessage
from messages_extends.models.message import UNREAD_CAP, MessageQuerySet
from messages_extends.sending.messages import send_leniently
from messages_extends.tenancy.schemas import has_messages, in_schema, is_public, require_messages, schema_of

if not TYPE_CHECKING:
    __getattr__ = renamed(__name__, {"PersistentMessage": "messages_extends.models.Message"})

logger = logging.getLogger(__name__)

# Without `expires`, which django-messages-extends accepts with every level.
PERSISTENT_OPTIONS = ("params", "url", "key", "publish_at", "title", "url_label", "display", "category", "group")
OPTIONS = ("expires", *PERSISTENT_OPTIONS)
PERSISTENT_ONLY_OPTIONS = ("user", *PERSISTENT_OPTIONS)


class MessageStorage(Protocol):
    """The methods of every message storage that Django's stubs omit."""

    def _get(self) -> tuple[list[Message] | None, bool]: ...

    def _store(
        self, messages: list[Message], response: HttpResponseBase, *args: object, **kwargs: object
    ) -> list[Message]: ...


class LevelStorage(BaseStorage):
    """Base class of the storages for the fifteen levels.

    `levels` are the levels that the storage handles itself, whatever its position in MESSAGES_STORAGES. A storage with
    `keeps_messages` has saved its messages before the response is created.
    """

    levels: ClassVar[tuple[int, ...]] = ()
    keeps_messages: ClassVar[bool] = False

    # Attributes of BaseStorage that django-stubs does not declare.
    _queued_messages: list[Message]
    _loaded_messages: list[Message]
    _prepare_messages: Callable[[list[Message]], None]

    def __init__(self, request: HttpRequest, *args: object, **kwargs: object) -> None:
        self.schema = schema_of(request)
        super().__init__(request, *args, **kwargs)

    def add(self, level: int, message: str, extra_tags: str | None = "", *args: object, **options: object) -> None:
        """Queue a message for this response, or pass it to the storage that handles its level.

        `options` are those of persistent messages, as in `add_message`.
        """
        if not message or base_level(int(level)) < base_level(self.level):
            return
        queued = self._process(Message(level, message, extra_tags=extra_tags), *args, **options)
        if queued:
            refused = [name for name in PERSISTENT_ONLY_OPTIONS if options.get(name) not in (None, "")]
            if refused:
                raise ValueError(
                    f"{' and '.join(refused)}: only for persistent messages, but the level is "
                    f"{describe_level(queued.level)}. Use one of "
                    f"{', '.join(f'{name}_PERSISTENT' for name in DEFAULT_LEVELS)}, and list PersistentStorage in "
                    "MESSAGES_STORAGES."
                )
            self.added_new = True
            self._queued_messages.append(queued)

    def __iter__(self) -> Iterator[Message]:
        shown = super().__iter__()
        if self._loaded_messages:
            note_personal(self.request)
        return shown

    def update(self, response: HttpResponseBase) -> list[Message] | None:
        """Store messages for a later response, and mark the response as private if it shows personal messages."""
        keep_private(self.request, response)
        return super().update(response)

    def _process(self, message: Message, *args: object, **options: object) -> Message | None:
        return message

    def _get(self, *args: object, **kwargs: object) -> tuple[list[Message], bool]:
        return [], False

    def _store(
        self, messages: list[Message], response: HttpResponseBase, *args: object, **kwargs: object
    ) -> list[Message]:
        return [message for message in messages if message.level not in self.levels]


class StickyStorage(LevelStorage):
    """Hold messages for the current response only; they are never stored.

    A sticky message that the response does not show is lost. With DEBUG a warning is logged.
    """

    levels = STICKY_MESSAGE_LEVELS

    def _store(
        self, messages: list[Message], response: HttpResponseBase, *args: object, **kwargs: object
    ) -> list[Message]:
        if django_settings.DEBUG:
            for message in messages:
                if message.level in self.levels:
                    logger.warning(
                        "A sticky message was lost because this response (%s %s) did not show it. Before a redirect, "
                        "or for a response without messages, use an ordinary or a persistent level. Message: %.100r",
                        response.status_code,
                        self.request.path,
                        str(message.message),
                    )
        return super()._store(messages, response, *args, **kwargs)


class PersistentStorage(LevelStorage):
    """Save messages for a user and show them on every page until the user closes them.

    In the public schema, and in tenants whose type does not include this app, no messages are shown and adding one
    raises NoTenant.
    """

    levels = PERSISTENT_MESSAGE_LEVELS
    keeps_messages = True

    def get_user(self) -> AbstractBaseUser | AnonymousUser:
        """Return the user whose messages are shown, who is also the default recipient."""
        return getattr(self.request, "user", None) or AnonymousUser()

    def _message_queryset(self, include_read: bool = False) -> MessageQuerySet:
        """Return the messages of the request's user, the newest first.

        A subclass may override it, as in django-messages-extends. These messages are then shown together with the
        publications.
        """
        messages = SavedMessage.objects.for_user(self.get_user()).live().newest_first()
        return messages if include_read else messages.unread()

    def process_message(
        self, message: Message, *args: object, user: AbstractBaseUser | None = None, **options: Any
    ) -> Message | None:
        """Save a message of a persistent level and return None; return any other as it is.

        A blank text is ignored, and so are unknown options. Raises NotImplementedError for an anonymous recipient, as
        in django-messages-extends, TypeError for a recipient that is not a user object, and the errors of
        `send_leniently`.
        """
        if message.level not in self.levels:
            return message
        if not str(message.message).strip():
            log_once("A message with a blank text was ignored. Pass a text.")
            return None
        require_messages(self.schema)
        with in_schema(self.schema):
            self._deliver(message, user, options)
        return None

    def _deliver(self, message: Message, user: AbstractBaseUser | None, options: Mapping[str, Any]) -> None:
        sender = self.get_user()
        recipient = user or sender
        if not hasattr(recipient, "is_authenticated"):
            raise TypeError(f"user={recipient!r} is not a user object: load the recipient in this organisation first.")
        if not recipient.is_authenticated:
            raise NotImplementedError(
                "A persistent message needs a recipient who is logged in, and this user is anonymous."
            )
        send_leniently(
            recipient,
            message.message,
            level=message.level,
            sender=sender if sender.is_authenticated else None,
            extra_tags=message.extra_tags or "",
            **{name: value for name, value in options.items() if name in OPTIONS},
        )

    def _process(self, message: Message, *args: object, **options: Any) -> Message | None:
        return self.process_message(message, *args, **options)

    def _get(self, *args: object, **kwargs: object) -> tuple[list[Message], bool]:
        if not has_messages(self.schema):
            return [], False
        # The lazy user may be loaded here, and must come from this schema.
        with in_schema(self.schema):
            user = self.get_user()
            shown = self._unread(user).banners if user.is_authenticated else []
            # Django's storages are typed for their own class, whose attributes these objects have.
            return cast("list[Message]", [link_to_inbox(each) for each in shown]), False

    def _unread(self, user: AbstractBaseUser) -> Unread:
        """Return the unread items, with the messages of `_message_queryset` if a subclass overrides it."""
        unread = unread_for(self.request, user)
        if type(self)._message_queryset is PersistentStorage._message_queryset:
            return unread
        published = [each for each in unread.shown if not isinstance(each, SavedMessage)]
        messages = list(self._message_queryset()[:UNREAD_CAP])
        room = max(settings.max_banners - len(published), 0)
        total = len(published) + len(messages)
        return Unread([*published, *messages[:room]], total, total)


class CookieBinding:
    """Add the schema to the cookie's name and salt.

    The salt prevents reading the cookie of another tenant. The name prevents overwriting it if the cookie's domain
    spans subdomains. In the public schema both are unchanged.
    """

    cookie_name: str
    key_salt: str

    def __init__(self, request: HttpRequest, *args: object, **kwargs: object) -> None:
        schema = schema_of(request)
        if not is_public(schema):
            # A schema's name may contain characters that a cookie's name may not.
            is_valid = re.fullmatch(r"[A-Za-z0-9_-]+", schema)
            suffix = schema if is_valid else hashlib.sha256(schema.encode()).hexdigest()[:32]
            self.cookie_name = f"{type(self).cookie_name}_{suffix}"
            self.key_salt = f"{type(self).key_salt}:{schema}"
        super().__init__(request, *args, **kwargs)  # type: ignore[call-arg]


class SessionBinding:
    """Add the schema to the session key. Store nothing where the session engine has no table."""

    session_key: str
    request: HttpRequest

    def __init__(self, request: HttpRequest, *args: object, **kwargs: object) -> None:
        schema = schema_of(request)
        if not is_public(schema):
            self.session_key = f"{type(self).session_key}:{schema}"
        super().__init__(request, *args, **kwargs)  # type: ignore[call-arg]

    def _store(
        self, messages: list[Message], response: HttpResponseBase, *args: object, **kwargs: object
    ) -> list[Message]:
        can_store = getattr(self.request.session, "has_table", True)
        return super()._store(messages, response, *args, **kwargs) if can_store else messages  # type: ignore[misc]


class CookieStorage(CookieBinding, cookie.CookieStorage):
    """Bind Django's cookie storage to the tenant."""


class SessionStorage(SessionBinding, session.SessionStorage):
    """Bind Django's session storage to the tenant."""


class FallbackBinding:
    """Bind both storages of Django's fallback storage."""

    storage_classes = (CookieStorage, SessionStorage)


BINDINGS: tuple[tuple[type, type], ...] = (
    (cookie.CookieStorage, CookieBinding),
    (session.SessionStorage, SessionBinding),
    (fallback.FallbackStorage, FallbackBinding),
)


@cache
def tenant_bound(storage_class: type) -> type:
    """Return a tenant-bound subclass if `storage_class` is a Django storage or a subclass of one."""
    for django_class, binding in BINDINGS:
        if issubclass(storage_class, django_class) and not issubclass(storage_class, binding):
            return type(storage_class.__name__, (binding, storage_class), {})
    return storage_class


class FallbackStorage(LevelStorage):
    """Use the storages of MESSAGES_STORAGES in order; each handles its own levels and passes the rest on."""

    @property
    def storages_names(self) -> Sequence[str]:
        """The dotted paths of the storages; a subclass may override them."""
        return settings.storages

    def __init__(self, request: HttpRequest, *args: object, **kwargs: object) -> None:
        super().__init__(request, *args, **kwargs)
        self._made_with = (args, kwargs)
        self._used_storages: set[MessageStorage] = set()
        if not hasattr(request, "session"):
            # Some storage may refuse that, and should do so at once.
            self.storages  # noqa: B018

    @cached_property
    def storages(self) -> list[MessageStorage]:
        """The storages, in order. They are created on access, which most responses never need."""
        args, kwargs = self._made_with
        # A storage takes the current schema if the request has no tenant.
        with in_schema(self.schema):
            return [tenant_bound(import_string(path))(self.request, *args, **kwargs) for path in self.storages_names]

    def update(self, response: HttpResponseBase) -> list[Message] | None:
        """Store the messages for a later response, without loading those that are already saved."""
        keep_private(self.request, response)
        self._prepare_messages(self._queued_messages)
        if self.used:
            return self._store(self._queued_messages, response)
        if self.added_new:
            carried = [message for messages in self._carried.values() for message in messages]
            return self._store(carried + self._queued_messages, response)
        return None

    def _process(self, message: Message | None, *args: object, **options: object) -> Message | None:
        for storage in self.storages:
            if message and hasattr(storage, "process_message"):
                message = storage.process_message(message, *args, **options)
        return message

    def _get(self, *args: object, **kwargs: object) -> tuple[list[Message], bool]:
        # Saved messages are read whatever the order: a cookie that reports "all retrieved" must not hide them.
        shown = [
            storage._get()[0] if _keeps_messages(storage) else self._carried.get(storage, [])
            for storage in self.storages
        ]
        return [message for messages in shown for message in messages or []], True

    @cached_property
    def _carried(self) -> dict[MessageStorage, list[Message]]:
        """The messages that an earlier response stored, by storage, read as Django's fallback storage reads them."""
        carried: dict[MessageStorage, list[Message]] = {}
        for storage in self.storages:
            if _keeps_messages(storage):
                continue
            messages, all_retrieved = storage._get()
            if messages:
                carried[storage] = messages
                self._used_storages.add(storage)
            if all_retrieved:
                break
        return carried

    def _store(
        self, messages: list[Message], response: HttpResponseBase, *args: object, **kwargs: object
    ) -> list[Message]:
        # Storages with levels of their own come first, whatever their position.
        for storage in sorted(self.storages, key=lambda each: not getattr(each, "levels", ())):
            if messages:
                messages = storage._store(messages, response, remove_oldest=False)
            elif storage in self._used_storages:
                # Its earlier messages have been shown: clear them.
                storage._store([], response)
                self._used_storages.remove(storage)
        return messages


def _keeps_messages(storage: MessageStorage) -> bool:
    return getattr(storage, "keeps_messages", False)
