"""What SQL that is written by hand needs to know of the user model."""

from typing import Any

from django.contrib.auth import get_user_model
from django.db import connections


def names_of_people(using: str) -> dict[str, str]:
    """Return the table of users, its primary key and that key's type, as SQL for the database `using`."""
    connection, people = connections[using], get_user_model()
    options: Any = people._meta
    return {
        "people": connection.ops.quote_name(options.db_table),
        "key": connection.ops.quote_name(options.pk.column),
        "type": str(options.pk.rel_db_type(connection)),
    }
