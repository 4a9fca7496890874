"""What a person may have written, or the application itself."""

from collections.abc import Collection, Iterable
from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from messages_extends.tenancy.origin import TenantBound


class FromSender(TenantBound):
    """What a person has written, or the application itself.

    `from_person` stays when the sender is deleted or erased: their text does not become the application's own.
    """

    from_person = models.BooleanField(_("written by a person"), default=False, db_default=False, editable=False)

    class Meta:
        abstract = True

    def save_base(self, *args: Any, update_fields: Iterable[str] | None = None, **kwargs: Any) -> None:
        set_from_person(self)
        names = None if update_fields is None else with_from_person(set(update_fields))
        super().save_base(*args, update_fields=names, **kwargs)


def set_from_person(row: "FromSender") -> None:
    """Note on a row that is about to be written that a person is its sender, if one is."""
    if row.__dict__.get("sender_id") is not None:
        row.from_person = True


def with_from_person(fields: Collection[str]) -> Collection[str]:
    """Return the names of fields to write, with what goes together with the sender."""
    return {*fields, "from_person"} if {"sender", "sender_id"} & set(fields) else fields
