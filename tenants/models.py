"""The organisations and their host names; both live in the public schema."""

from django.db import models
from django.utils.translation import gettext_lazy as _
from django_tenants.models import DomainMixin, TenantMixin


class Tenant(TenantMixin):
    """One customer organisation with a PostgreSQL schema of its own.

    Made by `tenants.provisioning.create_organisation` only: it alone keeps schema, domain and people together.
    """

    auto_create_schema = False

    name = models.CharField(_("name"), max_length=100)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    ready_at = models.DateTimeField(_("ready"), null=True, blank=True)
    suspended_at = models.DateTimeField(_("suspended"), null=True, blank=True)

    def __str__(self) -> str:
        return self.name


class Domain(DomainMixin):
    """A host name that leads to one organisation."""
