"""A product in use: its tenants were made when content types were in both lists, and keep tables of their own."""

from tests.integration.hosts.settings import *  # noqa: F403
from tests.integration.hosts.settings import databases

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
    "tests.integration.hosts.shop",
    "guardian",
]
INSTALLED_APPS = SHARED_APPS + TENANT_APPS

DATABASES = databases("live")
# Its history has people who may change groups.
SILENCED_SYSTEM_CHECKS = ["messages_extends.W062"]
