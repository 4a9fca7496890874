"""A host whose organisations are folders of one host name: /clients/t1/, /clients/t2/."""

from tests.integration.hosts.settings import *  # noqa: F403
from tests.integration.hosts.settings import MIDDLEWARE, databases

SHARED_APPS = [
    "django_tenants",
    "tests.integration.hosts.organisations",
    "django.contrib.contenttypes",
    "messages_extends.broadcasts",
]
TENANT_APPS = [
    "messages_extends",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.admin",
    "django.contrib.messages",
    "guardian",
]
INSTALLED_APPS = SHARED_APPS + TENANT_APPS

TENANT_SUBFOLDER_PREFIX = "clients"
MIDDLEWARE = [
    "django_tenants.middleware.TenantSubfolderMiddleware",
    "messages_extends.tenancy.middleware.SubfolderSessionMiddleware",
    *MIDDLEWARE[2:],
]
LOGIN_URL = "admin:login"
DATABASES = databases("folders")
