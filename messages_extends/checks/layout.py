"""Checks of SHARED_APPS and TENANT_APPS, which define the schemas that have the tables of an app.

If an app is in both lists and a tenant's table is missing, PostgreSQL uses the public one.
"""

from typing import Final

from django.apps import AppConfig, apps
from django.contrib.auth import get_user_model
from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's name

from messages_extends.checks.package_settings import platform_is_public
from messages_extends.checks.registry import register
from messages_extends.tenancy.guardian import GuardianConfig
from messages_extends.tenancy.schemas import (
    is_installed_without,
    is_per_tenant,
    is_shared,
    per_tenant_apps,
    users_are_shared,
)

OPERATORS_APPS: Final = ("auth", "sessions", "admin")


def lists_with(app_label: str) -> str:
    """Return the lists that contain an app, for a message."""
    in_lists = {"SHARED_APPS": is_shared(app_label), "TENANT_APPS": is_per_tenant(app_label)}
    return " and ".join(name for name, holds in in_lists.items() if holds) or "INSTALLED_APPS only"


@register
def check_messages_not_shared(**_kwargs: object) -> list[CheckMessage]:
    if not is_shared("messages_extends"):
        return []
    return [
        Error(
            f"messages_extends is in {lists_with('messages_extends')}: organisations would share one table.",
            hint="List it in TENANT_APPS only.",
            id="messages_extends.E001",
        )
    ]


@register
def check_messages_listed(**_kwargs: object) -> list[CheckMessage]:
    if is_shared("messages_extends") or is_per_tenant("messages_extends"):
        return []
    return [
        Error(
            "messages_extends is in INSTALLED_APPS only: no schema has its tables.",
            hint="Add it to TENANT_APPS and run migrate_schemas.",
            id="messages_extends.E002",
        )
    ]


@register
def check_guardian_per_tenant(**_kwargs: object) -> list[CheckMessage]:
    if not apps.is_installed("guardian") or (is_per_tenant("guardian") and not is_shared("guardian")):
        return []
    return [
        Error(
            f"guardian is in {lists_with('guardian')}: permissions granted in one organisation would apply in all.",
            hint="List it in TENANT_APPS only.",
            id="messages_extends.E003",
        )
    ]


@register
def check_guardian_config(**_kwargs: object) -> list[CheckMessage]:
    configs = (AppConfig.create(entry) for entry in per_tenant_apps())
    config = next((config for config in configs if config.label == "guardian"), None)
    label = get_user_model()._meta.app_label
    # Another check reports users that are in both lists by mistake.
    meant = not is_shared(label) or users_are_shared() or platform_is_public()
    if config is None or isinstance(config, GuardianConfig) or not (meant and is_installed_without(label, "guardian")):
        return []
    return [
        Warning(
            "A schema has users but not guardian's tables: deleting a user or a group there fails.",
            hint='List "messages_extends.tenancy.guardian.GuardianConfig" in TENANT_APPS instead of "guardian", and '
            "run migrate_schemas. The database then deletes guardian's rows.",
            id="messages_extends.W009",
        )
    ]


@register
def check_content_types_shared(**_kwargs: object) -> list[CheckMessage]:
    if is_shared("contenttypes") and not is_per_tenant("contenttypes"):
        return []
    return [
        Error(
            f"django.contrib.contenttypes is in {lists_with('contenttypes')}: ids would differ between schemas, and "
            "permissions would be wrong, because content types are cached per process.",
            hint="List it in SHARED_APPS only.",
            id="messages_extends.E004",
        )
    ]


@register
def check_user_apps_listed_once(**_kwargs: object) -> list[CheckMessage]:
    labels = dict.fromkeys((get_user_model()._meta.app_label, *OPERATORS_APPS))
    in_both = [label for label in labels if is_shared(label) and is_per_tenant(label)]
    if not in_both or platform_is_public():
        return []
    return [
        Error(
            f"In both SHARED_APPS and TENANT_APPS: {', '.join(in_both)}. If a tenant's table is missing, "
            "the public one is read and written instead.",
            hint="List each app once. If the platform's operators log in outside of any organisation, set "
            'MESSAGES_EXTENDS["PLATFORM_SCHEMA"] to the public schema.',
            id="messages_extends.E005",
        )
    ]


@register
def check_public_platform_users(**_kwargs: object) -> list[CheckMessage]:
    user_app = get_user_model()._meta.app_label
    if not platform_is_public() or is_shared(user_app):
        return []
    return [
        Error(
            "PLATFORM_SCHEMA is the public schema, which has no table of users.",
            hint=f"Add {user_app}, sessions and admin to SHARED_APPS as well, or set "
            'MESSAGES_EXTENDS["PLATFORM_SCHEMA"] to the schema of a tenant.',
            id="messages_extends.E006",
        )
    ]


@register
def check_public_platform_sessions(**_kwargs: object) -> list[CheckMessage]:
    if not platform_is_public() or not is_shared(get_user_model()._meta.app_label) or is_shared("sessions"):
        return []
    return [
        Error(
            "PLATFORM_SCHEMA is the public schema, which has no table of sessions: nobody can log in there.",
            hint="Add django.contrib.sessions to SHARED_APPS as well, then run create_missing_tables and "
            "migrate_schemas.",
            id="messages_extends.E082",
        )
    ]


@register
def check_sessions_per_tenant(**_kwargs: object) -> list[CheckMessage]:
    if not is_per_tenant(get_user_model()._meta.app_label) or not apps.is_installed("django.contrib.sessions"):
        return []
    if is_per_tenant("sessions"):
        return []
    return [
        Error(
            f"Users are per organisation, but django.contrib.sessions is in {lists_with('sessions')}.",
            hint="Add it to TENANT_APPS, so that every organisation has its own session table.",
            id="messages_extends.E007",
        )
    ]


@register
def check_broadcasts_shared(**_kwargs: object) -> list[CheckMessage]:
    if is_shared("broadcasts") and not is_per_tenant("broadcasts"):
        return []
    problem = (
        "every organisation would have its own broadcasts"
        if is_per_tenant("broadcasts")
        else "every inbox reads its tables, which do not exist"
    )
    return [
        Error(
            f"messages_extends.broadcasts is in {lists_with('broadcasts')}: {problem}.",
            hint='List "messages_extends.broadcasts" in SHARED_APPS only, and run migrate_schemas --shared.',
            id="messages_extends.E008",
        )
    ]
