"""The hub's database queries, which run in its own thread.

Each function enters the given schema, because neither the event loop's connection nor the thread's last schema is the
right one. It reads from the primary database, because a replica may lag behind the change.
"""

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

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
from messages_extends.models import Announcement, Message, Receipt
from messages_extends.tenancy.databases import reading_from_primary, using_primary, write_database

# The tolerance for clocks of other processes. Messages that are counted too early are counted again.
CLOCK_SKEW: Final = timedelta(seconds=1)


class Subscriber(NamedTuple):
    """The user of a stream, as determined by the middleware and the view when it was opened."""

    schema: str
    user: str
    language: str
    # None without a session, if the host project authenticates in another way.
    session_key: str | None = None
    auth_hash: str | None = None


def use_dedicated_connection() -> None:
    """Give this thread a persistent connection outside the pool.

    Counting then never takes a connection from a page. A pool also increases the time between attempts to reconnect.
    """
    alias = write_database()
    default = connections[alias]
    options = {name: value for name, value in default.settings_dict["OPTIONS"].items() if name != "pool"}
    own_settings = {**default.settings_dict, "OPTIONS": options, "CONN_MAX_AGE": None}
    connections[alias] = type(default)(own_settings, alias)


def recipients_per_query() -> int:
    """Return the number of users to count per call; with MEMBERS each user costs a query."""
    return 50 if settings.members else 1_000


def unread_counts_of(schema: str, users: Collection[str]) -> Mapping[str, int]:
    """Return the unread counts of these users by key, without users who no longer exist."""
    with schema_context(schema), reading_from_primary():
        at = timezone.now() + CLOCK_SKEW
        return {str(key): count for key, count in unread_counts(_keys(users), at).items()}


def recipients_among(schema: str, users: Collection[str], groups: Collection[str] | None) -> set[str]:
    """Return those of `users` who are in one of `groups`, or with None who are members of the tenant."""
    if groups is None and not settings.members:
        return set(users)
    with schema_context(schema):
        known = Group.objects.filter(pk__in=_keys(groups or (), Group))
        everyone: Manager[AbstractBaseUser] = get_user_model()._base_manager
        people = members() if groups is None else everyone.filter(pk__in=keys_of_people_in(known))
        found = using_primary(people.filter(pk__in=_keys(users))).values_list("pk", flat=True)
        return {str(key) for key in found}


def next_change(schema: str) -> datetime | None:
    """Return when the next scheduled publication appears or the next live one expires in this tenant."""
    at = timezone.now()
    with schema_context(schema), reading_from_primary():
        publications = (Announcement.objects.all(), Broadcast.objects.addressed_to(schema))
        return min((change for each in publications if (change := each.next_change(at))), default=None)


def next_appearance(schema: str, after: datetime) -> datetime | None:
    """Return when the next scheduled or snoozed message, or snoozed publication, of anybody in this tenant appears."""
    with schema_context(schema), reading_from_primary():
        times = (
            Message.objects.appearing(after).values_list("shows_at", flat=True).first(),
            Receipt.objects.returning(after).values_list("snoozed_until", flat=True).first(),
        )
        return min((time for time in times if time is not None), default=None)


def users_of_appearances(schema: str, users: Collection[str], after: datetime, until: datetime) -> set[str]:
    """Return those of `users` for whom a message or a snoozed publication has appeared between these times."""
    with schema_context(schema), reading_from_primary():
        keys = _keys(users)
        messages = Message.objects.appearing(after).filter(shows_at__lte=until, user__in=keys)
        receipts = Receipt.objects.returning(after).filter(snoozed_until__lte=until, user__in=keys)
        return {str(key) for each in (messages, receipts) for key in each.values_list("user_id", flat=True)}


def revoked_subscribers(schema: str, subscribers: Collection[Subscriber]) -> set[Subscriber]:
    """Return the subscribers who were logged out, deactivated or excluded, or whose password has changed."""
    with schema_context(schema):
        keys = _keys({subscriber.user for subscriber in subscribers})
        people: QuerySet[AbstractBaseUser] = members() if settings.members else get_user_model()._default_manager.all()
        users = {str(user.pk): user for user in using_primary(people.filter(pk__in=keys)) if user.is_active}
        sessions = _valid_sessions(subscribers)

        def is_valid(subscriber: Subscriber) -> bool:
            user = users.get(subscriber.user)
            if user is None or (subscriber.session_key is not None and subscriber.session_key not in sessions):
                return False
            return subscriber.auth_hash is None or constant_time_compare(
                subscriber.auth_hash, user.get_session_auth_hash()
            )

        return {each for each in subscribers if not is_valid(each)}


def _valid_sessions(subscribers: Collection[Subscriber]) -> set[str]:
    """Return the keys of the sessions that still exist; all keys if the engine does not store sessions."""
    keys = {subscriber.session_key for subscriber in subscribers if subscriber.session_key is not None}
    store = import_string(f"{django_settings.SESSION_ENGINE}.SessionStore")
    if issubclass(store, signed_cookies.SessionStore):
        return keys
    if not hasattr(store, "get_model_class"):
        return {key for key in keys if store().exists(key)}
    known = store.get_model_class()._default_manager.filter(session_key__in=keys, expire_date__gt=timezone.now())
    return set(using_primary(known).values_list("session_key", flat=True))


def _keys(texts: Iterable[str], model: type[Model] | None = None) -> list[Any]:
    """Return `texts` as primary keys of a model, by default the user model, without invalid ones."""
    to_python = (model or get_user_model())._meta.pk.to_python
    keys = []
    for text in sorted(texts):
        with suppress(ValidationError):
            keys.append(to_python(text))
    return keys
