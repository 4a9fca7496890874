"""Checks of cookies, sessions and caches, by which data could pass from one tenant to another."""

from pathlib import Path

from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.cache.backends.base import get_key_func
from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's name

from messages_extends.checks.package_settings import import_or_none
from messages_extends.checks.registry import register
from messages_extends.tenancy.schemas import in_schema, is_per_tenant
from messages_extends.tenancy.sessions import SessionStore

ENGINE = "messages_extends.tenancy.sessions"


def _users_are_per_tenant() -> bool:
    return is_per_tenant(get_user_model()._meta.app_label)


@register
def check_session_cookie_domain(**_kwargs: object) -> list[CheckMessage]:
    domain = settings.SESSION_COOKIE_DOMAIN
    if not domain or not _users_are_per_tenant():
        return []
    return [
        Error(
            f"SESSION_COOKIE_DOMAIN is {domain!r}: browsers send one organisation's session cookie to all others.",
            hint="Set SESSION_COOKIE_DOMAIN = None.",
            id="messages_extends.E030",
        )
    ]


@register
def check_shared_session_cookie_domain(**_kwargs: object) -> list[CheckMessage]:
    domain = settings.SESSION_COOKIE_DOMAIN
    if not domain or _users_are_per_tenant():
        return []
    return [
        Warning(
            f"SESSION_COOKIE_DOMAIN is {domain!r}: browsers send one organisation's session cookie to all others.",
            hint="Set SESSION_COOKIE_DOMAIN = None; silence this check if users log in once for all organisations.",
            id="messages_extends.W031",
        )
    ]


@register
def check_csrf_cookie_domain(**_kwargs: object) -> list[CheckMessage]:
    if not settings.CSRF_COOKIE_DOMAIN:
        return []
    return [
        Warning(
            f"CSRF_COOKIE_DOMAIN is {settings.CSRF_COOKIE_DOMAIN!r}: all organisations share their CSRF tokens.",
            hint="Set CSRF_COOKIE_DOMAIN = None.",
            id="messages_extends.W032",
        )
    ]


def _sessions_are_bound() -> bool:
    store = import_or_none(f"{settings.SESSION_ENGINE}.SessionStore")
    return isinstance(store, type) and issubclass(store, SessionStore)


@register
def check_session_engine(**_kwargs: object) -> list[CheckMessage]:
    if _sessions_are_bound() or not _users_are_per_tenant():
        return []
    return [
        Error(
            f"SESSION_ENGINE is {settings.SESSION_ENGINE!r}: a session of one organisation may be valid in another, "
            "and pages of the public schema fail without a session table.",
            hint=f'Set SESSION_ENGINE = "{ENGINE}", or a module whose SessionStore is a subclass of that one.',
            id="messages_extends.E033",
        )
    ]


@register
def check_shared_session_engine(**_kwargs: object) -> list[CheckMessage]:
    if _sessions_are_bound() or _users_are_per_tenant():
        return []
    return [
        Warning(
            f"SESSION_ENGINE is {settings.SESSION_ENGINE!r}: a session of one organisation may be valid in another, "
            "even if its user is not a member there.",
            hint=f'Set SESSION_ENGINE = "{ENGINE}"; silence this if one login is meant to serve every organisation.',
            id="messages_extends.W034",
        )
    ]


def _guardian_user() -> str | None:
    name: str | None = getattr(settings, "ANONYMOUS_USER_NAME", "AnonymousUser")
    return name if apps.is_installed("guardian") else None


@register
def check_guardian_anonymous_user(**_kwargs: object) -> list[CheckMessage]:
    if _guardian_user() is None:
        return []
    return [
        Error(
            "guardian's anonymous user is a row in every organisation, whose permissions apply to everybody who is not "
            "logged in.",
            hint="Set ANONYMOUS_USER_NAME = None.",
            id="messages_extends.E035",
        )
    ]


@register
def check_guardian_user_cache(**_kwargs: object) -> list[CheckMessage]:
    if _guardian_user() is None or getattr(settings, "GUARDIAN_ANONYMOUS_USER_CACHE_TTL", 0) == 0:
        return []
    return [
        Error(
            "guardian caches the anonymous user of one organisation and uses it in all others.",
            hint="Set GUARDIAN_ANONYMOUS_USER_CACHE_TTL = 0, or ANONYMOUS_USER_NAME = None.",
            id="messages_extends.E036",
        )
    ]


@register
def check_cache_keys(**_kwargs: object) -> list[CheckMessage]:
    # Django's default cache as well, which every project has without the setting.
    key_functions = {
        alias: get_key_func(cache.get("KEY_FUNCTION"))
        for alias, cache in settings.CACHES.items()
        if cache["BACKEND"] != "django.core.cache.backends.dummy.DummyCache"
    }
    # Call the key functions in two schemas, because a host project may have its own.
    with in_schema("one"):
        keys = {alias: make_key("key", "", 1) for alias, make_key in key_functions.items()}
    with in_schema("other"):
        mixed = [alias for alias, make_key in key_functions.items() if make_key("key", "", 1) == keys[alias]]
    if not mixed:
        return []
    return [
        Warning(
            f"The keys of these caches do not contain the schema: {', '.join(mixed)}. One organisation may read what "
            "another has cached.",
            hint='Set "KEY_FUNCTION": "django_tenants.cache.make_key" in CACHES; add the schema to the key yourself in '
            "async views, where the connection is in public. Silence this for caches without data of tenants.",
            id="messages_extends.W037",
        )
    ]


@register
def check_csrf_trusted_origins(**_kwargs: object) -> list[CheckMessage]:
    wildcards = [origin for origin in settings.CSRF_TRUSTED_ORIGINS if "*" in origin]
    if not wildcards:
        return []
    return [
        Warning(
            f"CSRF_TRUSTED_ORIGINS has a wildcard: {', '.join(wildcards)}. If it matches host names of organisations, "
            "a page of one may submit forms to all others.",
            hint="List each origin; silence this check if no organisation has such a host name.",
            id="messages_extends.W063",
        )
    ]


@register
def check_email_folder(**_kwargs: object) -> list[CheckMessage]:
    folders = {getattr(settings, "EMAIL_FILE_PATH", None)}
    for mailer in getattr(settings, "MAILERS", {}).values():
        folders.add(mailer.get("OPTIONS", {}).get("file_path"))
    relative = sorted(str(folder) for folder in folders if folder and not Path(folder).is_absolute())
    if not relative:
        return []
    return [
        Warning(
            f"E-mails are written to a folder relative to the working directory: {', '.join(relative)}. "
            "They contain links with which their readers can log in.",
            hint='Set EMAIL_FILE_PATH to an absolute path. django-environ removes one slash: "filemail:////abs/olute".',
            id="messages_extends.W064",
        )
    ]
