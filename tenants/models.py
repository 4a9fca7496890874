"""The models of organisations and their host names, in the public schema."""

from typing import Any, NoReturn

from django.conf import settings
from django.db import models
from django.db.models import OuterRef, Q, Subquery
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _
from django_tenants.models import DomainMixin, TenantMixin

from tenants.names import MAX_LENGTH, PATTERN, origin_of, validate_host, validate_schema
from tenants.time_zones import validate_time_zone


class TenantQuerySet(models.QuerySet["Tenant"]):
    def ready(self) -> "TenantQuerySet":
        """Filter by organisations whose creation is complete, including suspended ones."""
        return self.filter(ready_at__isnull=False)

    def half_made(self) -> "TenantQuerySet":
        """Filter by organisations whose creation is in progress or was interrupted."""
        return self.filter(ready_at__isnull=True)

    def open(self) -> "TenantQuerySet":
        """Filter by organisations that respond to requests."""
        return self.ready().filter(suspended_at__isnull=True)

    def matching(self, text: str) -> "TenantQuerySet":
        """Filter by organisations with this text in their name, short name or host name, in any case."""
        domains = Domain.objects.filter(domain__icontains=text)
        return self.filter(
            Q(name__icontains=text) | Q(schema_name__icontains=text) | Q(pk__in=domains.values("tenant"))
        )

    def with_host(self) -> "TenantQuerySet":
        """Prefetch the primary host names, so that `host` and `url` need no query."""
        primary = Domain.objects.filter(tenant=OuterRef("pk"), is_primary=True)
        found: TenantQuerySet = self.annotate(primary_host=Subquery(primary.values("domain")[:1]))
        return found


class Tenant(TenantMixin):  # type: ignore[misc]
    """An organisation with its own PostgreSQL schema.

    It is created by `tenants.provisioning.create_organisation` only, which keeps schema, domain and users consistent.
    """

    auto_create_schema = False

    schema_name = models.CharField(
        _("short name"),
        max_length=MAX_LENGTH,
        unique=True,
        validators=[validate_schema],
        help_text=_("Lower-case letters, digits and single underscores, a letter first."),
    )
    name = models.CharField(_("name"), max_length=100)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    ready_at = models.DateTimeField(_("ready"), null=True, blank=True)
    suspended_at = models.DateTimeField(_("suspended"), null=True, blank=True)
    time_zone = models.CharField(
        _("time zone"),
        max_length=63,
        blank=True,
        default="",
        db_default="",
        validators=[validate_time_zone],
        help_text=_("The time zone for times, such as Europe/Berlin. If blank, the site's default is used."),
    )

    objects = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("organisation")
        verbose_name_plural = _("organisations")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(schema_name__regex=PATTERN), name="tenants_tenant_schema_is_valid"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_ready(self) -> bool:
        return self.ready_at is not None

    @property
    def is_suspended(self) -> bool:
        return self.suspended_at is not None

    @property
    def is_open(self) -> bool:
        """Tell whether requests to this organisation are served."""
        return self.is_ready and not self.is_suspended

    @property
    def is_platform(self) -> bool:
        """Tell whether this is the organisation of the platform's own staff."""
        return bool(self.schema_name == settings.TENANTS_PLATFORM_SCHEMA)

    @property
    def host(self) -> str:
        """Return the primary host name; it needs a query, unless `with_host` has prefetched it."""
        return getattr(self, "primary_host", None) or str(self.domains.get(is_primary=True).domain)

    def __enter__(self) -> NoReturn:
        raise TypeError(
            "`with tenant:` keeps the way back where all threads share it, so that requests end up in each other's "
            "organisations. Use `with tenant_context(tenant):` of django_tenants.utils."
        )

    def url(self, path: str = "/") -> str:
        """Return the absolute URL of `path` at this organisation, from the database and the settings only.

        It does not use the request, whose client chooses the Host header.
        """
        return origin_of(self.host) + path


class DomainQuerySet(models.QuerySet["Domain"]):
    def for_host(self, host: str) -> "DomainQuerySet":
        """Filter by the domain with this host name, in any case, and select its organisation."""
        return self.filter(domain=host.lower()).select_related("tenant")


class Domain(DomainMixin):  # type: ignore[misc]
    """A host name of an organisation."""

    domain = models.CharField(_("host name"), max_length=253, unique=True, validators=[validate_host])

    objects = DomainQuerySet.as_manager()

    class Meta:
        verbose_name = _("domain")
        verbose_name_plural = _("domains")
        constraints = [
            models.CheckConstraint(condition=models.Q(domain=Lower("domain")), name="tenants_domain_is_lower_case"),
            models.UniqueConstraint("tenant", condition=models.Q(is_primary=True), name="tenants_domain_one_primary"),
        ]

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.domain = self.domain.lower()
        super().save(*args, **kwargs)
