"""One user's reading side."""

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.messages.storage.base import Message as OrdinaryMessage
from django.utils.translation import ngettext

from messages_extends import constants
from messages_extends.conf import settings
from messages_extends.models import Message
from messages_extends.querysets import UNREAD_CAP, MessageQuerySet


def messages_of(user: AbstractBaseUser) -> MessageQuerySet:
    """Return every message to `user` in the current schema: the only way to reach one by an id from a request."""
    return Message.objects.for_user(user)


def banners(user: AbstractBaseUser) -> list[Message | OrdinaryMessage]:
    """Return the newest unread messages of `user`, and "and n more" where that is not all: one query."""
    limit = settings.max_banners
    shown = list(messages_of(user).live().unread().banners(limit))
    total = shown[0].unread_total if shown else 0
    hidden = total - len(shown)
    return [*shown, _and_more(hidden, capped=total >= UNREAD_CAP)] if hidden else shown


def _and_more(count: int, *, capped: bool) -> OrdinaryMessage:
    text = ngettext("and %(count)s more", "and %(count)s more", count) % {"count": f"{count}+" if capped else count}
    return OrdinaryMessage(constants.INFO, text)
