"""The reference product's settings for the load test: with the pool or without, and a cache that records its values."""

import os
from pathlib import Path
from typing import Any

from django.core.cache.backends.locmem import LocMemCache

from config import settings as product
from config.settings import *  # noqa: F403
from config.settings import DATABASES

if os.environ.get("LOAD_POOL") == "no":
    DATABASES["default"]["OPTIONS"].pop("pool")
    # Each request has a connection of its own, which is closed at its end.
    DATABASES["default"]["CONN_MAX_AGE"] = 0


class NotingCache(LocMemCache):
    """Writes every key and value that it is given to a file, which the load test then searches."""

    def set(self, key: Any, value: Any, *args: Any, **options: Any) -> None:
        self._note(key, value)
        super().set(key, value, *args, **options)

    def add(self, key: Any, value: Any, *args: Any, **options: Any) -> bool:
        self._note(key, value)
        return super().add(key, value, *args, **options)

    def _note(self, key: Any, value: Any) -> None:
        with Path(os.environ["LOAD_CACHE"]).open("a") as file:
            file.write(f"{self.make_key(key)} {value!r}\n")


CACHES = {
    "default": {
        "BACKEND": "tests.longrun.load.settings.NotingCache",
        "KEY_FUNCTION": "django_tenants.cache.make_key",
        "REVERSE_KEY_FUNCTION": "django_tenants.cache.reverse_key",
    }
}
# What is looked for is what crosses a border, not how often.
vars().update(MESSAGES_EXTENDS={**product.MESSAGES_EXTENDS, "SEND_LIMITS": None})
# The load test sends mail to nobody, which Django 6.1 reports as a mistake.
SILENCED_SYSTEM_CHECKS = ["mail.E001"]
