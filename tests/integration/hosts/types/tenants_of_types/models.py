"""Tenants that have a type, which says what apps they have."""

from django.db import models
from django_tenants.models import DomainMixin, TenantMixin


class Tenant(TenantMixin):  # type: ignore[misc]
    type = models.CharField(max_length=20)

    class Meta:
        app_label = "tenants_of_types"


class Domain(DomainMixin):  # type: ignore[misc]
    class Meta:
        app_label = "tenants_of_types"
