"""The abstract base model of rows that a user or the application has written."""

from collections.abc import Collection, Iterable
from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from messages_extends.tenancy.origin import TenantBound


class FromSender(TenantBound):
    """A row that a user or the application has written.

    `from_person` remains true when the sender is deleted or erased, so that the text is not attributed to the
    application.
    """

    from_person = models.BooleanField(_("sent by a person"), default=False, db_default=False, editable=False)

    class Meta:
        abstract = True

    def save_base(self, *args: Any, update_fields: Iterable[str] | None = None, **kwargs: Any) -> None:
        set_from_person(self)
        names = None if update_fields is None else with_from_person(set(update_fields))
        super().save_base(*args, update_fields=names, **kwargs)


def set_from_person(row: "FromSender") -> None:
    """Set `from_person` on a row that has a sender, before it is written."""
    if row.__dict__.get("sender_id") is not None:
        row.from_person = True


def with_from_person(fields: Collection[str]) -> Collection[str]:
    """Return the names of fields to write, with `from_person` if the sender is among them."""
    return {*fields, "from_person"} if {"sender", "sender_id"} & set(fields) else fields
