"""The settings of this package, typed and read at access.

They are keys of the dictionary `MESSAGES_EXTENDS`, except `MESSAGES_STORAGES`, whose name comes from
django-messages-extends.
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

# The periods of SEND_LIMITS, in seconds.
PERIODS: Final = {"minute": 60, "hour": 3_600, "day": 86_400}
DEFAULT_SEND_LIMITS: Final = {"minute": 60, "hour": 600}

Members = Callable[[], "QuerySet[AbstractBaseUser]"]


class Settings:
    """Provide each setting as a property that documents its type, its default and its meaning."""

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
        """The dotted paths of the storages, in the order in which they are used (`MESSAGES_STORAGES`)."""
        return getattr(django_settings, "MESSAGES_STORAGES", DEFAULT_STORAGES)

    @property
    def max_banners(self) -> int:
        """The number of unread messages shown on a page before "and n more" (`MAX_BANNERS`: 10)."""
        return int(self._own.get("MAX_BANNERS", 10))

    @property
    def platform_schema(self) -> str | None:
        """The schema whose users are the platform's staff (`PLATFORM_SCHEMA`: none)."""
        return self._own.get("PLATFORM_SCHEMA")

    @property
    def members(self) -> Members | None:
        """The callable that returns the current tenant's members, for shared users (`MEMBERS`: a dotted path)."""
        path = self._own.get("MEMBERS")
        return import_string(path) if isinstance(path, str) else path

    @property
    def policy(self) -> type[Any]:
        """The policy class, which decides who may message whom (`POLICY`: messages_extends.policy.Policy).

        The setting is the class or its dotted path.
        """
        path = self._own.get("POLICY", DEFAULT_POLICY)
        policy: type[Any] = import_string(path) if isinstance(path, str) else path
        return policy

    @property
    def push_bus(self) -> "type[Bus] | None":
        """The bus class for live updates (`PUSH_BUS`: messages_extends.events.postgres.PostgresBus).

        The setting is the class or its dotted path. None turns live updates off.
        """
        path = self._own.get("PUSH_BUS", DEFAULT_BUS)
        bus: type[Bus] | None = import_string(path) if isinstance(path, str) else path
        return bus

    @property
    def push_name(self) -> str:
        """The name of the bus's channel, if several products share a server (`PUSH_NAME`: messages_extends)."""
        return str(self._own.get("PUSH_NAME", "messages_extends"))

    @property
    def push_redis_url(self) -> str:
        """The URL of the Redis server for `RedisBus` (`PUSH_REDIS_URL`: redis://localhost:6379)."""
        return str(self._own.get("PUSH_REDIS_URL", "redis://localhost:6379"))

    @property
    def max_streams(self) -> int:
        """The maximum number of streams per process; further requests get a 503 (`MAX_STREAMS`: 10,000)."""
        return int(self._own.get("MAX_STREAMS", 10_000))

    @property
    def max_streams_per_user(self) -> int:
        """The maximum number of streams per process and user, who has one per browser (`MAX_STREAMS_PER_USER`: 10)."""
        return int(self._own.get("MAX_STREAMS_PER_USER", 10))

    @property
    def retention_days(self) -> int:
        """The number of days `purge_messages` keeps read messages and ended publications (`RETENTION_DAYS`: 90)."""
        return int(self._own.get("RETENTION_DAYS", 90))

    @property
    def send_limits(self) -> Mapping[str, int]:
        """The number of sends, announcements and revisions per user and period (`SEND_LIMITS`); empty for no limit."""
        return self._own.get("SEND_LIMITS", DEFAULT_SEND_LIMITS) or {}

    @property
    def _own(self) -> Mapping[str, Any]:
        return getattr(django_settings, "MESSAGES_EXTENDS", {})


settings = Settings()
