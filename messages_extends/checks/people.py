"""A check of the permissions to change users and groups, in each tenant; it runs with `check --database`."""

from collections.abc import Sequence
from typing import Final

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.core.checks import CheckMessage, Tags, Warning  # noqa: A004 - Django's name
from django.db.models import Q
from django_tenants.utils import get_public_schema_name, get_tenant_database_alias

from messages_extends.checks.registry import register
from messages_extends.tenancy.schemas import current_schema, in_schema, is_public, user_model_has, users_are_shared
from messages_extends.tenancy.table_location import schemas_with

# The maximum number of tenants in the message.
MAX_NAMES: Final = 5


@register(Tags.database)
def check_user_managers(databases: Sequence[str] | None = None, **_kwargs: object) -> list[CheckMessage]:
    """Report users who are not superusers but may change users or groups, and thereby get any permission."""
    has_permissions = all(map(user_model_has, ("is_superuser", "groups", "user_permissions")))
    if get_tenant_database_alias() not in (databases or ()) or not has_permissions:
        return []
    options = get_user_model()._meta
    of_groups = Q(content_type__app_label="auth", codename__in=("add_group", "change_group"))
    of_people = Q(content_type__app_label=options.app_label, codename=f"change_{options.model_name}")
    rights = Permission.objects.filter(of_groups | of_people)
    people = get_user_model()._base_manager.filter(is_superuser=False, is_active=True)
    managers = people.filter(Q(user_permissions__in=rights) | Q(groups__permissions__in=rights))
    found = []
    for schema in _schemas_with_users():
        with in_schema(schema):
            if managers.exists():
                found.append(schema)
    if not found:
        return []
    named = ", ".join(found[:MAX_NAMES]) + (f" and {len(found) - MAX_NAMES} more" if len(found) > MAX_NAMES else "")
    return [
        Warning(
            f"Users who are not superusers may change users or groups ({named}). With Django's admin they can grant "
            "themselves and others any permission, and set the password of any user.",
            hint="Revoke the permissions to add or change groups and to change users, or use forms that grant only "
            "what their user has (docs/security.md) and silence this check.",
            id="messages_extends.W062",
        )
    ]


def _schemas_with_users() -> list[str]:
    """Return the schemas with users: of all tenants, or only the current one while it is migrated."""
    public = get_public_schema_name()
    if public not in schemas_with(ContentType._meta.db_table):
        # The database is not migrated yet.
        return []
    if users_are_shared():
        return [public]
    schemas = set(schemas_with(get_user_model()._meta.db_table)) - {public}
    return sorted(schemas if is_public(here := current_schema()) else schemas & {here})
