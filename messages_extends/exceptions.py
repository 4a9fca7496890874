"""The errors this package raises; catch `MessagesExtendsError` for all of them.

Each is also the built-in error that describes it, so that code which knows nothing of us handles it well. The first
line of its docstring is what it says when it is raised without a text.
"""

from django.core.exceptions import PermissionDenied


class MessagesExtendsError(Exception):
    """Something about a message or its configuration is wrong."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message or (self.__doc__ or "").split("\n")[0])


class WrongTenant(MessagesExtendsError, ValueError):
    """This object was loaded in another organisation: load it again in this one."""


class RecipientUnavailable(MessagesExtendsError, ValueError):
    """Nothing was sent: the recipient is deleted, deactivated, never saved or not of this organisation."""


class NoTenant(MessagesExtendsError, RuntimeError):
    """Persistent messages belong to an organisation, and the public schema is none: send inside a tenant."""


class NoGroups(MessagesExtendsError, TypeError):
    """The user model has no groups, so that a group reaches nobody: name people, or a queryset of them."""


class NoSessionTable(MessagesExtendsError, RuntimeError):
    """The public schema has no session table: store nothing in the session on pages outside any organisation."""


class NotPublished(MessagesExtendsError, ValueError):
    """This publication has ended: write a new one."""


class LevelOfMessageException(MessagesExtendsError, ValueError):
    """This storage does not process messages of this level.

    For storages of hosts that raise or catch it, as in django-messages-extends; nothing here does.
    """


class NoSuchMessage(MessagesExtendsError, LookupError):
    """There is no such message for this reader."""


class MustAcknowledge(MessagesExtendsError, ValueError):
    """This message must be acknowledged. It cannot be closed or marked as unread."""


class RateLimitExceeded(MessagesExtendsError, PermissionDenied):
    """You are sending messages too quickly.

    `retry_after` is how many seconds to wait. A refusal, so that a view which knows nothing of it answers 403.
    """

    def __init__(self, message: str = "", *, retry_after: int = 0) -> None:
        super().__init__(message)
        self.retry_after = retry_after
