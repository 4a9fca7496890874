"""Primary keys that a request names."""

from collections.abc import Iterable
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Model

from messages_extends.sending.cleaning import require_characters


def as_keys(model: type[Model], texts: Iterable[str]) -> set[Any]:
    """Return `texts` as primary keys of `model`, without invalid ones."""
    return {key for text in texts if (key := as_key(model, text)) is not None}


def as_key(model: type[Model], text: str) -> object:
    """Return `text` as a primary key of `model`; None if it is not valid."""
    try:
        require_characters("key", text)
        key: object = model._meta.pk.to_python(text)
        model._meta.pk.run_validators(key)
    except (ValidationError, ValueError):
        return None
    return key
