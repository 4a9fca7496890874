"""Start-up: what we add to Django's messages framework, in one place."""

from django.apps import AppConfig
from django.conf import settings
from django.contrib import messages
from django.contrib.messages import constants as django_constants
from django.contrib.messages import utils
from django.contrib.messages.storage import base
from django.core.signals import setting_changed
from django.utils.functional import SimpleLazyObject
from django.utils.translation import gettext_lazy as _

from messages_extends.checks.distributions import refuse_old_distribution

# What Django's own functions look like; `send` and its like are asked for by their own module.
TAKE_A_REQUEST = ("add_", "persistant_", "aadd_", "aget_")


class MessagesExtendsConfig(AppConfig):
    name = "messages_extends"
    verbose_name = _("Messages")
    default_auto_field = "django.db.models.BigAutoField"

    def import_models(self) -> None:
        # Before our models: with both distributions installed, they may be the other's.
        refuse_old_distribution()
        super().import_models()

    def ready(self) -> None:
        from messages_extends.access import grants, permissions

        # They register themselves.
        from messages_extends.checks import database, isolation, layout, own, people, requests  # noqa: F401
        from messages_extends.events import changes
        from messages_extends.models import Message
        from messages_extends.tenancy import databases
        from messages_extends.tenancy.origin import stamp_people

        extend_django_messages()
        permissions.connect()
        grants.connect()
        changes.connect_signals()
        databases.connect(Message)
        stamp_people()


def extend_django_messages() -> None:
    """Give `django.contrib.messages` our `add_message`, the shortcuts and the words of our levels.

    The only place where we change another module: django-messages-extends' interface is there.
    """
    from messages_extends import api

    for name in api.__all__:
        if name.startswith(TAKE_A_REQUEST):
            setattr(messages, name, getattr(api, name))
    extend_tags()
    setting_changed.connect(_extend_tags_again)


def extend_tags() -> None:
    """Add the words of our levels to Django's, each with the host's word for the level that it belongs to."""
    from messages_extends.constants import DEFAULT_TAGS, base_level

    hosts = getattr(settings, "MESSAGE_TAGS", {})
    for level, tags in DEFAULT_TAGS.items():
        word, kind = tags.split()
        django_constants.DEFAULT_TAGS[level] = f"{hosts.get(base_level(level), word)} {kind}".strip()
    # The words may have been looked up already.
    base.LEVEL_TAGS = SimpleLazyObject(utils.get_level_tags)


def _extend_tags_again(*, setting: str, **_kwargs: object) -> None:
    # In tests of a host. Django, which does it too, may be told of it before or after us.
    if setting == "MESSAGE_TAGS":
        extend_tags()
