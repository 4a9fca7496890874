"""The application configuration, and the extension of Django's messages framework."""

from collections.abc import Sequence

from django.apps import AppConfig
from django.conf import settings
from django.contrib import messages
from django.contrib.messages import constants as django_constants
from django.contrib.messages import utils
from django.contrib.messages.storage import base
from django.core import checks
from django.core.signals import setting_changed
from django.utils.functional import SimpleLazyObject
from django.utils.translation import gettext_lazy as _

from messages_extends.checks.distributions import require_single_distribution

# The functions that take a request, like Django's own. `send` and the like stay in `messages_extends.api`.
REQUEST_FUNCTION_PREFIXES = ("add_", "persistant_", "aadd_", "aget_")


class MessagesExtendsConfig(AppConfig):
    name = "messages_extends"
    verbose_name = _("Messages")
    default_auto_field = "django.db.models.BigAutoField"

    def import_models(self) -> None:
        # With both distributions installed, the models may be those of the other one.
        require_single_distribution()
        super().import_models()

    def ready(self) -> None:
        from messages_extends.access import grants, permissions
        from messages_extends.models import Message
        from messages_extends.tenancy import databases
        from messages_extends.tenancy.origin import connect_stamps

        checks.register(check_project)
        checks.register(check_databases, checks.Tags.database)
        extend_django_messages()
        permissions.connect()
        grants.connect()
        databases.set_model(Message)
        connect_stamps()


def check_project(
    app_configs: Sequence[AppConfig] | None = None, databases: Sequence[str] | None = None, **_options: object
) -> list[checks.CheckMessage]:
    """Run this package's checks, except those of databases."""
    return _run_checks(False, app_configs, databases)


def check_databases(
    app_configs: Sequence[AppConfig] | None = None, databases: Sequence[str] | None = None, **_options: object
) -> list[checks.CheckMessage]:
    """Run this package's checks of databases."""
    return _run_checks(True, app_configs, databases)


def _run_checks(
    of_databases: bool, app_configs: Sequence[AppConfig] | None, databases: Sequence[str] | None
) -> list[checks.CheckMessage]:
    # Importing a module registers its checks. A worker never runs them, so it need not import them at its start.
    from messages_extends.checks import database, isolation, layout, package_settings, people, requests  # noqa: F401
    from messages_extends.checks.registry import run_registered

    return run_registered(of_databases, app_configs, databases)


def extend_django_messages() -> None:
    """Add `add_message`, the shortcuts and the tags of the levels to `django.contrib.messages`.

    The interface of django-messages-extends is there. No other module is patched.
    """
    from messages_extends import api

    for name in api.__all__:
        if name.startswith(REQUEST_FUNCTION_PREFIXES):
            setattr(messages, name, getattr(api, name))
    extend_tags()
    setting_changed.connect(extend_tags)


def extend_tags(*, setting: str = "MESSAGE_TAGS", **_signal: object) -> None:
    """Add the tags of the levels to Django's, using the host's tag for the base level of each."""
    from messages_extends.constants import DEFAULT_TAGS, base_level

    # Django's own receiver resets LEVEL_TAGS too, before or after this one.
    if setting != "MESSAGE_TAGS":
        return
    host_tags = getattr(settings, "MESSAGE_TAGS", {})
    for level, tags in DEFAULT_TAGS.items():
        tag, kind = tags.split()
        django_constants.DEFAULT_TAGS[level] = f"{host_tags.get(base_level(level), tag)} {kind}".strip()
    # Django may have cached the tags already.
    base.LEVEL_TAGS = SimpleLazyObject(utils.get_level_tags)
