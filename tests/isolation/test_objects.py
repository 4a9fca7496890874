"""Fact 9: an object of one organisation, used in another, names somebody else's row there; it is refused."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.contrib.sessions.backends.base import SessionBase
from django.db import transaction
from django.db.models.signals import post_save
from django.http import HttpRequest
from django.test import RequestFactory
from django_tenants.utils import schema_context

from messages_extends.api import send
from messages_extends.constants import INFO_PERSISTENT, SUCCESS
from messages_extends.exceptions import WrongTenant
from messages_extends.models import Message
from messages_extends.storages import FallbackStorage
from messages_extends.tenancy.origin import schema_of_origin
from messages_extends.tenancy.sessions import SessionStore
from tenants.models import Tenant
from tenants.people.models import LoginAttempt
from tenants.people.origin import WrongOrganisation
from tests.factories import MakeMessage

pytestmark = pytest.mark.django_db


@pytest.fixture
def messages(twins: dict[str, Any], make_message: MakeMessage) -> dict[str, Message]:
    """Two messages of the same id, one per organisation."""
    found = {}
    for schema, person in twins.items():
        with schema_context(schema):
            found[schema] = make_message(person, f"of {schema}", pk=1000)
    return found


def texts() -> dict[str, list[str]]:
    found = {}
    for schema in ("acme", "globex"):
        with schema_context(schema):
            found[schema] = list(Message.objects.order_by("-pk").values_list("message", flat=True))
    return found


def test_unbound_model_save_in_other_tenant_overwrites_row() -> None:
    for schema in ("acme", "globex"):
        with schema_context(schema):
            LoginAttempt.objects.create(pk=1, by=f"of {schema}")
    with schema_context("acme"):
        attempt = LoginAttempt.objects.get(pk=1)
    with schema_context("globex"):
        attempt.save()
        assert LoginAttempt.objects.get(pk=1).by == "of acme"


# People and groups, which the reference product holds to it as well.


def _in_group(user: Any) -> None:
    user.groups.add(Group.objects.get(pk=1))


WRITES: dict[str, Callable[[Any, Group], Any]] = {
    "save": lambda user, _group: user.save(),
    "save of one field": lambda user, _group: user.save(update_fields=["name"]),
    "save as a new row": lambda user, _group: user.save(force_insert=True),
    "refresh": lambda user, _group: user.refresh_from_db(),
    "delete": lambda user, _group: user.delete(),
    "bulk update": lambda user, _group: get_user_model().objects.bulk_update([user], ["name"]),
    "bulk create": lambda user, _group: get_user_model().objects.bulk_create(
        [user], update_conflicts=True, update_fields=["name"], unique_fields=["id"]
    ),
    "join a group": lambda user, _group: _in_group(user),
    "take a permission": lambda user, _group: user.user_permissions.set(Permission.objects.all()[:1]),
    "save a group": lambda _user, group: group.save(),
    "delete a group": lambda _user, group: group.delete(),
    "let somebody into a group": lambda _user, group: group.user_set.add(get_user_model().objects.get(pk=1)),
    "give a group a permission": lambda _user, group: group.permissions.set(Permission.objects.all()[:1]),
}


def _people_groups_and_permissions() -> list[Any]:
    found: list[Any] = []
    for schema in ("acme", "globex"):
        with schema_context(schema):
            found += get_user_model().objects.values_list("pk", "name", "groups", "user_permissions")
            found += Group.objects.values_list("pk", "name", "permissions")
    return found


@pytest.mark.parametrize("write", WRITES.values(), ids=list(WRITES))
def test_users_and_groups_refuse_writes_in_other_tenant(
    write: Callable[[Any, Group], Any], twins: dict[str, Any]
) -> None:
    groups = {}
    for schema in ("acme", "globex"):
        with schema_context(schema):
            groups[schema] = Group.objects.create(pk=1, name=f"of {schema}")
    before = _people_groups_and_permissions()
    with schema_context("acme"):
        user = get_user_model().objects.get(pk=1)
    user.name = groups["acme"].name = "overwritten"
    for _twice in range(2):
        with schema_context("globex"), pytest.raises(WrongOrganisation), transaction.atomic():
            write(user, groups["acme"])
    assert _people_groups_and_permissions() == before


def test_origin_stamp_is_set_on_insert_and_kept_on_update(twins: dict[str, Any]) -> None:
    """Of whatever model: a host's own may let itself be saved elsewhere."""
    user = twins["acme"]
    with schema_context("globex"):
        post_save.send(type(user), instance=user, created=False, using="default")
        assert schema_of_origin(user) == "acme"
        get_user_model().objects.all().delete()
        user.pk = None
        user.email = "copy@globex.example"
        user.save()
        assert (schema_of_origin(user), user.schema) == ("globex", "globex")


USES: dict[str, Callable[[Message], Any]] = {
    "save": lambda message: message.save(),
    "save of one field": lambda message: message.save(update_fields=["message"]),
    "save as a new row": lambda message: message.save(force_insert=True),
    "refresh": lambda message: message.refresh_from_db(),
    "delete": lambda message: message.delete(),
    "bulk update": lambda message: Message.objects.bulk_update([message], ["message"]),
    "bulk create": lambda message: Message.objects.bulk_create([message]),
}


@pytest.mark.parametrize("use", USES.values(), ids=list(USES))
@pytest.mark.parametrize("loaded", [True, False])
def test_message_refuses_use_in_other_tenant(
    use: Callable[[Message], Any], loaded: bool, messages: dict[str, Message]
) -> None:
    message = messages["acme"]
    if loaded:
        with schema_context("acme"):
            message = Message.objects.get(pk=1000)
    message.message = "overwritten"
    with schema_context("globex"), pytest.raises(WrongTenant):
        use(message)
    assert texts() == {"acme": ["of acme"], "globex": ["of globex"]}


def test_message_from_bulk_create_refuses_save_in_other_tenant(twins: dict[str, Any]) -> None:
    with schema_context("acme"):
        [message] = Message.objects.bulk_create([Message(user=twins["acme"], message="of acme", level=INFO_PERSISTENT)])
    with schema_context("globex"), pytest.raises(WrongTenant):
        message.save()


def _assign(user: Any) -> None:
    message = Message(message="for the wrong one", level=INFO_PERSISTENT)
    message.user = user
    message.save()


RECIPIENT: dict[str, Callable[[Any], Any]] = {
    "send": lambda user: send(user, "for the wrong one"),
    "create": lambda user: Message.objects.create(user=user, message="for the wrong one", level=INFO_PERSISTENT),
    "save": lambda user: Message(user=user, message="for the wrong one", level=INFO_PERSISTENT).save(),
    "save as sender": lambda user: Message(sender=user, message="by the wrong one", level=INFO_PERSISTENT).save(),
    "bulk create": lambda user: Message.objects.bulk_create(
        [Message(user=user, message="for the wrong one", level=INFO_PERSISTENT)]
    ),
    "assign to a message of here": _assign,
    "read": lambda user: list(Message.objects.for_user(user)),
}


@pytest.mark.parametrize("use", RECIPIENT.values(), ids=list(RECIPIENT))
def test_recipient_of_other_tenant_is_refused(use: Callable[[Any], Any], twins: dict[str, Any]) -> None:
    with schema_context("globex"), pytest.raises(WrongTenant):
        use(twins["acme"])
    assert texts() == {"acme": [], "globex": []}


def test_send_refuses_sender_of_other_tenant(twins: dict[str, Any]) -> None:
    with schema_context("globex"), pytest.raises(WrongTenant):
        send(twins["globex"], "by the wrong one", sender=twins["acme"])
    assert texts() == {"acme": [], "globex": []}


def test_send_accepts_user_reloaded_in_current_tenant(twins: dict[str, Any]) -> None:
    with schema_context("globex"):
        send(get_user_model()._default_manager.get(pk=twins["acme"].pk), "right")
    assert texts() == {"acme": [], "globex": ["right"]}


# A storage whose thread was left elsewhere --------------------------------------------------------------------------


def request_at(tenant: Any, user: Any) -> HttpRequest:
    request = RequestFactory().get("/")
    request.tenant, request.user = tenant, user
    session: SessionBase = SessionStore()
    request.session = session
    return request


def test_fallback_storage_uses_tenant_of_request(
    acme: Tenant, twins: dict[str, Any], messages: dict[str, Message]
) -> None:
    with schema_context("acme"):
        request = request_at(acme, twins["acme"])
    with schema_context("globex"):
        storage = FallbackStorage(request)
        storage.add(INFO_PERSISTENT, "added")
        storage.add(SUCCESS, "ordinary")
        shown = {str(message) for message in storage}
    assert shown == {"of acme", "added", "ordinary"}
    assert texts() == {"acme": ["of acme", "added"], "globex": ["of globex"]}


def test_fallback_storage_without_request_tenant_uses_connection_schema(
    twins: dict[str, Any], messages: dict[str, Message]
) -> None:
    with schema_context("globex"):
        user = get_user_model()._default_manager.get(pk=twins["acme"].pk)
        # No tenant on the request: the connection is all there is to ask.
        request = request_at(None, user)
        assert [str(message) for message in FallbackStorage(request)] == ["of globex"]
