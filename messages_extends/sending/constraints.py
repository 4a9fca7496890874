"""Errors of the database's constraints, as errors that a caller understands."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import IntegrityError
from psycopg.errors import ForeignKeyViolation

from messages_extends.exceptions import RecipientUnavailable


@contextmanager
def translate_fk_violation() -> Iterator[None]:
    """Raise RecipientUnavailable where a transaction names what has been deleted since it was loaded."""
    try:
        yield
    except IntegrityError as error:
        if isinstance(error.__cause__, ForeignKeyViolation):
            raise RecipientUnavailable from error
        raise
