"""Checks of the request cycle: apps, middleware, context processors and URLs."""

from collections.abc import Iterable
from typing import Final

from django.apps import apps
from django.conf import settings
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's name
from django.middleware.cache import UpdateCacheMiddleware
from django.template import engines
from django.template.backends.django import DjangoTemplates
from django_tenants.middleware.main import TenantMainMiddleware
from django_tenants.middleware.subfolder import TenantSubfolderMiddleware

from messages_extends.checks.package_settings import import_or_none
from messages_extends.checks.registry import register
from messages_extends.links import own_namespace
from messages_extends.tenancy.middleware import SubfolderSessionMiddleware

CONTEXT_PROCESSORS: Final = (
    "django.template.context_processors.request",
    "django.contrib.messages.context_processors.messages",
)
# In the required order: each uses what the ones before it add to the request.
MIDDLEWARE: Final[tuple[type, ...]] = (
    TenantMainMiddleware,
    SessionMiddleware,
    AuthenticationMiddleware,
    MessageMiddleware,
)


@register
def check_messages_app(**_kwargs: object) -> list[CheckMessage]:
    if apps.is_installed("django.contrib.messages"):
        return []
    return [
        Error(
            "django.contrib.messages is not installed.",
            hint='Add "django.contrib.messages" to TENANT_APPS (it has no tables).',
            id="messages_extends.E020",
        )
    ]


@register
def check_context_processors(**_kwargs: object) -> list[CheckMessage]:
    found = [engine.engine.context_processors for engine in engines.all() if isinstance(engine, DjangoTemplates)]
    if any(set(CONTEXT_PROCESSORS) <= set(processors) for processors in found):
        return []
    return [
        Error(
            "The messages are not available in templates.",
            hint=f"Add to the context_processors of a DjangoTemplates engine in TEMPLATES: "
            f"{', '.join(CONTEXT_PROCESSORS)}.",
            id="messages_extends.E021",
        )
    ]


@register
def check_middleware(**_kwargs: object) -> list[CheckMessage]:
    positions = middleware_positions()
    missing = [wanted for wanted in MIDDLEWARE if wanted not in positions]
    if not missing:
        return []
    return [
        Error(
            f"MIDDLEWARE lacks {_names(missing)}.",
            hint=f"List all of these, or subclasses, in this order: {_names(MIDDLEWARE)}. If another middleware "
            "sets the connection's tenant, silence this check. MessageMiddleware also marks pages with personal "
            "messages as private for caches.",
            id="messages_extends.E022",
        )
    ]


@register
def check_middleware_order(**_kwargs: object) -> list[CheckMessage]:
    positions = list(middleware_positions().values())
    if positions == sorted(positions):
        return []
    return [
        Error(
            "MIDDLEWARE is in the wrong order: sessions, users or messages would be read before the tenant or the "
            "session is known.",
            hint=f"Put them in this order: {_names(MIDDLEWARE)}.",
            id="messages_extends.E023",
        )
    ]


def middleware_positions() -> dict[type, int]:
    """Return the first position of each required middleware or a subclass of it, without the missing ones."""
    listed = [import_or_none(path) for path in settings.MIDDLEWARE]
    positions: dict[type, int] = {}
    for wanted in MIDDLEWARE:
        for position, found in enumerate(listed):
            if isinstance(found, type) and issubclass(found, wanted):
                positions.setdefault(wanted, position)
    return positions


def _names(classes: Iterable[type]) -> str:
    return ", ".join(f"{found.__module__}.{found.__qualname__}" for found in classes)


@register
def check_subfolder_sessions(**_kwargs: object) -> list[CheckMessage]:
    listed = [import_or_none(path) for path in settings.MIDDLEWARE]
    classes = [found for found in listed if isinstance(found, type)]
    in_folders = any(issubclass(found, TenantSubfolderMiddleware) for found in classes)
    if not in_folders or any(issubclass(found, SubfolderSessionMiddleware) for found in classes):
        return []
    return [
        Warning(
            "Organisations in subfolders of one host share its session cookie: opening a second one ends the session "
            "in the first.",
            hint='List "messages_extends.tenancy.middleware.SubfolderSessionMiddleware" in MIDDLEWARE instead of '
            "Django's SessionMiddleware.",
            id="messages_extends.W083",
        )
    ]


@register
def check_urls(**_kwargs: object) -> list[CheckMessage]:
    if own_namespace(settings.ROOT_URLCONF) is not None:
        return []
    return [
        Warning(
            f"The URLs of messages_extends are not included in {settings.ROOT_URLCONF}: messages cannot be closed.",
            hint='Add path("messages/", include("messages_extends.urls")) to it, at any path and in any namespace.',
            id="messages_extends.W024",
        )
    ]


@register
def check_admin_order(**_kwargs: object) -> list[CheckMessage]:
    names = [config.name for config in apps.get_app_configs()]
    if "django.contrib.admin" not in names or names.index("messages_extends") < names.index("django.contrib.admin"):
        return []
    return [
        Warning(
            "messages_extends comes after django.contrib.admin in INSTALLED_APPS: the admin shows saved messages in "
            "green, whatever their level, and without a close button.",
            hint="Put messages_extends before django.contrib.admin, so that its template admin/base.html is used.",
            id="messages_extends.W075",
        )
    ]


@register
def check_cache_middleware_order(**_kwargs: object) -> list[CheckMessage]:
    listed = [import_or_none(path) for path in settings.MIDDLEWARE]
    messages = [number for number, found in enumerate(listed) if _is_subclass(found, MessageMiddleware)]
    caches = [number for number, found in enumerate(listed) if _is_subclass(found, UpdateCacheMiddleware)]
    if not messages or not caches or max(caches) < messages[0]:
        return []
    return [
        Warning(
            "A cache middleware comes after MessageMiddleware: it stores pages with personal messages before they are "
            "marked as private, and serves them to others.",
            hint="Put django.middleware.cache.UpdateCacheMiddleware first in MIDDLEWARE, as Django requires.",
            id="messages_extends.W061",
        )
    ]


def _is_subclass(found: object, wanted: type) -> bool:
    return isinstance(found, type) and issubclass(found, wanted)
