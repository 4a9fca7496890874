"""Names, types and stored values of models for SQL that is written by hand."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import connections
from django.db.models import Model, TextChoices

# Names of fields, each with the SQL of its value unless that is a parameter of its own.
Shape = tuple[tuple[str, str | None], ...]


class Parameter(NamedTuple):
    """A value that several fields have: the name of the parameter that the caller passes for all of them."""

    name: str


def names_of_people(using: str) -> dict[str, str]:
    """Return the table of users, its primary key and the type of that key, as SQL for the database `using`."""
    return _names_of(get_user_model(), using)


@lru_cache
def _names_of(people: Any, using: str) -> dict[str, str]:
    connection, options = connections[using], people._meta
    return {
        "people": connection.ops.quote_name(options.db_table),
        "key": connection.ops.quote_name(options.pk.column),
        "type": str(options.pk.rel_db_type(connection)),
    }


def shape_of(values: Mapping[str, Any]) -> Shape:
    """Return the names of fields to store, with SQL for the values that are part of the statement's text.

    They are those that are rarely different: empty values, true and false, numbers and choices. psycopg needs several
    microseconds to quote a value, and caches a text that it has seen.
    """
    return tuple([(name, _sql_of(value)) for name, value in values.items()])


def names_of_columns(model: type[Model], shape: Shape, using: str) -> dict[str, str]:
    """Return a model's table, its columns and their values as SQL: that of the shape, or one of `stored_values`."""
    connection, columns, values = connections[using], [], []
    for name, sql in shape:
        # In Django's stubs a field may be a reverse relation, and its column None.
        field: Any = model._meta.get_field(name)
        columns.append(connection.ops.quote_name(field.column))
        given = sql or f"%({_parameter(model, name)})s"
        # A constant has the type of the column that it is inserted into.
        is_constant = not given.startswith("%")
        values.append(given if is_constant else f"CAST({given} AS {field.db_type(connection)})")
    table = connection.ops.quote_name(model._meta.db_table)
    return {"table": table, "columns": ", ".join(columns), "values": ", ".join(values)}


def stored_values(model: type[Model], values: Mapping[str, Any], shape: Shape, using: str) -> dict[str, Any]:
    """Return the parameters of `names_of_columns`: the values as stored in the database, with the keys of users.

    Values of fields that are not in the shape are parameters too. The names begin with the model's name, because a
    statement may write rows of several models.
    """
    connection, found, known = connections[using], {}, dict(shape)
    for name, value in values.items():
        if known.get(name) is None:
            field: Any = model._meta.get_field(name)
            plain = value.pk if isinstance(value, AbstractBaseUser) else value
            found[_parameter(model, name)] = field.get_db_prep_save(plain, connection)
    return found


def _sql_of(value: Any) -> str | None:
    if value is None:
        return "NULL"
    if type(value) is str:
        return None if value else "''"
    if isinstance(value, Parameter):
        return f"%({value.name})s"
    if isinstance(value, TextChoices):
        # Named in our own code, so that it needs no quoting.
        return f"'{value.value}'"
    if isinstance(value, int):
        # Or true or false.
        return str(value).lower()
    return "''" if value == "" else None


def _parameter(model: type[Model], field: str) -> str:
    return f"{model._meta.model_name}_{field}"
