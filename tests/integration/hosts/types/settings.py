"""A host whose tenants have types: t1 has messages, t2 has people but no messages, t3 has neither."""

from tests.integration.hosts.settings import *  # noqa: F403
from tests.integration.hosts.settings import GUARDIAN, databases

PEOPLE = ["django.contrib.auth", "django.contrib.sessions", "django.contrib.admin", "django.contrib.messages"]
HAS_MULTI_TYPE_TENANTS = True
MULTI_TYPE_DATABASE_FIELD = "type"
TENANT_TYPES = {
    "public": {
        "APPS": [
            "django_tenants",
            "tests.integration.hosts.types.tenants_of_types",
            "django.contrib.contenttypes",
            "messages_extends.broadcasts",
        ],
        "URLCONF": "tests.integration.hosts.urls",
    },
    "full": {"APPS": ["messages_extends", *PEOPLE, GUARDIAN], "URLCONF": "tests.integration.hosts.urls"},
    "plain": {"APPS": PEOPLE, "URLCONF": "tests.integration.hosts.urls"},
    "bare": {"APPS": ["tests.integration.hosts.shop"], "URLCONF": "tests.integration.hosts.urls"},
}
INSTALLED_APPS = list(dict.fromkeys(app for each in TENANT_TYPES.values() for app in each["APPS"]))

TENANT_MODEL = "tenants_of_types.Tenant"
TENANT_DOMAIN_MODEL = "tenants_of_types.Domain"
DATABASES = databases("types")
MESSAGES_EXTENDS = {"PLATFORM_SCHEMA": "t1"}
