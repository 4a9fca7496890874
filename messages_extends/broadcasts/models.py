"""What the platform writes to its organisations. The tables lie in the public schema; every tenant can read them.

Triggers refuse to write while the search path starts in a tenant's schema.
"""

from typing import Any, ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import Count, Exists, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_lazy as _

from messages_extends.models.audit import BaseAuditRecord
from messages_extends.models.publication import Publication, PublicationQuerySet


class BroadcastQuerySet(PublicationQuerySet):
    """Broadcasts, from whichever schema they are read."""

    def addressed_to(self, schema: str) -> Self:
        """Keep what is for all organisations, or was addressed to this one."""
        # By name: inside `schema_context` the connection's tenant has no primary key.
        chosen = Broadcast.tenants.through._default_manager.filter(
            broadcast_id=OuterRef("pk"), tenant__schema_name=schema
        )
        return self.filter(Q(audience=Broadcast.Audience.ALL) | Q(Exists(chosen), audience="selected"))

    def with_chosen(self) -> Self:
        """Add `chosen`: how many organisations each is for now, 0 where it is for all."""
        rows = Broadcast.tenants.through._default_manager.filter(broadcast_id=OuterRef("pk")).order_by()
        number = rows.values("broadcast_id").annotate(number=Count("pk")).values("number")
        return self.annotate(chosen=Coalesce(Subquery(number), 0))


class Broadcast(Publication):
    """A publication of the platform to its organisations: all of them, or chosen ones.

    Where the last chosen organisation is removed, nobody is left, never all.
    """

    class Audience(models.TextChoices):
        ALL = "all", _("all organisations")
        SELECTED = "selected", _("chosen organisations")

    kind: ClassVar = "broadcast"
    sender: ClassVar[Any] = None

    # Text: a foreign key to a user would be resolved in the schema of whoever reads it.
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


class BroadcastTenant(models.Model):
    """An organisation that a broadcast is for."""

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
    """How many people of one organisation have read a broadcast, when they were last counted."""

    broadcast = models.ForeignKey(Broadcast, models.CASCADE, related_name="counts")
    schema_name = models.CharField(_("organisation"), max_length=63)
    revision = models.PositiveIntegerField(_("revision"))
    # Null where they could not be counted.
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


class BroadcastRecord(BaseAuditRecord):
    """A deed of the platform."""

    class Meta(BaseAuditRecord.Meta):
        app_label = "broadcasts"
        verbose_name = _("audit record")
        verbose_name_plural = _("audit records")
        ordering = ["-id"]
        default_permissions = ("view",)
