from django.apps import AppConfig


class ReferenceSaaSConfig(AppConfig):
    """The app of the reference product, with its pages and demo data; it has no models."""

    name = "config"
    label = "reference_saas"
