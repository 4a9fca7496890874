"""Fact 1, seen at work: which ways into a schema and back survive a second thread."""

from collections.abc import Callable
from functools import partial
from threading import Barrier
from typing import Any

import pytest
from django.db import connection
from django_tenants.models import TenantMixin
from django_tenants.utils import get_tenant_model, schema_context

from messages_extends.models import Message
from messages_extends.tenancy.schemas import in_schema
from tenants.models import Tenant
from tests.factories import MakeMessage, MakeUser

Block = Callable[[Callable[[], None]], None]
InThreads = Callable[..., list[Any]]


def schema_in_force() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_schema()")
        return str(cursor.fetchone()[0])


def interleaved(in_threads: InThreads, block: Block) -> list[str]:
    """Have two threads, of acme and of globex, inside `block` at the same time; return where each is after it.

    The one of acme enters first and leaves first.
    """
    first_is_in, both_are_in, first_is_out = Barrier(2, timeout=10), Barrier(2, timeout=10), Barrier(2, timeout=10)

    def first() -> str:
        connection.set_schema("acme")
        block(lambda: meet(first_is_in, both_are_in))
        meet(first_is_out)
        return schema_in_force()

    def second() -> str:
        connection.set_schema("globex")
        meet(first_is_in)
        block(lambda: meet(both_are_in, first_is_out))
        return schema_in_force()

    return in_threads(first, second)


def meet(*barriers: Barrier) -> None:
    for barrier in barriers:
        barrier.wait()


def by_tenant(then: Callable[[], None], tenant: Any) -> None:
    with tenant:
        then()


@schema_context("public")  # type: ignore[untyped-decorator]
def by_decorator(then: Callable[[], None]) -> None:
    then()


def by_schema_context(then: Callable[[], None]) -> None:
    with schema_context("public"):
        then()


def by_inside(then: Callable[[], None]) -> None:
    with in_schema("public"):
        then()


def test_tenant_with_statement_swaps_schemas_of_two_threads(
    in_threads: InThreads, monkeypatch: pytest.MonkeyPatch
) -> None:
    public = get_tenant_model()(schema_name="public")
    monkeypatch.setattr(get_tenant_model(), "__enter__", TenantMixin.__enter__)
    assert interleaved(in_threads, partial(by_tenant, tenant=public)) == ["globex", "acme"]


def test_reference_tenant_model_refuses_with_statement(acme: Tenant) -> None:
    with pytest.raises(TypeError, match="tenant_context"), acme:
        pass
    assert schema_in_force() == "public"


def test_decorated_function_leaves_thread_in_public_schema(in_threads: InThreads) -> None:
    assert interleaved(in_threads, by_decorator) == ["public", "globex"]


@pytest.mark.parametrize("block", [by_schema_context, by_inside])
def test_context_per_block_restores_schema_of_each_thread(in_threads: InThreads, block: Block) -> None:
    assert interleaved(in_threads, block) == ["acme", "globex"]


@pytest.mark.parametrize("enter", [schema_context, in_schema])
def test_threads_read_messages_of_own_tenant_only(
    in_threads: InThreads, enter: Any, make_user: MakeUser, make_message: MakeMessage
) -> None:
    for schema in ("acme", "globex"):
        with schema_context(schema):
            make_message(make_user(pk=1), f"of {schema}", pk=1)
    start = Barrier(8)

    def read(schema: str) -> set[str]:
        start.wait(10)
        connection.set_schema(schema)
        seen = set()
        for _ in range(50):
            with enter("public"):
                schema_in_force()
            seen.add(Message.objects.get(pk=1).message)
        return seen

    schemas = ["acme", "globex"] * 4
    assert in_threads(*(partial(read, schema) for schema in schemas)) == [{f"of {schema}"} for schema in schemas]
