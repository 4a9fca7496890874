"""Translation of database errors into exceptions of this package."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import IntegrityError
from psycopg.errors import ForeignKeyViolation

from messages_extends.exceptions import RecipientUnavailable


@contextmanager
def translate_fk_violation() -> Iterator[None]:
    """Raise RecipientUnavailable if a transaction refers to a row that has been deleted since it was loaded."""
    try:
        yield
    except IntegrityError as error:
        if isinstance(error.__cause__, ForeignKeyViolation):
            raise RecipientUnavailable from error
        raise
