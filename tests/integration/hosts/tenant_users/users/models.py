"""The users of django-tenant-users: shared by all tenants, without a column for groups or for superusers."""

from tenant_users.tenants.models import UserProfile


class TenantUser(UserProfile):
    class Meta:
        app_label = "users"
