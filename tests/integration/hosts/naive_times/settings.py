"""A host with USE_TZ = False, far from UTC; its people are per organisation."""

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
    "guardian",
]
INSTALLED_APPS = SHARED_APPS + TENANT_APPS

DATABASES = databases("naive_times")
MESSAGES_EXTENDS = {"PLATFORM_SCHEMA": "t2"}
USE_TZ = False
# Half an hour off every whole one, so that no two zones are taken for each other.
TIME_ZONE = "Asia/Kolkata"
