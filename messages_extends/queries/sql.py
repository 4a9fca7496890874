"""What SQL that is written by hand needs to know of the user model."""

from functools import lru_cache
from typing import Any

from django.contrib.auth import get_user_model
from django.db import connections


def names_of_people(using: str) -> dict[str, str]:
    """Return the table of users, its primary key and that key's type, as SQL for the database `using`."""
    return _names_of(get_user_model(), using)


@lru_cache
def _names_of(people: Any, using: str) -> dict[str, str]:
    connection, options = connections[using], people._meta
    return {
        "people": connection.ops.quote_name(options.db_table),
        "key": connection.ops.quote_name(options.pk.column),
        "type": str(options.pk.rel_db_type(connection)),
    }
