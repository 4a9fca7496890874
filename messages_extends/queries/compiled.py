"""Queries that the ORM compiles once and that are run with other values: compiling costs ten times what running does.

A query is built for two made-up readers. What differs between the two statements is where a reader's own values go;
what does not is the same for everybody. A query in which anything else differs is never prepared.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, cast
from uuid import UUID

from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import connections
from django.db.models import CharField, IntegerField, QuerySet, SmallIntegerField, UUIDField

from messages_extends.conf import settings
from messages_extends.tenancy.databases import read_database
from messages_extends.tenancy.origin import require_here
from messages_extends.tenancy.schemas import current_schema

Build = Callable[..., "QuerySet[Any, Any]"]
COUNT: Final = "SELECT count(*) FROM ({}) AS counted"
COUNT_EACH: Final = "SELECT person.{key}, ({count}) FROM {people} AS person WHERE person.{key} = ANY(%s)"


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
        return _fetch(self.sql, [value for _name, value in self._values(reader)])

    def run_for_each(self, keys: Collection[Any], reader: Reader) -> list[tuple[Any, ...]]:
        """Run it, as a number, for each of the people with these keys: where the reader's own was, theirs is."""
        connection = connections[read_database()]
        people: Any = get_user_model()._meta
        names = {
            "key": connection.ops.quote_name(people.pk.column),
            "people": connection.ops.quote_name(people.db_table),
        }
        values = self._values(reader)
        # An escaped percent sign is no place for a value.
        places = iter(["person.{key}".format(**names) if name == "user" else "%s" for name, _value in values])
        own = re.sub("%%|%s", lambda found: next(places) if found[0] == "%s" else found[0], self.sql)
        given = [value for name, value in values if name != "user"]
        return _fetch(COUNT_EACH.format(count=own, **names), [*given, list(keys)])

    def _values(self, reader: Reader) -> list[tuple[str | None, Any]]:
        values = reader.values
        pairs = zip(self.names, self.constants, strict=True)
        return [(name, constant if name is None else values[name]) for name, constant in pairs]


def rows(build: Build, reader: Reader, *shape: Any) -> list[tuple[Any, ...]]:
    """Return the rows of `build(reader, *shape)`; `shape` is all that the statement's text depends on."""
    return _run(build, reader, shape, "{}")


def count(build: Build, reader: Reader, *shape: Any) -> int:
    """Return how many rows `build(reader, *shape)` has."""
    return int(_run(build, reader, shape, COUNT)[0][0])


def count_each(build: Build, keys: Collection[Any], at: datetime, *shape: Any) -> Mapping[Any, int]:
    """Return how many rows `build(reader, *shape)` has for each of the people with these primary keys: one query.

    Who does not exist is left out.
    """
    schema, people = current_schema(), get_user_model()._base_manager
    template = _prepared(build, shape, COUNT, type(None))
    if template is None:
        readers = [Reader(user, at, schema) for user in people.using(read_database()).filter(pk__in=keys)]
        return {reader.user.pk: count(build, reader, *shape) for reader in readers}
    return dict(template.run_for_each(keys, Reader(people.model(), at, schema)))


def _run(build: Build, reader: Reader, shape: tuple[Any, ...], wrapping: str) -> list[tuple[Any, ...]]:
    require_here(reader.user)
    template = _prepared(build, shape, wrapping, type(reader.after_id))
    if template is None:
        sql, params = _compile(build(reader, *shape))
        template = Template(wrapping.format(sql), [None] * len(params), params)
    return template.run(reader)


def _fetch(sql: str, params: list[Any]) -> list[tuple[Any, ...]]:
    with connections[read_database()].cursor() as cursor:
        cursor.execute(sql, params)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


def _prepared(build: Build, shape: tuple[Any, ...], wrapping: str, id_type: type) -> Template | None:
    # A host's MEMBERS may ask for anything: what it says now may not be so for the next reader.
    return None if settings.members else _template(build, shape, wrapping, cast(Any, id_type), get_user_model())


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
