"""Runs code as it was written for django-messages-extends 0.6.3, with whichever package is installed."""

import json
from argparse import ArgumentParser
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

from django.contrib import messages
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.core.management.base import BaseCommand
from django.test import RequestFactory, override_settings
from django.utils import timezone
from django.utils.safestring import mark_safe
from django_tenants.utils import get_tenant_model, schema_context

import messages_extends
from messages_extends import constants as constants_messages
from messages_extends import models, storages, views
from messages_extends.exceptions import LevelOfMessageException
from messages_extends.models import Message
from messages_extends.storages import FallbackStorage, PersistentMessage, PersistentStorage

LEVEL = constants_messages.INFO_PERSISTENT


class Reversed(PersistentStorage):
    def _message_queryset(self, include_read: bool = False) -> Any:
        return super()._message_queryset(include_read=include_read).exclude(message="hidden").order_by("-pk")


class Site:
    """Alice, who asks, and Bob, who is inactive."""

    def __init__(self, schema: str) -> None:
        self.tenant = get_tenant_model()._default_manager.get(schema_name=schema)
        make = get_user_model()._default_manager.get_or_create
        self.alice = make(username="alice")[0]
        self.bob = make(username="inactive", defaults={"is_active": False})[0]

    def request(self, user: Any = None, method: str = "get", storage: Any = FallbackStorage) -> Any:
        headers = {"X-Requested-With": "XMLHttpRequest"}
        request: Any = getattr(RequestFactory(), method)("/", headers=headers)
        request.user, request.tenant, request.session = user or self.alice, self.tenant, {}
        request._messages = storage(request)
        return request

    def shown(self, user: Any = None, storage: Any = FallbackStorage) -> list[str]:
        return sorted(str(each) for each in self.request(user, storage=storage)._messages)


def add(text: Any, level: int = LEVEL, **options: Any) -> Callable[[Site], Any]:
    return lambda site: messages.add_message(site.request(), level, text, **options)


def to_bob(site: Site) -> Any:
    messages.add_message(site.request(), LEVEL, "to Bob", user=site.bob)
    get_user_model()._default_manager.filter(pk=site.bob.pk).update(is_active=True)
    return site.shown(site.bob)


def in_the_past(site: Site) -> Any:
    messages.add_message(site.request(), LEVEL, "over", expires=timezone.now() - timedelta(days=1))
    return site.shown()


def shortcuts(site: Site) -> None:
    for name in ("debug", "info", "success", "warning", "error"):
        getattr(messages, f"persistant_{name}")(site.request(), name, "tag", True, user=site.alice, expires=None)
        getattr(messages_extends, f"persistant_{name}")(site.request(), name, extra_tags="tag")


def read_and_update(site: Site) -> Any:
    for text in "abc":
        Message.objects.create(user=site.alice, level=LEVEL, message=text, extra_tags="")
    first = Message.objects.get(message="a")
    first.read = True
    first.save()
    Message.objects.filter(message="b").update(read=True)
    return sorted(Message.objects.filter(read=True).values_list("message", flat=True)), site.shown()


def marked(site: Site) -> Any:
    for text in "ab":
        Message.objects.create(user=site.alice, level=LEVEL, message=text, extra_tags="")
    one = views.message_mark_read(site.request(method="post"), Message.objects.get(message="a").pk)
    left = site.shown()
    every = views.message_mark_all_read(site.request(method="post"))
    return one.status_code, left, every.status_code, site.shown()


def hooked(site: Site) -> Any:
    for text in ("first", "hidden", "second"):
        messages.add_message(site.request(), LEVEL, text)
    return [str(each) for each in site.request(storage=Reversed)._messages]


def level_refused(_site: Site) -> None:
    raise LevelOfMessageException


def names(_site: Site) -> Any:
    same = PersistentMessage is Message and storages.PersistentMessage is Message
    levels = (messages_extends.ERROR_PERSISTENT, messages_extends.WARNING_STICKY)
    return same, [models.LEVEL_TAGS[level] for level in levels], Message.LEVEL_CHOICES[0][0] == 0


def tags(site: Site) -> Any:
    messages.add_message(site.request(), LEVEL, "tagged", extra_tags="big")
    [message] = site.request()._messages
    return message.tags, message.message, str(message), bool(message.pk), message.read


def without_middleware(site: Site) -> Any:
    request = RequestFactory().get("/")
    messages.add_message(request, LEVEL, "nowhere", fail_silently=True, user=site.alice)
    messages.add_message(request, LEVEL, "nowhere")


PROBES: dict[str, Callable[[Site], Any]] = {
    "a text": add("Hello"),
    "a text of 10,001 characters": add("x" * 10_001),
    "a text of 100,000 characters": add("x" * 100_000),
    "a text of 150,000 characters": add("x" * 150_000),
    "an empty text": add(""),
    "a blank text": add(" \n"),
    "a number": add(5),
    "a safe text": add(mark_safe("<b>x</b>")),
    "expires without a zone": add("x", expires=datetime(2090, 1, 1)),
    "expires on a date": add("x", expires=date(2090, 1, 1)),
    "expires by a text": add("x", expires="2090-01-01 00:00"),
    "expires at the end of time": add("x", expires=datetime(9999, 12, 31)),
    "expires, with an ordinary level": add("x", messages.INFO, expires=datetime(2090, 1, 1)),
    "an option that nobody knows": add("x", colour="red"),
    "expires in the past": in_the_past,
    "an inactive recipient": to_bob,
    "an anonymous recipient": lambda site: messages.add_message(site.request(AnonymousUser()), LEVEL, "x"),
    "to oneself by name": lambda site: messages.add_message(site.request(), LEVEL, "x", user=site.alice),
    "the storage's own add": lambda site: site.request()._messages.add(LEVEL, "x", "tag", user=site.alice),
    "sticky": add("x", constants_messages.INFO_STICKY),
    "the shortcuts": shortcuts,
    "read, by hand": read_and_update,
    "marked by the views": marked,
    "a storage with the hook": hooked,
    "an error about a level": level_refused,
    "old names": names,
    "tags": tags,
    "without the middleware": without_middleware,
}


def outcome(probe: Callable[[Site], Any], site: Site) -> Any:
    """Return what a probe returned or raised, and what it has left in the table."""
    Message.objects.all().delete()
    try:
        result = probe(site)
    except Exception as error:
        result = type(error).__name__
    rows: Any = Message.objects.order_by("pk")
    left = [
        (row.user.username, constants_messages.DEFAULT_TAGS[row.level], len(row.message), row.extra_tags, row.read)
        for row in rows
    ]
    return [result, left]


class Command(BaseCommand):
    help = "Prints, as JSON, what each piece of old code has done."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("schema")

    def handle(self, *, schema: str, **_options: Any) -> None:
        everybody = override_settings(MESSAGES_EXTENDS={"POLICY": "messages_extends.policy.AllowAll"})
        with schema_context(schema), everybody:
            site = Site(schema)
            outcomes = {name: outcome(probe, site) for name, probe in PROBES.items()}
        self.stdout.write(json.dumps(outcomes))
