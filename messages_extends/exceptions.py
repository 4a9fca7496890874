"""The errors this package raises; catch `MessagesExtendsError` for all of them.

Each is also the built-in error that describes it, so that code which knows nothing of us handles it well.
"""


class MessagesExtendsError(Exception):
    """Something about a message or its configuration is wrong."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message or (self.__doc__ or "").split("\n")[0])


class WrongTenant(MessagesExtendsError, ValueError):
    """The user object was loaded in another organisation."""


class RecipientUnavailable(MessagesExtendsError, ValueError):
    """The recipient is deleted, inactive or not a member of this organisation."""


class NoTenant(MessagesExtendsError, RuntimeError):
    """Persistent messages belong to an organisation, and the public schema is none."""


class NoSessionTable(MessagesExtendsError, RuntimeError):
    """The public schema has no session table: store nothing in the session on pages outside any organisation."""
