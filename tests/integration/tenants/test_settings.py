"""The settings as the environment makes them, each in a process of its own."""

import inspect
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import django
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.mail.backends.smtp import EmailBackend

from config.mail import mail_settings

pytestmark = pytest.mark.integration

SAFE = {
    "DEBUG": "false",
    "SECRET_KEY": "abcdefghij0123456789ABCDEFGHIJ!%" * 2,
    "SECURE_COOKIES": "true",
    "BASE_DOMAIN": "Example.com",
    "EMAIL_URL": "smtp+tls://me:secret@mail.example:587",
}
FULL = {**SAFE, "SECURE_HSTS_SECONDS": "31536000", "SECURE_HSTS_SUBDOMAINS": "true", "SECURE_SSL_REDIRECT": "true"}


def settings_with(environment: dict[str, str], *names: str) -> dict[str, Any]:
    script = (
        "import json, sys\nfrom django.conf import settings\n"
        "print(json.dumps({name: getattr(settings, name, None) for name in sys.argv[1:]}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *names], env=environment, capture_output=True, text=True, check=True
    )
    return dict(json.loads(done.stdout))


def test_production_settings_use_host_cookies_and_https(environment: dict[str, str]) -> None:
    found = settings_with(
        {**environment, **SAFE},
        *("SESSION_COOKIE_NAME", "CSRF_COOKIE_NAME", "SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE"),
        *("SESSION_COOKIE_DOMAIN", "SITE_SCHEME", "ALLOWED_HOSTS", "CSRF_TRUSTED_ORIGINS", "DEFAULT_FROM_EMAIL"),
        *("SECURE_PROXY_SSL_HEADER", "SECURE_HSTS_SECONDS"),
    )
    assert found == {
        "SESSION_COOKIE_NAME": "__Host-sessionid",
        "CSRF_COOKIE_NAME": "__Host-csrftoken",
        "SESSION_COOKIE_SECURE": True,
        "CSRF_COOKIE_SECURE": True,
        "SESSION_COOKIE_DOMAIN": None,
        "SITE_SCHEME": "https",
        "ALLOWED_HOSTS": ["example.com", ".example.com"],
        "CSRF_TRUSTED_ORIGINS": [],
        "DEFAULT_FROM_EMAIL": "no-reply@example.com",
        "SECURE_PROXY_SSL_HEADER": None,
        "SECURE_HSTS_SECONDS": 0,
    }


def test_mail_settings_are_read_from_url() -> None:
    found = mail_settings("smtp+tls://me:secret@mail.example:587", timeout=10)
    if django.VERSION >= (6, 1):
        found = found["MAILERS"]["default"]
        assert found.pop("BACKEND") == "django.core.mail.backends.smtp.EmailBackend"
        assert set(found["OPTIONS"]) <= set(inspect.signature(EmailBackend).parameters)
    else:
        assert found["EMAIL_BACKEND"] == "django.core.mail.backends.smtp.EmailBackend"
        assert found["EMAIL_HOST"] == "mail.example"
    values = list(found.get("OPTIONS", found).values())
    assert all(value in values for value in ("mail.example", 587, "me", "secret", True, False, 10))


def test_debug_settings_print_emails_to_console(environment: dict[str, str]) -> None:
    found = settings_with({**environment, "DEBUG": "true"}, "EMAIL_URL", "SITE_SCHEME")
    assert list(found.values()) == ["consolemail://", "http"]
    assert "django.core.mail.backends.console.EmailBackend" in str(mail_settings("consolemail://", timeout=1))


@pytest.mark.parametrize("slashes", ["//", "///"])
def test_mail_settings_accept_absolute_folder(tmp_path: Path, slashes: str) -> None:
    found = mail_settings(f"filemail:{slashes}{tmp_path}", timeout=1)
    options = found["MAILERS"]["default"]["OPTIONS"] if django.VERSION >= (6, 1) else found
    assert str(tmp_path) in options.values()


@pytest.mark.parametrize("url", ["filemail://", "filemail:///", "filemail://tmp/mail"])
def test_mail_settings_refuse_relative_or_missing_folder(url: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="absolute path"):
        mail_settings(url, timeout=1)


def test_proxy_header_is_trusted_only_when_configured(environment: dict[str, str]) -> None:
    found = settings_with({**environment, **SAFE, "TRUST_X_FORWARDED_PROTO": "true"}, "SECURE_PROXY_SSL_HEADER")
    assert found["SECURE_PROXY_SSL_HEADER"] == ["HTTP_X_FORWARDED_PROTO", "https"]


@pytest.mark.usefixtures("acme")
@pytest.mark.django_db
def test_deployment_check_reports_nothing(environment: dict[str, str]) -> None:
    command = [sys.executable, "-W", "error", "manage.py", "check", "--deploy", "--fail-level", "WARNING"]
    done = subprocess.run(command, env={**environment, **FULL}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_missing_secret_key_is_reported_in_one_line(environment: dict[str, str]) -> None:
    command = [sys.executable, "manage.py", "check"]
    done = subprocess.run(command, env={**environment, "SECRET_KEY": ""}, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "SECRET_KEY is not set. Set it to" in done.stderr.splitlines()[-1]


def test_collected_static_files_are_hashed_and_immutable(environment: dict[str, str], tmp_path: Path) -> None:
    own = {**environment, **SAFE, "STATIC_MANIFEST": "true", "STATIC_ROOT": str(tmp_path)}
    subprocess.run(
        [sys.executable, "manage.py", "collectstatic", "--noinput"], env=own, capture_output=True, check=True
    )
    script = (
        "import django; django.setup()\n"
        "from django.templatetags.static import static\nfrom django.test import Client\n"
        "path = static('config/site.css')\n"
        "response = Client(headers={'host': 'nobody.example'}).get(path, headers={'accept-encoding': 'gzip'})\n"
        "print(path, response.status_code, response['Cache-Control'], response['Content-Encoding'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], env=own, capture_output=True, text=True, check=True
    )
    path, status, *rest = done.stdout.split(maxsplit=2)
    assert path.startswith("/static/config/site.")
    assert path != "/static/config/site.css"
    assert status == "200"
    assert "immutable" in rest[0]
    assert rest[0].strip().endswith("gzip")
