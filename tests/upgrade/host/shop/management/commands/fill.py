"""Has the real django-messages-extends 0.6.3 fill a host's database; run with that installed."""

import importlib.metadata
import itertools
from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

import django
from django.apps import apps
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.test import RequestFactory
from django.utils import timezone
from django_tenants.utils import get_tenant_model, schema_context

from messages_extends import constants, storages, views
from messages_extends.models import Message

LEVELS = constants.PERSISTENT_MESSAGE_LEVELS
TEXTS = ("Plain", "Grüße, 世界 🎉 «ﬁ»", "<b>bold</b> & 100 %s %(x)s", "line\nbreak\ttab", "x" * 5000)


def request_of(user: Any) -> Any:
    request = RequestFactory().get("/")
    request.user = user
    request.session = {}
    request._messages = storages.FallbackStorage(request)
    return request


def write_messages(users: list[Any]) -> None:
    """Have each user send themselves one of each level, and then their neighbour one by each shortcut."""
    texts, tags = itertools.cycle(TEXTS), itertools.cycle(("", "shop", "größe wichtig", "t" * 128))
    expiries = itertools.cycle((None, timezone.now() - timedelta(days=1), timezone.now() + timedelta(days=3650)))
    for user, neighbour in zip(users, [*users[1:], users[0]], strict=True):
        for level in LEVELS:
            messages.add_message(request_of(user), level, next(texts), extra_tags=next(tags), expires=next(expiries))
        for name in ("debug", "info", "success", "warning", "error"):
            getattr(messages, f"persistant_{name}")(request_of(user), next(texts), user=neighbour)
    Message.objects.create(user=None, level=constants.INFO_PERSISTENT, message="for nobody", extra_tags="")
    Message.objects.create(user=None, level=constants.ERROR_PERSISTENT, message="for nobody, read", read=True)
    Message.objects.create(user=users[0], level=messages.INFO, message="an ordinary level, written by hand")
    for level in (9, 19, 24, 29, 39):
        Message.objects.create(user=users[0], level=level, message="a level of the README, written by hand")


def read_some() -> None:
    """Have every other message marked read by its recipient, as in a browser."""
    for message in Message.objects.exclude(user=None).order_by("pk")[::2]:
        views.message_mark_read(request_of(message.user), message.pk)


def make_users() -> list[Any]:
    make = get_user_model()._default_manager.create_user
    return [make(name, f"{name}@example.com") for name in ("alice", "bob", "carol", "dave")]


def fill_tenants(schemas: list[str]) -> None:
    for schema in schemas:
        with schema_context(schema):
            write_messages(make_users())
            read_some()


def fill_public(schemas: list[str]) -> None:
    """Alice belongs to the first customer, Bob to the second, Carol to both, Dave to none."""
    alice, bob, carol, _dave = users = make_users()
    write_messages(users)
    read_some()
    for schema, user in zip([*schemas, *schemas], [alice, bob, carol, carol], strict=True):
        apps.get_app_config("shop").get_model("Membership")._default_manager.create(schema=schema, user_id=user.pk)


class Command(BaseCommand):
    help = "Makes schemas, migrates, and writes messages: into each schema, or into public where the app is shared."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("schemas", nargs="+")

    def handle(self, *, schemas: list[str], **_options: Any) -> None:
        require_versions()
        call_command("migrate_schemas", shared=True, verbosity=0)
        for schema in schemas:
            customer = get_tenant_model()._default_manager.create(schema_name=schema)
            customer.create_schema(check_if_exists=True, verbosity=0)
        if "messages_extends" in settings.SHARED_APPS:
            fill_public(schemas)
        else:
            fill_tenants(schemas)


def require_versions() -> None:
    """Stop where nothing would be proved about 0.6.3."""
    found = importlib.metadata.version("django-messages-extends"), django.VERSION[:2]
    if found != ("0.6.3", (5, 2)):
        raise RuntimeError(f"Expected django-messages-extends 0.6.3 on Django 5.2, found {found}.")
