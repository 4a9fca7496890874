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


def test_where_it_was_made_it_can_be_read(copied: str) -> None:
    with schema_context("acme"):
        assert SessionStore(copied)["secret"] == "of acme"


def test_elsewhere_it_is_empty_and_saving_takes_another_key(copied: str) -> None:
    with schema_context("globex"):
        before = Session.objects.get(pk=copied).session_data
        store = SessionStore(copied)
        assert store.get("secret") is None
        store["cart"] = 1
        store.save()
        assert store.session_key != copied
        assert Session.objects.get(pk=copied).session_data == before


def test_the_schema_is_that_of_the_moment_it_was_made(acme: Tenant, globex: Tenant) -> None:
    with schema_context("acme"):
        store = SessionStore()
    with schema_context("globex"):
        assert store.decode(store.encode({"a": 1})) == {"a": 1}
        assert SessionStore().decode(store.encode({"a": 1})) == {}


def test_in_async_code_it_is_bound_to_the_schema_it_was_made_in(acme: Tenant, globex: Tenant) -> None:
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


def test_in_public_without_a_table_async_code_finds_it_empty_and_cannot_save(db: None) -> None:
    async def use(store: SessionStore) -> None:
        assert not await store.aexists("a" * 32)
        assert await store.aget("secret") is None
        await store.adelete("a" * 32)
        with pytest.raises(NoSessionTable):
            await store.asave()

    async_to_sync(use)(SessionStore("a" * 32))
