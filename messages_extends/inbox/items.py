"""The items of the inbox: messages, and publications as one reader sees them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Final, Literal, get_args
from uuid import UUID

from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.messages.storage import base as messages_storage
from django.db.models import QuerySet
from django.utils.functional import cached_property
from django.utils.translation import gettext

from messages_extends.models import Message
from messages_extends.models.content import Display, equals_ordinary
from messages_extends.models.marks import MARKS, HasMarks
from messages_extends.models.publication import Reference
from messages_extends.tenancy.databases import read_database
from messages_extends.tenancy.schemas import current_schema, in_schema
from messages_extends.texts.content import RenderedContent
from messages_extends.texts.languages import in_interface_language
from messages_extends.texts.links import shown_link
from messages_extends.texts.rendering import Params

Kind = Literal["message", "announcement", "broadcast"]

# The kinds, in the order of items with the same time.
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

# The column that says when each kind was written or published.
TIME_COLUMNS: Final[Mapping[Kind, str]] = {
    "message": "created",
    "announcement": "publish_at",
    "broadcast": "publish_at",
}

TEXT_COLUMNS: Final = (
    *("level", "title", "message", "params", "extra_tags", "url", "url_label", "display", "category", "group"),
    *("is_safe", "key", "expires", "read_at", *MARKS, "shows_at"),
)

# In a row, which begins with the kind and the primary key.
DISPLAY_COLUMN: Final = 2 + TEXT_COLUMNS.index("display")


@dataclass(kw_only=True)
class FeedItem(HasMarks, RenderedContent):
    """A publication as one reader sees it, with the attributes of a message that templates use.

    `from_person` remains true for an announcement whose sender has been deleted.
    """

    kind: Kind
    pk: str
    level: int
    title: str = ""
    message: str
    params: Params
    extra_tags: str
    url: str
    url_label: str = ""
    display: str = Display.BANNER.value
    category: str = ""
    group: str = ""
    is_safe: bool
    key: str
    created: datetime
    expires: datetime
    read_at: datetime | None
    archived_at: datetime | None = None
    snoozed_until: datetime | None = None
    saved_at: datetime | None = None
    shows_at: datetime
    must_acknowledge: bool
    author: str
    sender_id: object
    from_person: bool
    # The schema of the sender: in another one the same primary key identifies another user.
    schema: str = field(default_factory=current_schema)

    def __eq__(self, other: object) -> bool:
        """Compare equal to an ordinary message with the same level and text, as Django's `assertMessages` needs."""
        if isinstance(other, messages_storage.Message):
            return equals_ordinary(self, other)
        if not isinstance(other, FeedItem):
            return NotImplemented
        return all(getattr(self, each.name) == getattr(other, each.name) for each in fields(self))

    # Unhashable, like every mutable dataclass that is compared by its fields.
    __hash__ = None  # type: ignore[assignment]

    @cached_property
    def sender(self) -> AbstractBaseUser | str | None:
        """The sender of an announcement, loaded on access, or the author's name of a broadcast.

        None for the application and for deleted users.
        """
        if self.kind == "broadcast":
            with in_interface_language():
                return self.author or gettext("The platform")
        if self.sender_id is None:
            return None
        with in_schema(self.schema):
            people: QuerySet[AbstractBaseUser] = get_user_model()._default_manager.using(read_database())
            return people.filter(pk=self.sender_id).first()

    @property
    def read(self) -> bool:
        return self.read_at is not None

    @property
    def level_tag(self) -> str:
        return str(messages_storage.LEVEL_TAGS.get(self.level, ""))

    @property
    def tags(self) -> str:
        """The CSS classes: extra tags, the tag of the level, the kind, and "read" or "unread"."""
        words = (self.extra_tags, self.level_tag, self.kind, "read" if self.read else "unread")
        return " ".join(word for word in words if word)


def as_feed_item(values: tuple[Any, ...], user: AbstractBaseUser) -> "Message | FeedItem":
    """Return the item for a row of the union query, without what it counts."""
    kind, pk, *text, created, sender_id, from_person, author, revision, must_acknowledge = values
    columns = dict(zip(TEXT_COLUMNS, text, strict=True))
    columns |= {"created": created, "sender_id": sender_id, "from_person": from_person}
    if columns["params"] is not None:
        columns["params"] = json.loads(columns["params"])
    # Compiled queries bypass LinkField.from_db_value.
    columns["url"] = shown_link(columns["url"])
    if kind == "message":
        columns |= {"id": Message._meta.pk.to_python(pk), "user_id": user.pk}
        # from_db() expects the order of the model's fields. The other fields are deferred.
        names = [each.attname for each in Message._meta.concrete_fields if each.attname in columns]
        return Message.from_db(read_database(), names, [columns[name] for name in names])
    reference = Reference(UUID(pk), revision)
    return FeedItem(kind=kind, pk=str(reference), author=author, must_acknowledge=must_acknowledge, **columns)
