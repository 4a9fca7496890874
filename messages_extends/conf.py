"""Our settings, typed, each read when it is used.

They are the keys of one dictionary, `MESSAGES_EXTENDS`, but for `MESSAGES_STORAGES`, which django-messages-extends
named.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, cast

from django.conf import settings as django_settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.db.models import QuerySet
from django.utils.module_loading import import_string

DEFAULT_POLICY: Final = "messages_extends.policy.Policy"
DEFAULT_STORAGES: Final = (
    "messages_extends.storages.StickyStorage",
    "messages_extends.storages.PersistentStorage",
    "django.contrib.messages.storage.cookie.CookieStorage",
    "django.contrib.messages.storage.session.SessionStorage",
)

Members = Callable[[], "QuerySet[AbstractBaseUser]"]


class Settings:
    """Answer for each setting: its name, its type, its default, what it means."""

    KEYS: Final = ("MAX_BANNERS", "MEMBERS", "PLATFORM_SCHEMA", "POLICY", "RETENTION_DAYS")

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
        return cast(type[Any], import_string(path) if isinstance(path, str) else path)

    @property
    def retention_days(self) -> int:
        """How many days `purge_messages` keeps what was read or has ended (`RETENTION_DAYS`: 90)."""
        return int(self._own.get("RETENTION_DAYS", 90))

    @property
    def _own(self) -> Mapping[str, Any]:
        return getattr(django_settings, "MESSAGES_EXTENDS", {})


settings = Settings()
