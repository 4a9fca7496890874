"""A host whose platform is run from the public schema: auth, sessions and admin in both lists."""

from tests.integration.hosts.settings import *  # noqa: F403
from tests.integration.hosts.settings import GUARDIAN, databases

PEOPLE = ["django.contrib.auth", "django.contrib.sessions", "django.contrib.admin"]
SHARED_APPS = [
    "django_tenants",
    "tests.integration.hosts.organisations",
    "django.contrib.contenttypes",
    "messages_extends.broadcasts",
    *PEOPLE,
]
TENANT_APPS = ["messages_extends", *PEOPLE, "django.contrib.messages", GUARDIAN]
INSTALLED_APPS = TENANT_APPS + [app for app in SHARED_APPS if app not in TENANT_APPS]

DATABASES = databases("operators")
MESSAGES_EXTENDS = {"PLATFORM_SCHEMA": "public"}
