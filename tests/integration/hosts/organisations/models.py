"""The least that django-tenants asks of a host project."""

from django_tenants.models import DomainMixin, TenantMixin


class Tenant(TenantMixin):  # type: ignore[misc]
    class Meta:
        app_label = "organisations"


class Domain(DomainMixin):  # type: ignore[misc]
    class Meta:
        app_label = "organisations"
