"""The one settings module: every value that differs between machines comes from the environment.

`run.py demo`, `run.py test` and `run.py serve` set that environment; docs/reference/settings.md lists it.
"""

from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

from config.mail import mail_settings

env = environ.Env()

BASE_DIR = Path(__file__).resolve().parent.parent

DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env.str("SECRET_KEY", default="")
if not SECRET_KEY:
    raise ImproperlyConfigured(
        "SECRET_KEY is not set. Set it to at least 50 random characters, for example the output of: "
        'python3 -c "import secrets; print(secrets.token_urlsafe(50))"'
    )
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])

# Organisations are at <name>.BASE_DOMAIN; the base domain is the public landing page.
BASE_DOMAIN = env.str("BASE_DOMAIN", default="localhost").lower()
# The scheme and the port of links in e-mails; the port only if it is not the default of the scheme.
SITE_SCHEME = env.str("SITE_SCHEME", default="http" if DEBUG else "https")
SITE_PORT = env.str("SITE_PORT", default="")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[BASE_DOMAIN, f".{BASE_DOMAIN}"])

# The schema of each app. Content types are in public only, so that their ids are the same in every schema. Users,
# sessions and permissions are in the tenants only, so that a missing table is an error instead of a read from public.
SHARED_APPS = [
    "tenants",
    "django_tenants",
    "django.contrib.contenttypes",
    "django.contrib.staticfiles",
    "messages_extends.broadcasts",
    "config",
]
TENANT_APPS = [
    "tenants.people",
    "messages_extends",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.admin",
    "guardian",
]
# The first app with a command or a template of a name wins. django_tenants therefore comes after `tenants`, whose
# `migrate` and `migrate_schemas` take a lock, and after the admin, whose start page it would replace by one with inline
# styles.
INSTALLED_APPS = [*TENANT_APPS, *SHARED_APPS]

TENANT_MODEL = "tenants.Tenant"
TENANT_DOMAIN_MODEL = "tenants.Domain"
DATABASE_ROUTERS = ["django_tenants.routers.TenantSyncRouter"]
database = env.db_url("DATABASE_URL", engine="messages_extends.tenancy.backend")
DATABASES = {
    "default": {
        **database,
        # A pool cannot be combined with persistent connections.
        "CONN_MAX_AGE": 0,
        # It costs a round trip per request. Without it, each connection that a restarted server has closed causes an
        # error page.
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            # The options in the URL's query string: sslmode, application_name, ...
            **database.get("OPTIONS", {}),
            "pool": {
                "min_size": env.int("DATABASE_POOL_MIN", default=1),
                "max_size": env.int("DATABASE_POOL_MAX", default=20),
                "timeout": env.int("DATABASE_POOL_TIMEOUT", default=10),
            },
        },
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

MIDDLEWARE = [
    # Before all middleware that uses the host name or redirects, because probes send no host name and follow no
    # redirects.
    "tenants.middleware.HealthMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "config.middleware.Utf8Middleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    # Before the tenant's lookup, so that a static file needs no query.
    "config.static_files.StaticFilesMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "tenants.middleware.TenantMiddleware",
    "tenants.middleware.TimeZoneMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
        "object-src": ["'none'"],
    }
}

ROOT_URLCONF = "config.urls"
PUBLIC_SCHEMA_URLCONF = "config.urls_public"
ASGI_APPLICATION = "config.asgi.application"
WSGI_APPLICATION = "config.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "config" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]

AUTH_USER_MODEL = "people.User"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "guardian.backends.ObjectPermissionBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "login"
PASSWORD_RESET_TIMEOUT = env.int("PASSWORD_RESET_TIMEOUT", default=24 * 60 * 60)
INVITATION_TIMEOUT = env.int("INVITATION_TIMEOUT", default=7 * 24 * 60 * 60)
# The failed logins that are allowed per account and per address within a number of seconds, in each organisation.
LOGIN_FAILURES_PER_ACCOUNT = env.int("LOGIN_FAILURES_PER_ACCOUNT", default=10)
LOGIN_FAILURES_PER_ADDRESS = env.int("LOGIN_FAILURES_PER_ADDRESS", default=100)
LOGIN_FAILURES_SECONDS = env.int("LOGIN_FAILURES_SECONDS", default=15 * 60)
# The password links and invitations that are allowed per mailbox and per address.
EMAILS_PER_ACCOUNT = env.int("EMAILS_PER_ACCOUNT", default=5)
EMAILS_PER_ADDRESS = env.int("EMAILS_PER_ADDRESS", default=50)
EMAILS_SECONDS = env.int("EMAILS_SECONDS", default=60 * 60)
# The permissions of the group "Administrators" of a new organisation.
TENANTS_ADMIN_PERMISSIONS = [
    *(f"people.{action}_user" for action in ("view", "add", "change", "delete")),
    *(f"auth.{action}_group" for action in ("view", "add", "change", "delete")),
    "people.send_message",
    "auth.send_group_message",
    *(f"messages_extends.{action}_announcement" for action in ("view", "add", "change")),
]
# Whose people run the platform, and what their administrators may do beside that.
TENANTS_PLATFORM_SCHEMA = "platform"
TENANTS_PLATFORM_PERMISSIONS = [
    *(f"broadcasts.{action}_broadcast" for action in ("view", "add", "change")),
    "broadcasts.view_broadcastrecord",
    *(f"tenants.{action}_tenant" for action in ("view", "add", "change")),
]
# The organisation whose people run the others: its pages make and suspend them.
TENANTS_PLATFORM_SCHEMA = "platform"
# guardian's anonymous user would be a row in every tenant, cached across them.
ANONYMOUS_USER_NAME = None

SESSION_ENGINE = "messages_extends.tenancy.sessions"
# A cookie for the domain would be sent to all organisations. The prefix makes browsers enforce that, so that the host
# of one organisation cannot set cookies of another; it requires HTTPS.
SESSION_COOKIE_DOMAIN = None
CSRF_COOKIE_DOMAIN = None
SECURE_COOKIES = env.bool("SECURE_COOKIES", default=not DEBUG)
SESSION_COOKIE_SECURE = SECURE_COOKIES
CSRF_COOKIE_SECURE = SECURE_COOKIES
SESSION_COOKIE_NAME = "__Host-sessionid" if SECURE_COOKIES else "sessionid"
CSRF_COOKIE_NAME = "__Host-csrftoken" if SECURE_COOKIES else "csrftoken"
# No wildcard for the base domain, because all organisations would trust each other.
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])

SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", default=False)
SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", default=0)
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = env.bool("SECURE_HSTS_SUBDOMAINS", default=False)
# Only behind a proxy that sets this header on every request, because otherwise clients could set it.
if env.bool("TRUST_X_FORWARDED_PROTO", default=False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# smtp+tls://user:password@host:587 and similar URLs. Without one, e-mails are printed to the console while DEBUG is on.
# The timeout is short, because a user waits for the page that sends an e-mail.
EMAIL_URL = env.str("EMAIL_URL", default="consolemail://" if DEBUG else "smtp://localhost:25")
vars().update(mail_settings(EMAIL_URL, timeout=env.int("EMAIL_TIMEOUT", default=10)))
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default=f"no-reply@{BASE_DOMAIN}")
SERVER_EMAIL = env.str("SERVER_EMAIL", default=DEFAULT_FROM_EMAIL)

MESSAGE_STORAGE = "messages_extends.storages.FallbackStorage"
MESSAGES_EXTENDS: dict[str, Any] = {"PLATFORM_SCHEMA": TENANTS_PLATFORM_SCHEMA}
# Live updates use PostgreSQL, or Redis for more traffic (docs/how-to/live.md).
if REDIS_URL := env.str("REDIS_URL", default=""):
    MESSAGES_EXTENDS |= {"PUSH_BUS": "messages_extends.events.redis.RedisBus", "PUSH_REDIS_URL": REDIS_URL}

LANGUAGE_CODE = "en"
# The languages with catalogues; the browser's preference selects one.
LANGUAGES = [("en", "English"), ("es", "Español"), ("de", "Deutsch")]
TIME_ZONE = env.str("TIME_ZONE", default="UTC")
USE_TZ = True

# In the memory of each process. Keys contain the schema, so that organisations share none.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "KEY_FUNCTION": "django_tenants.cache.make_key",
        "REVERSE_KEY_FUNCTION": "django_tenants.cache.reverse_key",
    }
}
# Administrators may change groups and users; tenants/people/admin.py limits them to permissions that they hold.
SILENCED_SYSTEM_CHECKS = ["messages_extends.W062"]

STATIC_URL = "/static/"
STATIC_ROOT = env.path("STATIC_ROOT", default=BASE_DIR / "staticfiles")
STATICFILES_DIRS = [BASE_DIR / "config" / "static"]
# With it, static files have a hash in their name and are cached permanently; it requires `collectstatic`. Without it,
# they are served from their source folders.
STATIC_MANIFEST = env.bool("STATIC_MANIFEST", default=False)
WHITENOISE_USE_FINDERS = not STATIC_MANIFEST
WHITENOISE_AUTOREFRESH = not STATIC_MANIFEST
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if STATIC_MANIFEST
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"schema": {"()": "tenants.logs.SchemaFilter"}},
    "formatters": {"line": {"format": "{asctime} {levelname} [{schema}] {name}: {message}", "style": "{"}},
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["schema"]},
    },
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", default="INFO")},
    # These loggers have their own handlers, whose lines would not contain the schema.
    "loggers": {
        name: {"handlers": [], "propagate": True}
        for name in ("django", "django.server", "uvicorn", "uvicorn.error", "uvicorn.access")
    },
}
