"""Cookies, sessions and caches: what a browser or a process could carry from one organisation to another."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.cache.backends.base import get_key_func
from django.core.checks import CheckMessage, Error, Warning, register  # noqa: A004 - Django's name

from messages_extends.checks.own import import_or_none
from messages_extends.tenancy.schemas import inside, is_per_tenant
from messages_extends.tenancy.sessions import SessionStore

ENGINE = "messages_extends.tenancy.sessions"


def _users_are_per_tenant() -> bool:
    return is_per_tenant(get_user_model()._meta.app_label)


@register
def session_cookie_stays_at_its_host(**_kwargs: object) -> list[CheckMessage]:
    domain = settings.SESSION_COOKIE_DOMAIN
    if not domain or not _users_are_per_tenant():
        return []
    return [
        Error(
            f"SESSION_COOKIE_DOMAIN is {domain!r}: browsers send one organisation's cookies to all others.",
            hint="Set SESSION_COOKIE_DOMAIN = None.",
            id="messages_extends.E030",
        )
    ]


@register
def shared_login_is_meant(**_kwargs: object) -> list[CheckMessage]:
    domain = settings.SESSION_COOKIE_DOMAIN
    if not domain or _users_are_per_tenant():
        return []
    return [
        Warning(
            f"SESSION_COOKIE_DOMAIN is {domain!r}: browsers send one organisation's cookies to all others.",
            hint="Set SESSION_COOKIE_DOMAIN = None; silence this if one login is meant to serve every organisation.",
            id="messages_extends.W031",
        )
    ]


@register
def csrf_cookie_stays_at_its_host(**_kwargs: object) -> list[CheckMessage]:
    if not settings.CSRF_COOKIE_DOMAIN:
        return []
    return [
        Warning(
            f"CSRF_COOKIE_DOMAIN is {settings.CSRF_COOKIE_DOMAIN!r}: the organisations share their CSRF tokens.",
            hint="Set CSRF_COOKIE_DOMAIN = None.",
            id="messages_extends.W032",
        )
    ]


def _sessions_are_bound() -> bool:
    store = import_or_none(f"{settings.SESSION_ENGINE}.SessionStore")
    return isinstance(store, type) and issubclass(store, SessionStore)


@register
def sessions_are_bound(**_kwargs: object) -> list[CheckMessage]:
    if _sessions_are_bound() or not _users_are_per_tenant():
        return []
    return [
        Error(
            f"SESSION_ENGINE is {settings.SESSION_ENGINE!r}: a session of one organisation can log somebody in at "
            "another, and pages of the public schema fail without a session table.",
            hint=f'Set SESSION_ENGINE = "{ENGINE}", or a module whose SessionStore is a subclass of its.',
            id="messages_extends.E033",
        )
    ]


@register
def shared_sessions_are_meant(**_kwargs: object) -> list[CheckMessage]:
    if _sessions_are_bound() or _users_are_per_tenant():
        return []
    return [
        Warning(
            f"SESSION_ENGINE is {settings.SESSION_ENGINE!r}: a session of one organisation may be valid at another, "
            "whether its user belongs there or not.",
            hint=f'Set SESSION_ENGINE = "{ENGINE}"; silence this if one login is meant to serve every organisation.',
            id="messages_extends.W034",
        )
    ]


def _guardian_user() -> str | None:
    name: str | None = getattr(settings, "ANONYMOUS_USER_NAME", "AnonymousUser")
    return name if apps.is_installed("guardian") else None


@register
def guardian_has_no_anonymous_user(**_kwargs: object) -> list[CheckMessage]:
    if _guardian_user() is None:
        return []
    return [
        Error(
            "guardian's anonymous user is a row in every organisation, and holds permissions for whoever is not "
            "logged in.",
            hint="Set ANONYMOUS_USER_NAME = None.",
            id="messages_extends.E035",
        )
    ]


@register
def guardian_caches_no_user(**_kwargs: object) -> list[CheckMessage]:
    if _guardian_user() is None or getattr(settings, "GUARDIAN_ANONYMOUS_USER_CACHE_TTL", 0) == 0:
        return []
    return [
        Error(
            "guardian keeps one organisation's anonymous user and uses it in all others.",
            hint="Set GUARDIAN_ANONYMOUS_USER_CACHE_TTL = 0, or ANONYMOUS_USER_NAME = None.",
            id="messages_extends.E036",
        )
    ]


@register
def caches_know_the_tenant(**_kwargs: object) -> list[CheckMessage]:
    # Django's own default as well, which is there in every project that says nothing of caches.
    mixed = [
        alias for alias, cache in settings.CACHES.items() if not _is_dummy(cache) and not _has_schema_in_keys(cache)
    ]
    if not mixed:
        return []
    return [
        Warning(
            f"Keys of these caches do not hold the schema: {', '.join(mixed)}. What one organisation's page puts "
            "there, another's may get.",
            hint='Set "KEY_FUNCTION": "django_tenants.cache.make_key" in CACHES; put the schema into the key yourself '
            "in async views, where the connection says public. Silence this for caches that hold nothing of a tenant.",
            id="messages_extends.W037",
        )
    ]


def _is_dummy(cache: Mapping[str, object]) -> bool:
    return bool(cache["BACKEND"] == "django.core.cache.backends.dummy.DummyCache")


def _has_schema_in_keys(cache: Mapping[str, Any]) -> bool:
    """Ask the key function itself, as a host's own serves as well."""
    make_key = get_key_func(cache.get("KEY_FUNCTION"))
    keys = set()
    for schema in ("one", "other"):
        with inside(schema):
            keys.add(make_key("key", "", 1))
    return len(keys) == 2


@register
def csrf_trusts_no_wildcard(**_kwargs: object) -> list[CheckMessage]:
    wildcards = [origin for origin in settings.CSRF_TRUSTED_ORIGINS if "*" in origin]
    if not wildcards:
        return []
    return [
        Warning(
            f"CSRF_TRUSTED_ORIGINS has a wildcard: {', '.join(wildcards)}. If organisations live there, a page of each "
            "may send forms to all others.",
            hint="Name the origins one by one; silence this if no organisation has such a host name.",
            id="messages_extends.W063",
        )
    ]


@register
def emails_go_to_a_folder_of_their_own(**_kwargs: object) -> list[CheckMessage]:
    folders = {getattr(settings, "EMAIL_FILE_PATH", None)}
    for mailer in getattr(settings, "MAILERS", {}).values():
        folders.add(mailer.get("OPTIONS", {}).get("file_path"))
    relative = sorted(str(folder) for folder in folders if folder and not Path(folder).is_absolute())
    if not relative:
        return []
    return [
        Warning(
            f"E-mails are written to a folder below the one that the process was started in: {', '.join(relative)}. "
            "The links in them let their readers in.",
            hint='Set EMAIL_FILE_PATH to an absolute path. django-environ takes one slash away: "filemail:////abs/olute".',
            id="messages_extends.W064",
        )
    ]
