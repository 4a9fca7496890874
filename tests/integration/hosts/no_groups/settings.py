"""A host whose user model has no groups: it lacks Django's PermissionsMixin."""

from tests.integration.hosts.settings import *  # noqa: F403
from tests.integration.hosts.settings import databases

SHARED_APPS = [
    "django_tenants",
    "tests.integration.hosts.organisations",
    "django.contrib.contenttypes",
    "messages_extends.broadcasts",
]
TENANT_APPS = [
    "tests.integration.hosts.no_groups.people",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.messages",
    "guardian",
    "messages_extends",
]
INSTALLED_APPS = SHARED_APPS + TENANT_APPS

ROOT_URLCONF = "tests.integration.hosts.no_groups.urls"
AUTH_USER_MODEL = "people.Person"
AUTHENTICATION_BACKENDS = ["guardian.backends.ObjectPermissionBackend"]
DATABASES = databases("no_groups")
