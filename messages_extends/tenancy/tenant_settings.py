"""Settings of django-tenants that every statement needs, read once.

Reading a setting that is absent takes several microseconds, and one page or message needs dozens of them.
"""

from collections.abc import Callable
from functools import cache
from typing import TypeVar

from django.core.signals import setting_changed
from django_tenants.utils import get_public_schema_name, get_tenant_database_alias, has_multi_type_tenants

Value = TypeVar("Value")


def cached_until_settings_change(function: Callable[[], Value]) -> Callable[[], Value]:
    """Call a function that depends on settings alone once, and again after a test has overridden a setting."""
    cached = cache(function)
    setting_changed.connect(lambda **_signal: cached.cache_clear(), weak=False)
    return cached


@cached_until_settings_change
def tenant_database() -> str:
    """Return the alias of the database whose connection is in the current schema."""
    return str(get_tenant_database_alias())


@cached_until_settings_change
def public_schema() -> str:
    """Return the name of the public schema."""
    return str(get_public_schema_name())


@cached_until_settings_change
def has_tenant_types() -> bool:
    """Tell whether there are tenants of several types, each with apps of its own."""
    return bool(has_multi_type_tenants())
