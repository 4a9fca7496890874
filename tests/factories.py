"""Factories of users, groups and messages in the current schema."""

from typing import Any, Protocol

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django_tenants.utils import schema_context

from messages_extends.constants import INFO_PERSISTENT
from messages_extends.models import Message
from tenants.models import Tenant
from tenants.people.models import User


class MakeUser(Protocol):
    """The fixture `make_user`."""

    def __call__(self, name: str = "alice", **fields: Any) -> User: ...


class MakeMessage(Protocol):
    """The fixture `make_message`."""

    def __call__(self, user: AbstractBaseUser, text: str = "Hello", **fields: Any) -> Message: ...


class BrowserOf(Protocol):
    """The fixture `browser_of`."""

    def __call__(self, tenant: Tenant, user: AbstractBaseUser | None = None) -> Client: ...


def make_user(name: str = "alice", **fields: Any) -> User:
    """Create a user who can log in by an e-mail address of the organisation."""
    values = {"email": f"{name}@{connection.schema_name}.example", "name": name, **fields}
    return User.objects.create_user(**values)


def make_group(name: str = "Sales", *members: AbstractBaseUser) -> Group:
    """Create a group with these members."""
    group = Group.objects.create(name=name)
    group.user_set.add(*members)
    return group


def make_message(user: AbstractBaseUser, text: str = "Hello", **fields: Any) -> Message:
    """Create an unread message."""
    return Message.objects.create(**{"user": user, "message": text, "level": INFO_PERSISTENT, **fields})


def make_browser(tenant: Tenant, user: AbstractBaseUser | None = None) -> Client:
    """Create a test client for one organisation, logged in as `user` if one is given."""
    client = Client(headers={"host": f"{tenant.schema_name}.localhost"})
    if user is not None:
        with schema_context(tenant.schema_name):
            client.force_login(user, "django.contrib.auth.backends.ModelBackend")
    return client
