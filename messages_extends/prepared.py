"""Queries that the ORM compiles once and that are run with other values: compiling costs ten times what running does.

A query is built for two made-up readers. What differs between the two statements is where a reader's own values go;
what does not is the same for everybody. A query in which anything else differs is never prepared.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, cast
from uuid import UUID

from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import connections
from django.db.models import CharField, IntegerField, QuerySet, SmallIntegerField, UUIDField
from django_tenants.utils import get_tenant_database_alias

from messages_extends.conf import settings
from messages_extends.tenancy.stamp import require_here

Build = Callable[..., "QuerySet[Any, Any]"]


@dataclass(frozen=True)
class Reader:
    """Who reads what, when and where; the last two are where a page of theirs begins."""

    user: AbstractBaseUser
    at: datetime
    schema: str
    after: datetime | None = None
    after_id: Any = None

    @property
    def values(self) -> Mapping[str, Any]:
        return {
            "user": self.user.pk,
            "at": self.at,
            "schema": self.schema,
            "after": self.after,
            "after_id": self.after_id,
        }


@dataclass(frozen=True)
class Template:
    sql: str
    # The name of a reader's value, or a constant.
    names: Sequence[str | None]
    constants: Sequence[Any]

    def run(self, reader: Reader) -> list[tuple[Any, ...]]:
        values = reader.values
        pairs = zip(self.names, self.constants, strict=True)
        with connections[get_tenant_database_alias()].cursor() as cursor:
            cursor.execute(self.sql, [constant if name is None else values[name] for name, constant in pairs])
            rows: list[tuple[Any, ...]] = cursor.fetchall()
            return rows


def rows(build: Build, reader: Reader, *shape: Any) -> list[tuple[Any, ...]]:
    """Return the rows of `build(reader, *shape)`; `shape` is all that the statement's text depends on."""
    return _run(build, reader, shape, "{}")


def count(build: Build, reader: Reader, *shape: Any) -> int:
    """Return how many rows `build(reader, *shape)` has."""
    return int(_run(build, reader, shape, "SELECT count(*) FROM ({}) AS counted")[0][0])


def _run(build: Build, reader: Reader, shape: tuple[Any, ...], wrapping: str) -> list[tuple[Any, ...]]:
    require_here(reader.user)
    template = None
    # A host's MEMBERS may ask for anything: what it says now may not be so for the next reader.
    if settings.members is None:
        template = _template(build, shape, wrapping, cast(Any, type(reader.after_id)), get_user_model())
    if template is None:
        sql, params = _compile(build(reader, *shape))
        template = Template(wrapping.format(sql), [None] * len(params), params)
    return template.run(reader)


@lru_cache(maxsize=512)
def _template(build: Build, shape: tuple[Any, ...], wrapping: str, id_type: Any, model: Any) -> Template | None:
    """Compile a query for every reader; None if nothing proves that it holds for every reader."""
    readers = [_made_up(model, id_type, seed) for seed in (1, 2)]
    statements = [_compile(build(each, *shape)) for each in readers if each is not None]
    if len(statements) != 2 or statements[0][0] != statements[1][0]:
        return None
    sql, constants = statements[0]
    one, other = ({value: name for name, value in each.values.items()} for each in readers if each is not None)
    names: list[str | None] = []
    for first, second in zip(constants, statements[1][1], strict=True):
        name = None if first == second else one.get(first)
        if first != second and (name is None or name != other.get(second)):
            return None
        names.append(name)
    return Template(wrapping.format(sql), names, constants)


def _compile(queryset: "QuerySet[Any, Any]") -> tuple[str, tuple[Any, ...]]:
    sql, params = queryset.query.get_compiler(using=queryset.db).as_sql()
    return sql, tuple(params)


def _made_up(model: Any, id_type: type, seed: int) -> Reader | None:
    """Return a reader none of whose values any real one has; None for a user model whose key we cannot make up."""
    make = _maker(model._meta.pk)
    if make is None:
        return None
    return Reader(
        user=model(pk=make(seed * 10)),
        at=datetime(1900 + seed, 1, 1, tzinfo=UTC),
        schema=f"made up {seed}",
        after=datetime(1900 + seed, 2, 2, tzinfo=UTC),
        after_id=None if id_type is type(None) else (_uuid if id_type is UUID else _number)(seed * 10 + 1),
    )


def _maker(key: Any) -> Callable[[int], Any] | None:
    if isinstance(key, SmallIntegerField):
        # Any number that it can hold may be somebody's.
        return None
    kinds: list[tuple[type, Callable[[int], Any]]] = [(UUIDField, _uuid), (IntegerField, _number), (CharField, str)]
    return next((make for kind, make in kinds if isinstance(key, kind)), None)


def _number(seed: int) -> int:
    return 2_000_000_000 + seed


def _uuid(seed: int) -> UUID:
    return UUID(int=_number(seed))
