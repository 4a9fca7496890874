"""The tenants of django-tenant-users: each has an owner."""

from django.db import models
from django_tenants.models import DomainMixin
from tenant_users.tenants.models import TenantBase


class Company(TenantBase):
    name = models.CharField(max_length=100)

    class Meta:
        app_label = "companies"


class Domain(DomainMixin):  # type: ignore[misc]
    class Meta:
        app_label = "companies"
