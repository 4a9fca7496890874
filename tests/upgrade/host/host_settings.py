"""Settings of a host project, before and after it moved from django-messages-extends to us.

HOST_LAYOUT says which: `published-tenants` and `published-shared` use django-messages-extends 0.6.3 in every tenant
and in public; `tenants`, `own-users` (people moved into the tenants) and `shared-users` use what this repository makes.
The server is libpq's own environment (PGHOST, ...).
"""

import os

LAYOUT = os.environ["HOST_LAYOUT"]
PUBLISHED = LAYOUT.startswith("published")
USERS_ARE_SHARED = LAYOUT in {"published-shared", "shared-users"}

SECRET_KEY = "only for tests: " + "0123456789" * 5
ALLOWED_HOSTS = ["*"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True

_users = ["django.contrib.auth"]
_messages = ["django.contrib.messages", "messages_extends"]
SHARED_APPS = ["django_tenants", "shop", "django.contrib.contenttypes"]
TENANT_APPS = ["django.contrib.sessions"]
(SHARED_APPS if USERS_ARE_SHARED else TENANT_APPS).extend(_users)
(SHARED_APPS if LAYOUT == "published-shared" else TENANT_APPS).extend(_messages)
if not PUBLISHED:
    TENANT_APPS.append("guardian")
    SHARED_APPS.append("messages_extends.broadcasts")
INSTALLED_APPS = SHARED_APPS + TENANT_APPS

TENANT_MODEL = "shop.Customer"
TENANT_DOMAIN_MODEL = "shop.Domain"
DATABASE_ROUTERS = ["django_tenants.routers.TenantSyncRouter"]
DATABASES = {
    "default": {
        "ENGINE": "django_tenants.postgresql_backend" if PUBLISHED else "messages_extends.tenancy.backend",
        "NAME": os.environ["PGDATABASE"],
    }
}

ROOT_URLCONF = "shop.urls"
MIDDLEWARE = [
    "django_tenants.middleware.main.TenantMainMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
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
            ]
        },
    }
]
MESSAGE_STORAGE = "messages_extends.storages.FallbackStorage"
# Also keeps DEBUG_PERSISTENT, whatever its number.
MESSAGE_LEVEL = 1

if not PUBLISHED:
    SESSION_ENGINE = "messages_extends.tenancy.sessions"
    AUTHENTICATION_BACKENDS = [
        "django.contrib.auth.backends.ModelBackend",
        "guardian.backends.ObjectPermissionBackend",
    ]
    ANONYMOUS_USER_NAME = None
    MESSAGES_EXTENDS = {"MEMBERS": "shop.models.members"} if USERS_ARE_SHARED else {}
