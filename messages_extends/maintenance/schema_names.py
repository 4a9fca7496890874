"""Rename the schema of a tenant."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY, get_user_model
from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import transaction
from django.db.models import Manager
from django.utils.module_loading import import_string
from django_tenants.utils import get_public_schema_name, get_tenant_database_alias, schema_rename

from messages_extends.broadcasts.models import BroadcastCount
from messages_extends.tenancy.schemas import Tenant, in_schema, is_shared, tenant_has_app
from messages_extends.tenancy.sessions import SessionStore

CHUNK_SIZE = 500

Hashes = Mapping[str, str]


def rename_schema(tenant: Tenant, name: str) -> None:
    """Rename the schema of `tenant`, keeping its sessions and its counts of readers.

    Sessions are signed with the name of their schema and are signed again. It runs in one transaction. Raises
    ValidationError for a name that is taken or invalid. If PLATFORM_SCHEMA is this schema, change the setting as well.
    """
    old = str(tenant.schema_name)
    with in_schema(get_public_schema_name()), transaction.atomic(using=get_tenant_database_alias()):
        before: Hashes = {}
        if _has_signed_sessions(old):
            with in_schema(old):
                keys = {str(data[SESSION_KEY]) for _row, data in _sessions(old) if SESSION_KEY in data}
                before = _hashes_of(keys)
        schema_rename(tenant, name, database=get_tenant_database_alias())
        BroadcastCount.objects.filter(schema_name=old).update(schema_name=name)
        _resign_sessions(old, name, before)


def _resign_sessions(old: str, new: str, before: Hashes) -> None:
    if not _has_signed_sessions(new):
        return
    with in_schema(new):
        # The hash of a user model may depend on the schema.
        after, store, changed = _hashes_of(before), _store(new), []
        for row, data in _sessions(old):
            key = str(data.get(SESSION_KEY))
            if key in before and data.get(HASH_SESSION_KEY) == before[key]:
                data[HASH_SESSION_KEY] = after[key]
            row.session_data = store.encode(data)
            changed.append(row)
        _rows().bulk_update(changed, ["session_data"], batch_size=CHUNK_SIZE)


def _hashes_of(keys: Collection[str]) -> Hashes:
    users = get_user_model()
    people = users._base_manager.filter(pk__in=[users._meta.pk.to_python(key) for key in keys])
    return {str(user.pk): user.get_session_auth_hash() for user in people.iterator(chunk_size=CHUNK_SIZE)}


def _has_signed_sessions(schema: str) -> bool:
    return issubclass(_engine(), SessionStore) and tenant_has_app("sessions", schema) and not is_shared("sessions")


def _sessions(signed_for: str) -> Iterator[tuple[AbstractBaseSession, dict[str, object]]]:
    """Yield the sessions of the current schema that are signed for `signed_for`, with their data."""
    store = _store(signed_for)
    for row in _rows().iterator(chunk_size=CHUNK_SIZE):
        if data := store.decode(row.session_data):
            yield row, data


def _store(schema: str) -> SessionStore:
    store: SessionStore = _engine()()
    store.schema = schema
    return store


def _rows() -> Manager[AbstractBaseSession]:
    rows: Manager[AbstractBaseSession] = _engine().get_model_class()._default_manager
    return rows


def _engine() -> Any:
    return import_string(f"{settings.SESSION_ENGINE}.SessionStore")
