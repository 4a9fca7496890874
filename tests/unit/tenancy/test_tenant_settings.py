"""Settings of django-tenants that are read once."""

from django.conf import settings
from django.test import override_settings

from messages_extends.tenancy.schemas import is_public, users_are_shared
from messages_extends.tenancy.tenant_settings import has_tenant_types, public_schema, tenant_database


def test_settings_of_django_tenants_have_its_defaults() -> None:
    assert (tenant_database(), public_schema(), has_tenant_types()) == ("default", "public", False)


def test_overridden_settings_are_read_again_and_so_are_restored_ones() -> None:
    with override_settings(TENANT_DB_ALIAS="other", PUBLIC_SCHEMA_NAME="shared", HAS_MULTI_TYPE_TENANTS=True):
        assert (tenant_database(), public_schema(), has_tenant_types()) == ("other", "shared", True)
        assert is_public("shared")
    assert (tenant_database(), public_schema(), has_tenant_types()) == ("default", "public", False)
    assert not is_public("shared")


def test_users_are_shared_follows_overridden_app_lists() -> None:
    apps = [*settings.TENANT_APPS]
    people = [app for app in apps if "people" in app]
    assert not users_are_shared()
    with override_settings(
        SHARED_APPS=[*settings.SHARED_APPS, *people], TENANT_APPS=[app for app in apps if app not in people]
    ):
        assert users_are_shared()
    assert not users_are_shared()
