"""A host with django-tenant-users: users are shared, their permissions and groups are each tenant's own."""

from tests.integration.hosts.settings import *  # noqa: F403
from tests.integration.hosts.settings import GUARDIAN, databases

SHARED_APPS = [
    "django_tenants",
    "django.contrib.contenttypes",
    "messages_extends.broadcasts",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.admin",
    "tenant_users.permissions",
    "tenant_users.tenants",
    "tests.integration.hosts.tenant_users.companies",
    "tests.integration.hosts.tenant_users.users",
]
TENANT_APPS = [
    "django.contrib.auth",
    "tenant_users.permissions",
    "django.contrib.messages",
    GUARDIAN,
    "messages_extends",
]
# Before the admin.
INSTALLED_APPS = ["messages_extends", *SHARED_APPS]
INSTALLED_APPS += [app for app in TENANT_APPS if app not in INSTALLED_APPS]

TENANT_MODEL = "companies.Company"
TENANT_DOMAIN_MODEL = "companies.Domain"
TENANT_USERS_DOMAIN = "example.com"
AUTH_USER_MODEL = "users.TenantUser"
AUTHENTICATION_BACKENDS = [
    "tenant_users.permissions.backend.UserBackend",
    "guardian.backends.ObjectPermissionBackend",
]

DATABASES = databases("tenant_users")
MESSAGES_EXTENDS = {"MEMBERS": "tests.integration.hosts.tenant_users.members.members", "PLATFORM_SCHEMA": "public"}
# Groups lie at a model of each organisation: none is written to.
SILENCED_SYSTEM_CHECKS = ["messages_extends.W091"]
