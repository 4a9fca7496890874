"""Expressions of SQL that several querysets need."""

from django.contrib.postgres.expressions import ArraySubquery
from django.db import connections
from django.db.models import BooleanField, F, Func, IntegerField, Model, QuerySet, Subquery

from messages_extends.tenancy.databases import write_database


class IsAnyOf(Func):
    """Whether a column has one of the values of a subquery, which is evaluated once.

    PostgreSQL may evaluate `IN (SELECT … FOR UPDATE)` anew for each row, where it expects too many for its memory: then
    ten thousand rows take minutes.
    """

    template = "%(expressions)s)"
    arg_joiner = " = ANY("
    output_field = BooleanField()

    def __init__(self, column: str, chosen: "QuerySet[Model, object]") -> None:
        super().__init__(F(column), ArraySubquery(chosen))


class CountOf(Subquery):
    """How many rows a query has, its limit included."""

    template = "(SELECT count(*) FROM (%(subquery)s) AS counted)"
    output_field = IntegerField()


def quoted_table(queryset: "QuerySet[Model, object]") -> str:
    return connections[write_database()].ops.quote_name(queryset.model._meta.db_table)
