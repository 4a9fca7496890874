"""The session engine: what it makes in one schema means nothing in another, and is left alone there."""

from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django_tenants.utils import schema_context

from messages_extends.tenancy.sessions import SessionStore


@pytest.fixture
def copied(acme: Any, globex: Any) -> str:
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


def test_the_schema_is_that_of_the_moment_it_was_made(acme: Any, globex: Any) -> None:
    with schema_context("acme"):
        store = SessionStore()
    with schema_context("globex"):
        assert store.decode(store.encode({"a": 1})) == {"a": 1}
        assert SessionStore().decode(store.encode({"a": 1})) == {}
