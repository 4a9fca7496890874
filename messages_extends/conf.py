"""Our settings, typed, each read when it is used.

They are the keys of one dictionary, `MESSAGES_EXTENDS`, but for `MESSAGES_STORAGES`, which django-messages-extends
named.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings as django_settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.db.models import QuerySet
from django.utils.module_loading import import_string

if TYPE_CHECKING:
    from messages_extends.events.bus import Bus

DEFAULT_BUS: Final = "messages_extends.events.postgres.PostgresBus"
DEFAULT_POLICY: Final = "messages_extends.policy.Policy"
DEFAULT_STORAGES: Final = (
    "messages_extends.storages.StickyStorage",
    "messages_extends.storages.PersistentStorage",
    "django.contrib.messages.storage.cookie.CookieStorage",
    "django.contrib.messages.storage.session.SessionStorage",
)

# In seconds; the names that SEND_LIMITS has for them.
PERIODS: Final = {"minute": 60, "hour": 3_600, "day": 86_400}
DEFAULT_SEND_LIMITS: Final = {"minute": 60, "hour": 600}

Members = Callable[[], "QuerySet[AbstractBaseUser]"]


class Settings:
    """Answer for each setting: its name, its type, its default, what it means."""

    KEYS: Final = (
        "MAX_BANNERS",
        "MAX_STREAMS",
        "MAX_STREAMS_PER_USER",
        "MEMBERS",
        "PLATFORM_SCHEMA",
        "POLICY",
        "PUSH_BUS",
        "PUSH_NAME",
        "PUSH_REDIS_URL",
        "RETENTION_DAYS",
        "SEND_LIMITS",
    )

    @property
    def storages(self) -> Sequence[str]:
        """The storages a message is offered to, in order (`MESSAGES_STORAGES`)."""
        return getattr(django_settings, "MESSAGES_STORAGES", DEFAULT_STORAGES)

    @property
    def max_banners(self) -> int:
        """How many unread messages a page shows before it says "and n more" (`MAX_BANNERS`: 10)."""
        return int(self._own.get("MAX_BANNERS", 10))

    @property
    def platform_schema(self) -> str | None:
        """The schema whose people are the platform's staff (`PLATFORM_SCHEMA`: none)."""
        return self._own.get("PLATFORM_SCHEMA")

    @property
    def members(self) -> Members | None:
        """Return the people of the current tenant, where users are shared by all of them (`MEMBERS`: a dotted path)."""
        path = self._own.get("MEMBERS")
        return import_string(path) if isinstance(path, str) else path

    @property
    def policy(self) -> type[Any]:
        """The class that says who may message whom (`POLICY`: messages_extends.policy.Policy), or its dotted path."""
        path = self._own.get("POLICY", DEFAULT_POLICY)
        policy: type[Any] = import_string(path) if isinstance(path, str) else path
        return policy

    @property
    def push_bus(self) -> "type[Bus] | None":
        """The class that carries hints to open pages (`PUSH_BUS`: messages_extends.events.postgres.PostgresBus).

        Or its dotted path; None is no live updates.
        """
        path = self._own.get("PUSH_BUS", DEFAULT_BUS)
        bus: type[Bus] | None = import_string(path) if isinstance(path, str) else path
        return bus

    @property
    def push_name(self) -> str:
        """What the bus calls our hints, where several products use one server (`PUSH_NAME`: messages_extends)."""
        return str(self._own.get("PUSH_NAME", "messages_extends"))

    @property
    def push_redis_url(self) -> str:
        """Where Redis is, for the bus that uses it (`PUSH_REDIS_URL`: redis://localhost:6379)."""
        return str(self._own.get("PUSH_REDIS_URL", "redis://localhost:6379"))

    @property
    def max_streams(self) -> int:
        """How many streams one process holds; who comes then gets 503 and asks again later (`MAX_STREAMS`: 10,000)."""
        return int(self._own.get("MAX_STREAMS", 10_000))

    @property
    def max_streams_per_user(self) -> int:
        """How many streams one process holds of one person, who has one a browser (`MAX_STREAMS_PER_USER`: 10)."""
        return int(self._own.get("MAX_STREAMS_PER_USER", 10))

    @property
    def retention_days(self) -> int:
        """How many days `purge_messages` keeps what was read or has ended (`RETENTION_DAYS`: 90)."""
        return int(self._own.get("RETENTION_DAYS", 90))

    @property
    def send_limits(self) -> Mapping[str, int]:
        """How often one person may send, announce or revise in each period (`SEND_LIMITS`); empty: as they like."""
        return self._own.get("SEND_LIMITS", DEFAULT_SEND_LIMITS) or {}

    @property
    def _own(self) -> Mapping[str, Any]:
        return getattr(django_settings, "MESSAGES_EXTENDS", {})


settings = Settings()
