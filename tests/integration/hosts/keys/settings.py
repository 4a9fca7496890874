"""A host whose people have UUIDs or text as primary keys: the environment variable KEY says which."""

import os

from tests.integration.hosts.settings import *  # noqa: F403
from tests.integration.hosts.settings import databases

SHARED_APPS = [
    "django_tenants",
    "tests.integration.hosts.organisations",
    "django.contrib.contenttypes",
    "messages_extends.broadcasts",
]
TENANT_APPS = [
    "tests.integration.hosts.keys.people",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.messages",
    "guardian",
    "messages_extends",
]
INSTALLED_APPS = SHARED_APPS + TENANT_APPS

AUTH_USER_MODEL = "people.Person"
DATABASES = databases(f"keys_{os.environ.get('KEY', 'uuid')}")
