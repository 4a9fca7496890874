from django.apps import AppConfig


class ReferenceSaaSConfig(AppConfig):
    """The reference SaaS: its pages, its demo data; no models."""

    name = "config"
    label = "reference_saas"
