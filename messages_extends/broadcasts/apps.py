"""The configuration of the app for broadcasts, which belongs in SHARED_APPS only."""

from django.apps import AppConfig
from django.db.models.signals import post_delete
from django.utils.translation import gettext_lazy as _


class BroadcastsConfig(AppConfig):
    name = "messages_extends.broadcasts"
    label = "broadcasts"
    verbose_name = _("Broadcasts")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from django_tenants.utils import get_tenant_model

        from messages_extends.maintenance.purge import delete_counts_of_tenant

        post_delete.connect(
            delete_counts_of_tenant, sender=get_tenant_model(), dispatch_uid="messages_extends.maintenance.purge"
        )
