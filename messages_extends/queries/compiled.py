"""Compiled queries: the ORM compiles them once, which takes ten times as long as running them with other values.

A query is built by a function of named values. To compile it, the function is called with a slot, which is an
expression, in place of each value; everything else in the query is a constant. Users are passed as objects, because
related managers and `get_prep_value` need a real key. The query is therefore compiled for two users who do not exist,
and the values in which the two differ are the keys. A query that differs in anything else is not kept.
"""

import re
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import lru_cache
from types import FunctionType
from typing import Any, Final, NamedTuple, Self
from uuid import UUID

from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import EmptyResultSet
from django.db import connections
from django.db.models import (
    BooleanField,
    CharField,
    Expression,
    F,
    IntegerField,
    Model,
    Q,
    QuerySet,
    SmallIntegerField,
    UUIDField,
)

from messages_extends.conf import settings
from messages_extends.tenancy.origin import check_tenant
from messages_extends.tenancy.schemas import users_are_shared

Build = Callable[..., "QuerySet[Any, Any]"]
Values = Mapping[str, Any]

# In a compiled condition, the alias of the table and the placeholder for the primary key of its rows.
ROW: Final = "messages_extends_row"
KEY: Final = "key_of_row"
COUNT: Final = "SELECT count(*) FROM ({query}) AS counted"
PARAMETER: Final = re.compile(r"%%|%\((\w+)\)s")
# Printable ASCII without characters that have a meaning in a literal or for psycopg: % ' \
PLAIN_TEXT: Final = re.compile(r"[ -$&(-\[\]-~]*")


class Slot(Expression):
    """A placeholder for a value in a compiled query."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        return "%s", [self]

    def __str__(self) -> str:
        raise TypeError(f"The value {self.name!r} is not known while a query is compiled: leave it to the database.")


class CompiledCondition(Expression):
    """A condition on the primary key of a queryset's rows, as compiled SQL."""

    def __init__(self, key: Any, sql: str, parameters: tuple[tuple[str, Any], ...]) -> None:
        super().__init__(output_field=BooleanField())
        self.key = key
        self.sql = sql
        self.parameters = parameters

    def get_source_expressions(self) -> list[Any]:
        return [self.key]

    def set_source_expressions(self, exprs: Sequence[Any]) -> None:
        (self.key,) = exprs

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        key, _none = compiler.compile(self.key)
        values, used = dict(self.parameters), []

        def placed(found: re.Match[str]) -> str:
            if found[1] is None or found[1] == KEY:
                return found[0] if found[1] is None else str(key)
            used.append(values[found[1]])
            return "%s"

        return f"({re.sub(PARAMETER, placed, self.sql)})", used


class CacheKey(NamedTuple):
    """Everything that the SQL of a compiled query depends on.

    That does not include the schema, which the search path selects.
    """

    build: Build
    values: tuple[str, ...]
    people: tuple[str, ...]
    shape: tuple[tuple[str, Hashable], ...]
    using: str
    user_model: Any
    users_are_shared: bool


class CompiledQuery(NamedTuple):
    """SQL for one database with named parameters: slots, which are filled at each run, and constants."""

    sql: str
    constants: Mapping[str, Any]
    using: str

    @classmethod
    def of(cls, queryset: "QuerySet[Any, Any]", using: str, name: str) -> Self:
        """Compile a queryset; its constants are named after `name`. Raises EmptyResultSet if it cannot have rows."""
        sql, parameters = queryset.query.get_compiler(using=using).as_sql()
        return cls.named(sql, parameters, using, name)

    @classmethod
    def named(cls, sql: str, parameters: Sequence[Any], using: str, name: str) -> Self:
        """Name the parameters of compiled SQL: slots by their own names, constants after `name`."""
        names = [one.name if isinstance(one, Slot) else f"{name}_{place}" for place, one in enumerate(parameters)]
        constants = {key: one for key, one in zip(names, parameters, strict=True) if not isinstance(one, Slot)}
        return cls(_filled(sql, [f"%({each})s" for each in names]), constants, using)

    def parameters(self, values: Values) -> dict[str, Any]:
        """Return the values of all parameters; the value of a user is the primary key."""
        return {**self.constants, **{name: self._stored(value) for name, value in values.items()}}

    @classmethod
    def around(cls, statement: str, **queries: Self) -> Self:
        """Return a statement that contains several queries for one database, each by its name."""
        constants = {name: value for each in queries.values() for name, value in each.constants.items()}
        (using,) = {each.using for each in queries.values()}
        return cls(statement.format(**{name: each.sql for name, each in queries.items()}), constants, using)

    def with_column(self, name: str, column: str) -> Self:
        """Return the query with a column of the outer statement in place of the value `name`."""
        return type(self)(self.sql.replace(f"%({name})s", column), self.constants, self.using)

    def run(self, values: Values, statement: str = "{query}", **names: str) -> list[tuple[Any, ...]]:
        """Return the rows of the query, or of a `statement` around it, which may contain `names` as well."""
        with connections[self.using].cursor() as cursor:
            cursor.execute(statement.format(query=self.sql, **names), self.parameters(values))
            found: list[tuple[Any, ...]] = cursor.fetchall()
        return found

    def _stored(self, value: Any) -> Any:
        if isinstance(value, AbstractBaseUser):
            return value._meta.pk.get_db_prep_value(value.pk, connections[self.using])
        return value


def compiled_query(build: Build, values: Values, using: str, *, keep: bool = True, **shape: Any) -> CompiledQuery:
    """Return the query `build(**values, **shape)` for the database `using`, compiled once for all values if possible.

    Its SQL may depend on `shape`, but not on a value. It is compiled for these values only without `keep`, and if it
    cannot be proved that the SQL is the same for all users. Raises WrongTenant for a user of another tenant, and
    EmptyResultSet for a query that cannot have rows.
    """
    for value in values.values():
        check_tenant(value)
    known = kept_query(build, values, using, **shape) if keep else None
    return known or CompiledQuery.of(build(**values, **shape), using, build.__name__)


def kept_query(build: Build, values: Values, using: str, **shape: Any) -> CompiledQuery | None:
    """Return the query that is the same for all users; None if that cannot be proved."""
    # MEMBERS may depend on anything, and a closure may contain values of one user.
    if settings.members or not isinstance(build, FunctionType) or build.__closure__:
        return None
    people = tuple([name for name, value in values.items() if isinstance(value, AbstractBaseUser)])
    key = CacheKey(build, tuple(values), people, tuple(shape.items()), using, get_user_model(), users_are_shared())
    return _compiled_for_everybody(key)


def rows(build: Build, values: Values, using: str, *, keep: bool = True, **shape: Any) -> list[tuple[Any, ...]]:
    """Return the rows of `build(**values, **shape)`, as they are in the database `using`."""
    return _run("{query}", build, values, using, keep=keep, **shape)


def count(build: Build, values: Values, using: str, **shape: Any) -> int:
    """Return the number of rows of `build(**values, **shape)`."""
    return sum(number for (number,) in _run(COUNT, build, values, using, **shape))


def condition(build: Callable[..., Q], values: Values, using: str, *, model: type[Model], **shape: Any) -> Q:
    """Return the condition `build(**values, **shape)` on rows of `model`, compiled once for all values if possible.

    It must not refer to any other column of these rows than the primary key.
    """
    query = kept_query(_keys_of_rows, values, using, model=model, says=build, **shape)
    where = query.sql.partition(" WHERE ")[2] if query else ""
    if query is None or not where:
        return build(**values, **shape)
    quote = connections[using].ops.quote_name
    # Django 6.1 quotes aliases, and earlier versions do not.
    for alias in (quote(ROW), ROW):
        where = where.replace(f"{alias}.{quote(str(model._meta.pk.column))}", f"%({KEY})s")
    return Q(CompiledCondition(F("pk"), where, (*query.parameters(values).items(),)))


def _keys_of_rows(*, model: type[Model], says: Callable[..., Q], **given: Any) -> "QuerySet[Any, Any]":
    rows = model._base_manager.filter(says(**given)).order_by().values("pk")
    # An alias that no subquery has, to tell these rows from others in the SQL.
    rows.query.change_aliases({str(rows.query.get_initial_alias()): ROW})
    return rows


def _run(statement: str, build: Build, values: Values, using: str, **shape: Any) -> list[tuple[Any, ...]]:
    try:
        query = compiled_query(build, values, using, **shape)
    except EmptyResultSet:
        return []
    return query.run(values, statement)


@lru_cache(maxsize=512)
def _compiled_for_everybody(key: CacheKey) -> CompiledQuery | None:
    make = key_maker(key.user_model._meta.pk)
    if key.people and make is None:
        return None
    ours, theirs = [{name: make(10 * seed + n) for n, name in enumerate(key.people) if make} for seed in (1, 2)]
    slots = {name: Slot(name) for name in key.values if name not in key.people}
    compiled: list[tuple[str, Sequence[Any]]] = []
    try:
        for keys in (ours, theirs):
            people = {name: key.user_model(pk=pk) for name, pk in keys.items()}
            queryset = key.build(**people, **slots, **dict(key.shape))
            compiled.append(queryset.query.get_compiler(using=key.using).as_sql())
    except EmptyResultSet:
        return None
    (sql, parameters), (other_sql, others) = compiled
    if sql != other_sql:
        return None
    found = []
    for one, other in zip(parameters, others, strict=True):
        whose = [name for name in key.people if (one, other) == (ours[name], theirs[name])]
        if not whose and (type(one) is not type(other) or one != other):
            return None
        found.append(Slot(whose[0]) if whose else one)
    # Constants in the SQL need not be sent by psycopg at each run.
    literals = [_literal(one) for one in found]
    others = [one for one, literal in zip(found, literals, strict=True) if literal is None]
    text = _filled(sql, [literal or "%s" for literal in literals])
    return CompiledQuery.named(text, others, key.using, key.build.__name__)


def _filled(sql: str, texts: Iterable[str]) -> str:
    """Return the statement with `texts` in place of its parameters. An escaped percent sign is not a parameter."""
    places = iter(texts)
    return re.sub("%%|%s", lambda found: next(places) if found[0] == "%s" else found[0], sql)


def _literal(value: Any) -> str | None:
    """Return a number, a boolean or plain text as SQL; None for values that psycopg must quote."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        # With a space, because two minus signs begin a comment.
        return f" {int(value)}"
    if isinstance(value, str) and PLAIN_TEXT.fullmatch(value):
        return f"'{value}'"
    return None


def key_maker(field: Any) -> Callable[[int], Any] | None:
    """Return a function that generates primary keys that do not exist; None if there are none for this field."""
    if isinstance(field, SmallIntegerField):
        # All of its numbers may be in use.
        return None
    kinds: list[tuple[type, Callable[[int], Any]]] = [
        (UUIDField, lambda seed: UUID(int=_number(seed))),
        (IntegerField, _number),
        (CharField, str),
    ]
    return next((make for kind, make in kinds if isinstance(field, kind)), None)


def _number(seed: int) -> int:
    return 2_000_000_000 + seed
