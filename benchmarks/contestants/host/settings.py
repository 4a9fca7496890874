"""Settings for the other packages, as their documentation recommends, with the fastest options of django-tenants.

`BENCHMARK_APPS` names the package's apps, `BENCHMARK_DATABASE` its database as JSON.
"""

import json
import os

SECRET_KEY = "only for measuring"
ALLOWED_HOSTS = ["*"]
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

SHARED_APPS = ["django_tenants", "benchmarks.contestants.host", "django.contrib.contenttypes"]
TENANT_APPS = [
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.messages",
    *os.environ["BENCHMARK_APPS"].split(),
]
INSTALLED_APPS = [*SHARED_APPS, *TENANT_APPS]
TENANT_MODEL = "host.Tenant"
TENANT_DOMAIN_MODEL = "host.Domain"
DATABASE_ROUTERS = ["django_tenants.routers.TenantSyncRouter"]
# Without it every statement is two round trips; with their backend it is not safe, but nothing fails here.
TENANT_LIMIT_SET_CALLS = True
DATABASES = {
    "default": {
        **json.loads(os.environ["BENCHMARK_DATABASE"]),
        "ENGINE": "django_tenants.postgresql_backend",
        "CONN_MAX_AGE": None,
    }
}
MESSAGE_STORAGE = os.environ.get("BENCHMARK_STORAGE", "django.contrib.messages.storage.fallback.FallbackStorage")
ROOT_URLCONF = "benchmarks.contestants.host.urls"
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
