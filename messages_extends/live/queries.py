"""What the hub asks the database: in threads of its own, one organisation at a time, nothing kept between.

Each function enters the schema that it is given, and reads from the database that is written in: what has just been
changed may not be in a replica yet. Neither the event loop's connection nor a thread's last one says
where we are.
"""

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings as django_settings
from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import Group
from django.contrib.sessions.backends import signed_cookies
from django.core.exceptions import ValidationError
from django.db import connections
from django.db.models import Manager, Model, QuerySet
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.module_loading import import_string
from django_tenants.utils import schema_context

from messages_extends.access.membership import keys_of_people_in, members
from messages_extends.broadcasts.models import Broadcast
from messages_extends.conf import settings
from messages_extends.inbox.inbox import unread_counts
from messages_extends.models import Announcement
from messages_extends.tenancy.databases import for_write, reading_what_is_written, write_database


@dataclass(frozen=True, slots=True)
class Subscriber:
    """Whose stream it is: resolved once, by the middlewares and the view that a page would have."""

    schema: str
    user: str
    language: str
    # Without a session (a host's own way to log in) the user alone decides how long the stream may last.
    session_key: str | None = None
    auth_hash: str | None = None


def use_dedicated_connection() -> None:
    """Give this thread a connection of its own, which stays open.

    No page waits because of what is counted here; and a pool waits longer and longer before it tries a server again
    that has been away.
    """
    alias = write_database()
    of_pages = connections[alias]
    options = {name: value for name, value in of_pages.settings_dict["OPTIONS"].items() if name != "pool"}
    own_settings = {**of_pages.settings_dict, "OPTIONS": options, "CONN_MAX_AGE": None}
    connections[alias] = type(of_pages)(own_settings, alias)


def recipients_per_query() -> int:
    """Return of how many people one look may ask; with MEMBERS each costs a query, while others wait."""
    return 50 if settings.members else 1_000


def unread_counts_of(schema: str, users: Collection[str]) -> Mapping[str, int]:
    """Return how many are unread of each of these people; who is not there any more is left out."""
    with schema_context(schema), reading_what_is_written():
        return {str(key): count for key, count in unread_counts(_keys(users)).items()}


def addressed(schema: str, users: Collection[str], groups: Collection[str] | None) -> set[str]:
    """Return those of `users` who are in one of `groups`, or, for None, are people of the organisation at all."""
    if groups is None and not settings.members:
        return set(users)
    with schema_context(schema):
        known = Group.objects.filter(pk__in=_keys(groups or (), Group))
        everyone: Manager[AbstractBaseUser] = get_user_model()._base_manager
        people = members() if groups is None else everyone.filter(pk__in=keys_of_people_in(known))
        found = for_write(people.filter(pk__in=_keys(users))).values_list("pk", flat=True)
        return {str(key) for key in found}


def next_change(schema: str) -> datetime | None:
    """Return when the next publication appears or disappears by itself in this organisation."""
    at = timezone.now()
    with schema_context(schema), reading_what_is_written():
        publications = (Announcement.objects.all(), Broadcast.objects.addressed_to(schema))
        return min((moment for each in publications if (moment := each.next_change(at))), default=None)


def revoked_subscribers(schema: str, subscribers: Collection[Subscriber]) -> set[Subscriber]:
    """Return those who were logged out, deactivated or excluded, or whose password has changed."""
    with schema_context(schema):
        users, sessions = _users(subscribers), _sessions(subscribers)
        return {
            subscriber for subscriber in subscribers if not _may_stay(subscriber, users.get(subscriber.user), sessions)
        }


def _may_stay(subscriber: Subscriber, user: AbstractBaseUser | None, sessions: Collection[str]) -> bool:
    if user is None or (subscriber.session_key is not None and subscriber.session_key not in sessions):
        return False
    return subscriber.auth_hash is None or constant_time_compare(subscriber.auth_hash, user.get_session_auth_hash())


def _users(subscribers: Collection[Subscriber]) -> dict[str, AbstractBaseUser]:
    keys = _keys({subscriber.user for subscriber in subscribers})
    people: QuerySet[AbstractBaseUser] = members() if settings.members else get_user_model()._default_manager.all()
    return {str(user.pk): user for user in for_write(people.filter(pk__in=keys)) if user.is_active}


def _sessions(subscribers: Collection[Subscriber]) -> set[str]:
    """Return the keys of the sessions that are still there; all of them where the engine keeps none itself."""
    keys = {subscriber.session_key for subscriber in subscribers if subscriber.session_key is not None}
    store = import_string(f"{django_settings.SESSION_ENGINE}.SessionStore")
    if issubclass(store, signed_cookies.SessionStore):
        return keys
    if not hasattr(store, "get_model_class"):
        return {key for key in keys if store().exists(key)}
    known = store.get_model_class()._default_manager.filter(session_key__in=keys, expire_date__gt=timezone.now())
    return set(for_write(known).values_list("session_key", flat=True))


def _keys(texts: Iterable[str], model: type[Model] | None = None) -> list[Any]:
    """Return primary keys of a model, of users if none is given; what can be no such key is left out."""
    to_python = (model or get_user_model())._meta.pk.to_python
    keys = []
    for text in sorted(texts):
        with suppress(ValidationError):
            keys.append(to_python(text))
    return keys
