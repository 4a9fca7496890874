"""Broadcasts of the platform to its organisations. The tables are in the public schema; every tenant can read them.

Triggers forbid writes while the current schema is that of a tenant.
"""

from collections.abc import Iterable
from functools import partial
from typing import Any, ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import Count, Exists, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_lazy as _
from django_tenants.utils import get_public_schema_name, get_tenant_model

from messages_extends.constants import ALL_TENANTS
from messages_extends.events.changes import notify_changed_everywhere
from messages_extends.models.audit import Action, BaseAuditRecord
from messages_extends.models.publication import CurrentAudience, Publication, PublicationQuerySet, as_list
from messages_extends.tenancy.databases import using_primary


class BroadcastQuerySet(PublicationQuerySet):
    """Broadcasts, which can be read from any schema."""

    def addressed_to(self, schema: str) -> Self:
        """Filter by broadcasts to all organisations, or to the current one."""
        # By schema name, because the tenant of `schema_context` has no primary key.
        chosen = Broadcast.tenants.through._default_manager.filter(
            broadcast_id=OuterRef("pk"), tenant__schema_name=schema
        )
        return self.filter(Q(audience=Broadcast.Audience.ALL) | Q(Exists(chosen), audience="selected"))

    def with_chosen(self) -> Self:
        """Annotate `chosen`, the number of organisations in the current audience; 0 if it is all organisations."""
        rows = Broadcast.tenants.through._default_manager.filter(broadcast_id=OuterRef("pk")).order_by()
        number = rows.values("broadcast_id").annotate(number=Count("pk")).values("number")
        return self.annotate(chosen=Coalesce(Subquery(number), 0))


class BroadcastRecord(BaseAuditRecord):
    """A record of an audit event on the platform."""

    class Meta(BaseAuditRecord.Meta):
        app_label = "broadcasts"
        verbose_name = _("audit record")
        verbose_name_plural = _("audit records")
        ordering = ["-id"]
        default_permissions = ("view",)


class Broadcast(Publication):
    """A publication of the platform to all of its organisations, or to some.

    If the last chosen organisation is deleted, the audience is empty, not everybody.
    """

    class Audience(models.TextChoices):
        ALL = "all", _("all organisations")
        SELECTED = "selected", _("chosen organisations")

    kind = "broadcast"
    action = Action.BROADCAST
    records = BroadcastRecord
    for_everybody = Audience.ALL
    for_chosen = Audience.SELECTED
    sender: ClassVar[Any] = None

    # Text, because a foreign key to a user would refer to different users in each schema.
    author = models.CharField(_("author"), max_length=200, blank=True)
    audience = models.CharField(_("audience"), max_length=10, choices=Audience)
    tenants: Any = models.ManyToManyField(
        settings.TENANT_MODEL, through="BroadcastTenant", blank=True, related_name="+", verbose_name=_("organisations")
    )

    objects = BroadcastQuerySet.as_manager()

    class Meta(Publication.Meta):
        app_label = "broadcasts"
        verbose_name = _("broadcast")
        verbose_name_plural = _("broadcasts")

    @classmethod
    def storage_schema(cls) -> str:
        return str(get_public_schema_name())

    @classmethod
    def resolve_audience(cls, to: Any) -> list[Any] | None:
        if to is ALL_TENANTS:
            return None
        tenants = as_list(to)
        for tenant in tenants:
            if not isinstance(tenant, get_tenant_model()) or tenant.pk is None:
                raise TypeError(f"to contains {tenant!r}: use ALL_TENANTS, a tenant, or tenants that are saved.")
        if not tenants:
            raise ValueError("to is empty, which would reach nobody: name tenants, or ALL_TENANTS.")
        return list({tenant.pk: tenant for tenant in tenants}.values())

    def save_chosen(self, chosen: Iterable[Any]) -> None:
        BroadcastTenant.objects.bulk_create(BroadcastTenant(broadcast=self, tenant=tenant) for tenant in chosen)

    def current_audience(self) -> CurrentAudience:
        if self.is_for_everybody:
            return CurrentAudience("all organisations", notify_changed_everywhere)
        tenants = using_primary(self.tenants.order_by("schema_name"))
        schemas = list(tenants.values_list("schema_name", flat=True))
        return CurrentAudience(", ".join(schemas), partial(notify_changed_everywhere, schemas))


class BroadcastTenant(models.Model):
    """An organisation in the audience of a broadcast."""

    broadcast = models.ForeignKey(Broadcast, models.CASCADE, related_name="+")
    tenant = models.ForeignKey(settings.TENANT_MODEL, models.CASCADE, related_name="+")

    class Meta:
        app_label = "broadcasts"
        verbose_name = _("organisation of a broadcast")
        verbose_name_plural = _("organisations of broadcasts")
        constraints = [models.UniqueConstraint(fields=["broadcast", "tenant"], name="tenant_once_per_broadcast")]

    def __str__(self) -> str:
        return str(self.tenant)


class BroadcastCount(models.Model):
    """The number of people in one organisation who had read a broadcast when they were last counted."""

    broadcast = models.ForeignKey(Broadcast, models.CASCADE, related_name="counts")
    schema_name = models.CharField(_("organisation"), max_length=63)
    revision = models.PositiveIntegerField(_("revision"))
    # Null if they could not be counted.
    readers = models.PositiveIntegerField(_("have read"), null=True)
    people = models.PositiveIntegerField(_("people"), null=True)
    counted_at = models.DateTimeField(_("counted at"))

    class Meta:
        app_label = "broadcasts"
        verbose_name = _("count of readers")
        verbose_name_plural = _("counts of readers")
        constraints = [models.UniqueConstraint(fields=["broadcast", "schema_name"], name="one_count_per_organisation")]

    def __str__(self) -> str:
        return f"{self.schema_name}: " + ("?" if self.people is None else f"{self.readers} / {self.people}")
