"""The exceptions of this package; catch `MessagesExtendsError` to handle all of them.

Each exception also subclasses the built-in exception that fits, so that generic code can handle it. The first line of
its docstring is its default message.
"""

from django.core.exceptions import PermissionDenied


class MessagesExtendsError(Exception):
    """Something about a message or its configuration is wrong."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message or (self.__doc__ or "").split("\n")[0])


class WrongTenant(MessagesExtendsError, ValueError):
    """This object was loaded in another organisation. Load it again in this one."""


class RecipientUnavailable(MessagesExtendsError, ValueError):
    """Nothing was sent: the recipient is deleted, inactive, unsaved or not a member of this organisation."""


class NoTenant(MessagesExtendsError, RuntimeError):
    """Persistent messages belong to a tenant and cannot be sent in the public schema. Enter a tenant's schema first."""


class NoGroups(MessagesExtendsError, TypeError):
    """The user model has no groups, so a group has no members. Pass users or a queryset of users."""


class NoSessionTable(MessagesExtendsError, RuntimeError):
    """The public schema has no session table. Do not use the session on pages outside an organisation."""


class NotPublished(MessagesExtendsError, ValueError):
    """This publication has ended. Publish a new one."""


class LevelOfMessageException(MessagesExtendsError, ValueError):
    """This storage does not process messages of this level.

    It is provided for storages that were written for django-messages-extends. This package does not raise it.
    """


class NoSuchMessage(MessagesExtendsError, LookupError):
    """This user has no such message."""


class MustAcknowledge(MessagesExtendsError, ValueError):
    """This message must be acknowledged. It cannot be closed or marked as unread."""


class NotRecallable(MessagesExtendsError, ValueError):
    """This message cannot be recalled: somebody has read it, or some of its copies no longer exist."""


class RateLimitExceeded(MessagesExtendsError, PermissionDenied):
    """You are sending messages too quickly.

    `retry_after` is the number of seconds to wait. As a subclass of PermissionDenied it becomes a 403 response.
    """

    def __init__(self, message: str = "", *, retry_after: int = 0) -> None:
        super().__init__(message)
        self.retry_after = retry_after
