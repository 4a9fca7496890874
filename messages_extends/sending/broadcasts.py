"""Writing to every organisation: the only code that enters the public schema in order to write there."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django_tenants.utils import get_public_schema_name, get_tenant_model

from messages_extends.access.guards import require_may_broadcast
from messages_extends.access.rate_limits import check_rate_limit
from messages_extends.broadcasts.models import Broadcast, BroadcastRecord, BroadcastTenant
from messages_extends.constants import ALL_TENANTS, INFO_PERSISTENT
from messages_extends.events.changes import notify_changed_everywhere
from messages_extends.models import audit
from messages_extends.models.audit import Action
from messages_extends.sending.cleaning import clean_bool, clean_content, require_characters
from messages_extends.sending.constraints import translate_fk_violation
from messages_extends.sending.idempotency import get_or_create_by_key
from messages_extends.sending.publications import change, end, lock, times
from messages_extends.tenancy.databases import atomic, for_write
from messages_extends.tenancy.schemas import inside, organisations


def broadcast(
    message: Any,
    *,
    to: Any,
    author: str = "",
    level: int = INFO_PERSISTENT,
    publish_at: datetime | None = None,
    expires: datetime | None = None,
    must_acknowledge: bool = False,
    sender: AbstractBaseUser | None = None,
    **text: Any,
) -> Broadcast:
    """Publish a text of the platform to organisations: one row, whatever the number of organisations and people.

    `to`: ALL_TENANTS, a tenant, or tenants. `author`: what readers see as its sender; by default the name of `sender`,
    the person of the platform who writes. The rest is as in `announce`. Call it in the public schema, or in that of
    PLATFORM_SCHEMA.

    Raises PermissionDenied anywhere else, and for a sender who may not; ValueError as `announce` does.
    """
    require_may_broadcast(sender)
    author = author or ("" if sender is None else str(sender))
    _require_author(author)
    columns = clean_content(message, level=level, **text) | times(publish_at, expires)
    with translate_fk_violation(), inside(get_public_schema_name()), atomic():
        tenants = None if to is ALL_TENANTS else _tenants(to)
        new = Broadcast(
            author=author,
            audience=Broadcast.Audience.ALL if tenants is None else Broadcast.Audience.SELECTED,
            audience_size=_organisations(tenants),
            must_acknowledge=clean_bool("must_acknowledge", must_acknowledge),
            **columns,
        )
        existing = get_or_create_by_key(new)
        if existing is None:
            check_rate_limit(sender, records=BroadcastRecord)
            BroadcastTenant.objects.bulk_create(BroadcastTenant(broadcast=new, tenant=each) for each in tenants or [])
            _record(Action.BROADCAST, new, sender)
    if existing is None:
        notify_changed_everywhere(None if tenants is None else [tenant.schema_name for tenant in tenants])
    return existing or new


def revise_broadcast(
    publication: Broadcast, *, sender: AbstractBaseUser | None = None, show_again: bool = False, **changes: Any
) -> Broadcast:
    """Change a broadcast that has not ended: seen by the next request of everyone everywhere; see `api.revise`."""
    require_may_broadcast(sender, "change")
    with inside(get_public_schema_name()), atomic():
        locked = lock(publication)
        check_rate_limit(sender, records=BroadcastRecord)
        change(locked, changes, show_again=show_again)
        _record(Action.REVISE, locked, sender)
    notify_changed_everywhere(_schemas(locked))
    return locked


def retract_broadcast(publication: Broadcast, *, sender: AbstractBaseUser | None = None) -> Broadcast:
    """Take a broadcast away from every organisation at once; doing it again changes nothing."""
    require_may_broadcast(sender, "change")
    with inside(get_public_schema_name()), atomic():
        locked = lock(publication)
        has_ended = end(locked)
        if has_ended:
            _record(Action.RETRACT, locked, sender)
    if has_ended:
        notify_changed_everywhere(_schemas(locked))
    return locked


def _schemas(publication: Broadcast) -> list[str] | None:
    """Return the schemas of the organisations that a broadcast is for; None for all."""
    if publication.audience == Broadcast.Audience.ALL:
        return None
    return list(for_write(publication.tenants.order_by("schema_name")).values_list("schema_name", flat=True))


def _tenants(to: Any) -> list[Any]:
    """Return the organisations that `to` names; ValueError if there are none, TypeError if it names something else."""
    model = get_tenant_model()
    tenants = list(to) if isinstance(to, Iterable) and not isinstance(to, str | bytes) else [to]
    for tenant in tenants:
        if not isinstance(tenant, model) or tenant.pk is None:
            raise TypeError(f"to contains {tenant!r}: use ALL_TENANTS, a tenant, or tenants that are saved.")
    if not tenants:
        raise ValueError("to is empty, which would reach nobody: name tenants, or ALL_TENANTS.")
    return list({tenant.pk: tenant for tenant in tenants}.values())


def _organisations(tenants: list[Any] | None) -> int:
    if tenants is not None:
        return len(tenants)
    return for_write(organisations()).count()


def _require_author(author: str) -> None:
    require_characters("author", author)
    if len(author) > 200:
        raise ValueError(f"author has {len(author)} characters; at most 200 are allowed.")


def _record(action: Action, publication: Broadcast, actor: AbstractBaseUser | None) -> None:
    schemas = _schemas(publication)
    audit.log_event(
        action,
        actor=actor,
        subject=f"broadcast {publication.pk}",
        audience="all organisations" if schemas is None else ", ".join(schemas),
        count=publication.audience_size if action is Action.BROADCAST else None,
        text="" if action is Action.RETRACT else publication.message,
        keep_text=True,
        into=BroadcastRecord,
    )
