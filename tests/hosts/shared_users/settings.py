"""A host whose organisations share their users: auth in SHARED_APPS, and a callable that says who belongs where."""

from tests.hosts.settings import *  # noqa: F403
from tests.hosts.settings import databases

SHARED_APPS = [
    "django_tenants",
    "tests.hosts.organisations",
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.admin",
]
TENANT_APPS = ["django.contrib.sessions", "django.contrib.messages", "messages_extends"]
INSTALLED_APPS = SHARED_APPS + TENANT_APPS

DATABASES = databases("shared_users")
MESSAGES_EXTENDS = {"MEMBERS": "tests.hosts.shared_users.members.members"}
