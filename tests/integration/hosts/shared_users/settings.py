"""A host whose organisations share their users: auth in SHARED_APPS, and a callable that says who belongs where."""

from tests.integration.hosts.settings import *  # noqa: F403
from tests.integration.hosts.settings import GUARDIAN, databases

SHARED_APPS = [
    "django_tenants",
    "tests.integration.hosts.organisations",
    "django.contrib.contenttypes",
    "messages_extends.broadcasts",
    "django.contrib.auth",
    "django.contrib.admin",
]
TENANT_APPS = ["django.contrib.sessions", "django.contrib.messages", GUARDIAN, "messages_extends"]
INSTALLED_APPS = TENANT_APPS + SHARED_APPS

DATABASES = databases("shared_users")
MESSAGES_EXTENDS = {"MEMBERS": "tests.integration.hosts.shared_users.members.members"}
