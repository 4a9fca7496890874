"""A host that reads from a streaming replica, as docs/how-to/connections.md has it."""

import os

import environ

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

REPLICA: dict[str, object] = {
    **environ.Env.db_url_config(os.environ["REPLICA_URL"], engine="messages_extends.tenancy.backend"),
    # It has the test database under the same name.
    "TEST": {"MIRROR": "default"},
}
DATABASES = {
    **databases("replica"),
    "replica": REPLICA,
    # What a host has that does not read our pages: the same server, by django-tenants' own backend.
    "plain": {**REPLICA, "ENGINE": "django_tenants.postgresql_backend"},
}
DATABASE_ROUTERS = ["tests.integration.hosts.replica.routers.ReplicaRouter", "django_tenants.routers.TenantSyncRouter"]
MESSAGES_EXTENDS = {"PLATFORM_SCHEMA": "t2"}
