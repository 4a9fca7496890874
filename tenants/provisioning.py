"""Create, suspend, resume and remove organisations. No other code does.

An organisation is a row, a schema with its tables, a domain, a group and a first user. They are created and deleted
together.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import OperationalError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django_tenants.utils import (
    get_public_schema_name,
    quote_schema_name,
    schema_context,
    schema_exists,
)

from tenants.database import connection
from tenants.locks import migration_lock
from tenants.models import Domain, Tenant
from tenants.names import host_for

ADMINISTRATORS: Final = "Administrators"
DROP_LOCK_TIMEOUT: Final = "2s"
DROP_ATTEMPTS: Final = 10
DROP_PAUSE: Final = 0.5

Progress = Callable[[str], None]


class ProvisioningError(Exception):
    """The organisation could not be created, changed or removed; the message tells the operator why."""


@dataclass(frozen=True, kw_only=True)
class Administrator:
    """The first user of an organisation; without a password they set one by a link."""

    email: str
    name: str = ""
    password: str | None = None


def create_organisation(
    schema: str,
    *,
    name: str,
    administrator: Administrator,
    time_zone: str = "",
    progress: Progress = lambda step: None,
) -> Tenant:
    """Create an organisation that is ready for its first administrator, or nothing at all.

    Row, domain and empty schema are committed first, not ready yet, so that the host responds with 503. The tables
    follow, and then, in one transaction, the group, the user and the mark that it is ready. An error undoes all of it.
    If this process is killed, the row that is not ready remains, and the next attempt with the same name starts from
    scratch.

    Raises ProvisioningError if the name, the user or a permission in TENANTS_ADMIN_PERMISSIONS is invalid. It commits,
    so it cannot run inside `transaction.atomic`.
    """
    _check(schema, name, administrator, time_zone)
    with migration_lock(lambda: progress(_("Waiting for another migration to finish"))), _in_public():
        # No other process is creating it while this one holds the lock: an incomplete row remains from a killed
        # process.
        _remove_half_made(schema, progress)
        tenant = _start(schema, name, time_zone)
        try:
            progress(_("Creating the tables"))
            call_command("migrate_schemas", schema_name=schema, tenant=True, interactive=False, verbosity=0)
            progress(_("Creating the first administrator"))
            _finish(tenant, administrator)
        except BaseException:
            progress(_("Something went wrong. Undoing the changes"))
            _drop(tenant)
            raise
    progress(_("Ready"))
    return tenant


def suspend_organisation(tenant: Tenant) -> None:
    """Respond to all requests to this organisation with 503 from now on; its data is kept."""
    with _in_public():
        Tenant.objects.filter(pk=tenant.pk, suspended_at__isnull=True).update(suspended_at=timezone.now())
        tenant.refresh_from_db()


def resume_organisation(tenant: Tenant) -> None:
    """Serve requests to this organisation again."""
    with _in_public():
        Tenant.objects.filter(pk=tenant.pk).update(suspended_at=None)
        tenant.refresh_from_db()


def remove_organisation(tenant: Tenant, progress: Progress = lambda step: None) -> None:
    """Delete the organisation and all of its data; it is suspended first.

    Dropping the schema locks the shared tables to which it refers. It waits for these locks for two seconds at a time
    only, because requests of all other organisations would queue behind it.
    """
    suspend_organisation(tenant)
    with migration_lock(lambda: progress(_("Waiting for another migration to finish"))):
        for attempt in range(1, DROP_ATTEMPTS + 1):
            progress(_("Removing (attempt %(attempt)d of %(limit)d)") % {"attempt": attempt, "limit": DROP_ATTEMPTS})
            try:
                _drop(tenant)
            except OperationalError as error:
                if attempt == DROP_ATTEMPTS:
                    raise ProvisioningError(
                        _("“%(schema)s” is in use; it is suspended now. Try again later.")
                        % {"schema": tenant.schema_name}
                    ) from error
                time.sleep(DROP_PAUSE)
            else:
                return


def one_line(text: str) -> str:
    """Return a name without line breaks, because it is used in the subjects of e-mails."""
    return " ".join(text.split())


def _check(schema: str, name: str, administrator: Administrator, time_zone: str) -> None:
    """Validate the arguments before anything is created."""
    if connection().in_atomic_block:
        raise ProvisioningError("An organisation cannot be made inside a transaction: its tables are committed.")
    malformed = [permission for permission in _permissions_of(schema) if permission.count(".") != 1]
    if malformed:
        raise ProvisioningError(_unknown_permissions(malformed))
    try:
        Tenant(schema_name=schema, name=one_line(name), time_zone=time_zone).clean_fields()
        _unsaved(administrator).clean_fields(exclude=["password"])
        if administrator.password is not None:
            validate_password(administrator.password, _unsaved(administrator))
    except ValidationError as error:
        raise ProvisioningError(" ".join(error.messages)) from error


def _unsaved(administrator: Administrator) -> Any:
    return get_user_model()(email=administrator.email, name=administrator.name)


def _in_public() -> schema_context:
    return schema_context(get_public_schema_name())


def _remove_half_made(schema: str, progress: Progress) -> None:
    tenant = Tenant.objects.filter(schema_name=schema).first()
    if tenant is None:
        return
    if tenant.is_ready:
        raise ProvisioningError(_("An organisation “%(schema)s” already exists.") % {"schema": schema})
    progress(_("Removing what an interrupted attempt left behind"))
    _drop(tenant)


def _start(schema: str, name: str, time_zone: str) -> Tenant:
    """Commit row, domain and empty schema together: schemas without a row are never changed."""
    if schema_exists(schema):
        raise ProvisioningError(
            _("The database has a schema “%(schema)s” that belongs to no organisation. Choose another short name.")
            % {"schema": schema}
        )
    with transaction.atomic():
        tenant = Tenant(schema_name=schema, name=one_line(name), time_zone=time_zone)
        tenant.save()
        Domain(tenant=tenant, domain=host_for(schema), is_primary=True).save()
        _execute(f"CREATE SCHEMA {quote_schema_name(schema)}")
    return tenant


def _finish(tenant: Tenant, administrator: Administrator) -> None:
    with schema_context(tenant.schema_name), transaction.atomic():
        group, _created = Group.objects.get_or_create(name=ADMINISTRATORS)
        group.permissions.set(_admin_permissions(tenant.schema_name))
        person = get_user_model().objects.create_user(
            administrator.email, administrator.password, name=administrator.name, is_staff=True
        )
        person.groups.add(group)
        tenant.ready_at = timezone.now()
        tenant.save(update_fields=["ready_at"])


def _permissions_of(schema: str) -> list[str]:
    """Return the permissions of an organisation's administrators; those of the platform have more."""
    platform = settings.TENANTS_PLATFORM_PERMISSIONS if schema == settings.TENANTS_PLATFORM_SCHEMA else []
    return [*settings.TENANTS_ADMIN_PERMISSIONS, *platform]


def _admin_permissions(schema: str) -> list[Permission]:
    """Return these permissions in the current schema: their keys differ in each."""
    wanted = set(_permissions_of(schema))
    found = {
        f"{permission.content_type.app_label}.{permission.codename}": permission
        for permission in Permission.objects.select_related("content_type")
    }
    missing = sorted(wanted - set(found))
    if missing:
        raise ProvisioningError(_unknown_permissions(missing))
    return [found[permission] for permission in wanted]


def _unknown_permissions(names: list[str]) -> str:
    setting = "TENANTS_ADMIN_PERMISSIONS or TENANTS_PLATFORM_PERMISSIONS"
    return _("%(setting)s names permissions that do not exist: %(names)s.") % {
        "setting": setting,
        "names": ", ".join(names),
    }


def _drop(tenant: Tenant) -> None:
    """Drop the schema and delete the row in one transaction; give up if a lock is not available soon."""
    with _in_public(), transaction.atomic():
        _execute(f"SET LOCAL lock_timeout = '{DROP_LOCK_TIMEOUT}'")
        _execute(f"DROP SCHEMA IF EXISTS {quote_schema_name(tenant.schema_name)} CASCADE")
        Tenant.objects.filter(pk=tenant.pk).delete()


def _execute(statement: str) -> None:
    with connection().cursor() as cursor:
        cursor.execute(statement)
