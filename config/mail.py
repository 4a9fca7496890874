"""E-mail settings from a URL, in the form that this version of Django expects."""

from typing import Any
from urllib.parse import unquote, urlsplit

import django
import environ
from django.core.exceptions import ImproperlyConfigured

_SMTP = "django.core.mail.backends.smtp.EmailBackend"
_FILE = "django.core.mail.backends.filebased.EmailBackend"


def mail_settings(url: str, timeout: int) -> dict[str, Any]:
    """Return the settings for a URL such as smtp+tls://user:password@host:587; Django 6.1 has new settings."""
    parts: dict[str, Any] = {"EMAIL_USE_TLS": False, "EMAIL_USE_SSL": False, **environ.Env.email_url_config(url)}
    if parts["EMAIL_BACKEND"] == _FILE:
        parts["EMAIL_FILE_PATH"] = _folder_of(url)
    if django.VERSION >= (6, 1):
        return {"MAILERS": {"default": {"BACKEND": parts["EMAIL_BACKEND"], "OPTIONS": _options(parts, timeout)}}}
    names = ("BACKEND", "HOST", "PORT", "HOST_USER", "HOST_PASSWORD", "USE_TLS", "USE_SSL", "FILE_PATH")
    found = {f"EMAIL_{name}": parts[f"EMAIL_{name}"] for name in names if parts[f"EMAIL_{name}"] is not None}
    return {**found, "EMAIL_TIMEOUT": timeout}


def _folder_of(url: str) -> str:
    """Return the absolute path of filemail:///srv/mail, whose first slash django-environ removes."""
    parts = urlsplit(url)
    path = unquote(parts.path).rstrip("/")
    if parts.netloc or not path:
        raise ImproperlyConfigured(
            f"EMAIL_URL is {url!r}: name a folder by its absolute path, with three slashes: filemail:///srv/mail"
        )
    return f"/{path.lstrip('/')}"


def _options(parts: dict[str, Any], timeout: int) -> dict[str, Any]:
    if parts["EMAIL_BACKEND"] == _FILE:
        return {"file_path": parts["EMAIL_FILE_PATH"]}
    if parts["EMAIL_BACKEND"] != _SMTP:
        return {}
    options = {
        "host": parts["EMAIL_HOST"],
        "port": parts["EMAIL_PORT"],
        "username": parts["EMAIL_HOST_USER"],
        "password": parts["EMAIL_HOST_PASSWORD"],
        "use_tls": parts["EMAIL_USE_TLS"],
        "use_ssl": parts["EMAIL_USE_SSL"],
        "timeout": timeout,
    }
    return {name: value for name, value in options.items() if value is not None}
