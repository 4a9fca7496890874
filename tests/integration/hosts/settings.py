"""What both host projects have in common: a small SaaS of somebody else's, with nothing of config or tenants in it.

Its users are Django's own, its tenant middleware django-tenants' own, and it has neither pool nor ASGI.
"""

import os

import environ

SECRET_KEY = os.environ["SECRET_KEY"]
ALLOWED_HOSTS = [".example.com"]
ROOT_URLCONF = "tests.integration.hosts.urls"

TENANT_MODEL = "organisations.Tenant"
TENANT_DOMAIN_MODEL = "organisations.Domain"
DATABASE_ROUTERS = ["django_tenants.routers.TenantSyncRouter"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "auth.User"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "guardian.backends.ObjectPermissionBackend",
]
ANONYMOUS_USER_NAME = None
# Both hosts have users in public.
GUARDIAN = "messages_extends.tenancy.guardian.GuardianConfig"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def databases(test_name: str) -> dict[str, object]:
    """Return DATABASES with a test database of its own, so that a run beside that of the main suite is left alone."""
    database = environ.Env().db_url("DATABASE_URL", engine="messages_extends.tenancy.backend")
    return {"default": {**database, "TEST": {"NAME": f"test_{database['NAME']}_{test_name}"}}}


MIDDLEWARE = [
    "django_tenants.middleware.main.TenantMainMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
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
SESSION_ENGINE = "messages_extends.tenancy.sessions"
MESSAGE_STORAGE = "messages_extends.storages.FallbackStorage"
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "KEY_FUNCTION": "django_tenants.cache.make_key",
    }
}
STATIC_URL = "static/"
USE_TZ = True
