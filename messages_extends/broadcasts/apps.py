"""The operator's side: for SHARED_APPS only."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class BroadcastsConfig(AppConfig):
    name = "messages_extends.broadcasts"
    label = "broadcasts"
    verbose_name = _("Broadcasts")
    default_auto_field = "django.db.models.BigAutoField"
