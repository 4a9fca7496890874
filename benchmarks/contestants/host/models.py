"""Organisations and their host names: django-tenants' own, without additions."""

from django_tenants.models import DomainMixin, TenantMixin


class Tenant(TenantMixin):  # type: ignore[misc]
    auto_create_schema = False

    class Meta:
        app_label = "host"


class Domain(DomainMixin):  # type: ignore[misc]
    class Meta:
        app_label = "host"
