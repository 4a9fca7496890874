"""SQL expressions that several querysets use."""

from django.db import connections
from django.db.models import BooleanField, F, Func, Model, QuerySet, Subquery

from messages_extends.tenancy.databases import write_database


class ArrayOf(Subquery):
    """The values of a subquery as an array, without what `django.contrib.postgres` imports for its fields and forms."""

    template = "ARRAY(%(subquery)s)"


class IsAnyOf(Func):
    """Test whether a column has one of the values of a subquery that is evaluated once.

    PostgreSQL may evaluate `IN (SELECT … FOR UPDATE)` for each row if it expects more values than fit into its memory.
    Ten thousand rows then take minutes.
    """

    template = "%(expressions)s)"
    arg_joiner = " = ANY("
    output_field = BooleanField()

    def __init__(self, column: str, chosen: "QuerySet[Model, object]") -> None:
        super().__init__(F(column), ArrayOf(chosen))


def quoted_table(queryset: "QuerySet[Model, object]") -> str:
    return connections[write_database()].ops.quote_name(queryset.model._meta.db_table)
