"""Who may change what others may do: looked up in each organisation, with `check --database`."""

from collections.abc import Sequence
from typing import Final

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.core.checks import CheckMessage, Tags, Warning, register  # noqa: A004 - Django's name
from django.db.models import Q
from django_tenants.utils import get_public_schema_name, get_tenant_database_alias

from messages_extends.tenancy.schemas import current_schema, inside, is_public, user_model_has, users_are_shared
from messages_extends.tenancy.table_location import schemas_with

# How many organisations a report names.
NAMED: Final = 5


@register(Tags.database)
def only_superusers_change_groups(databases: Sequence[str] | None = None, **_kwargs: object) -> list[CheckMessage]:
    """Find people who are no superusers and may change groups or people: by Django's forms, they can take any right."""
    has_permissions = all(map(user_model_has, ("is_superuser", "groups", "user_permissions")))
    if get_tenant_database_alias() not in (databases or ()) or not has_permissions:
        return []
    found = [schema for schema in _schemas_with_people() if _has_such_people(schema)]
    if not found:
        return []
    named = ", ".join(found[:NAMED]) + (f" and {len(found) - NAMED} more" if len(found) > NAMED else "")
    return [
        Warning(
            f"Somebody who is no superuser may change groups or people ({named}). The forms of Django's admin let them "
            "give permissions that they do not hold, to themselves as well, and set anybody's password.",
            hint="Take the permissions to add or change groups and to change users away, or use forms that give no "
            "more than their user holds (docs/security.md) and silence this.",
            id="messages_extends.W062",
        )
    ]


def _schemas_with_people() -> list[str]:
    """Return where to look: in all organisations, or in the one that is being migrated, which asks for each anew."""
    public = get_public_schema_name()
    if public not in schemas_with(ContentType._meta.db_table):
        # Nothing is migrated yet.
        return []
    if users_are_shared():
        return [public]
    schemas = set(schemas_with(get_user_model()._meta.db_table)) - {public}
    return sorted(schemas if is_public(here := current_schema()) else schemas & {here})


def _has_such_people(schema: str) -> bool:
    options = get_user_model()._meta
    of_groups = Q(content_type__app_label="auth", codename__in=("add_group", "change_group"))
    of_people = Q(content_type__app_label=options.app_label, codename=f"change_{options.model_name}")
    with inside(schema):
        rights = Permission.objects.filter(of_groups | of_people)
        people = get_user_model()._base_manager.filter(is_superuser=False, is_active=True)
        found = people.filter(Q(user_permissions__in=rights) | Q(groups__permissions__in=rights)).exists()
    return bool(found)
