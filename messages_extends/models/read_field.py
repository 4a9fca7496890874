"""The field `read`, which the database generates and code for django-messages-extends may assign."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from django.db.models import GeneratedField
from django.utils import timezone

if TYPE_CHECKING:
    from messages_extends.models.message import Message


class ReadAttribute:
    """The descriptor of `read`: it reflects `read_at`, and assigning to it sets or clears `read_at`."""

    def __init__(self, field: GeneratedField) -> None:
        self.field = field

    def __get__(self, message: "Message | None", owner: type["Message"]) -> "ReadAttribute | bool":
        if message is None:
            return self
        if "read_at" not in message.__dict__ and "read" in message.__dict__:
            # read_at is deferred: loading it would need a query.
            return cast(bool, message.__dict__["read"])
        return message.read_at is not None

    def __set__(self, message: "Message", value: bool) -> None:
        message.__dict__["read"] = value
        if value != (message.__dict__.get("read_at") is not None):
            message.read_at = timezone.now() if value else None


class ReadField(GeneratedField):
    """Store `read_at IS NOT NULL` as a generated column."""

    descriptor_class = ReadAttribute

    def deconstruct(self) -> tuple[str, str, Sequence[object], dict[str, object]]:
        name, _path, args, kwargs = super().deconstruct()
        return name, "django.db.models.GeneratedField", args, kwargs
