"""The session engine: what it makes in one schema means nothing in another, and is left alone there."""

from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.sessions.models import Session
from django_tenants.utils import schema_context

from messages_extends.exceptions import NoSessionTable
from messages_extends.tenancy.sessions import SessionStore
from tenants.models import Tenant


@pytest.fixture
def copied(acme: Tenant, globex: Tenant) -> str:
    """A session of acme whose row lies in globex too, as in a cloned schema or a table that both share."""
    with schema_context("acme"):
        store = SessionStore()
        store["secret"] = "of acme"
        store.save()
        row = Session.objects.get(pk=store.session_key)
    with schema_context("globex"):
        Session(session_key=row.pk, session_data=row.session_data, expire_date=row.expire_date).save(force_insert=True)
    return str(store.session_key)


def test_session_in_own_schema_is_readable(copied: str) -> None:
    with schema_context("acme"):
        assert SessionStore(copied)["secret"] == "of acme"


def test_session_in_other_schema_is_empty_and_saves_under_new_key(copied: str) -> None:
    with schema_context("globex"):
        before = Session.objects.get(pk=copied).session_data
        store = SessionStore(copied)
        assert store.get("secret") is None
        store["cart"] = 1
        store.save()
        assert store.session_key != copied
        assert Session.objects.get(pk=copied).session_data == before


def test_session_store_is_bound_to_schema_at_creation(acme: Tenant, globex: Tenant) -> None:
    with schema_context("acme"):
        store = SessionStore()
    with schema_context("globex"):
        assert store.decode(store.encode({"a": 1})) == {"a": 1}
        assert SessionStore().decode(store.encode({"a": 1})) == {}


def test_async_session_methods_are_bound_to_schema_at_creation(acme: Tenant, globex: Tenant) -> None:
    async def write(store: SessionStore) -> str:
        await store.aset("secret", "of acme")
        await store.asave()
        assert await store.aexists(store.session_key)
        return str(store.session_key)

    async def read(store: SessionStore) -> Any:
        return await store.aget("secret")

    with schema_context("acme"):
        key = async_to_sync(write)(SessionStore())
        assert async_to_sync(read)(SessionStore(key)) == "of acme"
    with schema_context("globex"):
        assert async_to_sync(read)(SessionStore(key)) is None
    with schema_context("acme"):
        async_to_sync(SessionStore(key).adelete)()
        assert not SessionStore().exists(key)


def test_async_session_without_table_is_empty_and_refuses_save(db: None) -> None:
    async def use(store: SessionStore) -> None:
        assert not await store.aexists("a" * 32)
        assert await store.aget("secret") is None
        await store.adelete("a" * 32)
        with pytest.raises(NoSessionTable):
            await store.asave()

    async_to_sync(use)(SessionStore("a" * 32))
