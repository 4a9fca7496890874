"""What one user has sent to others, and how many of them have read it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.contrib.auth.base_user import AbstractBaseUser
from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery
from django.utils import timezone

from messages_extends.access.membership import may_act, member
from messages_extends.access.policy import policy
from messages_extends.exceptions import NoSuchMessage
from messages_extends.inbox.cursor import Cursor
from messages_extends.models import Message
from messages_extends.models.audit import sends_by
from messages_extends.models.message import MessageQuerySet
from messages_extends.models.publication import State
from messages_extends.sending.recall import recall
from messages_extends.tenancy.origin import check_tenant

PAGE_SIZE = 20


@dataclass(frozen=True)
class SentMessage:
    """A message as its sender sees it: one, however many people received it.

    `readers` of `recipients` have marked it as read; the sender's own copy is not counted. `missing` is the number of
    copies that were written and no longer exist, for example because their recipients were deleted. `recipient` is the
    only recipient, if there is one whose name the sender may see.
    """

    message: Message
    recipients: int
    readers: int
    missing: int
    recipient: AbstractBaseUser | None

    @property
    def pk(self) -> int:
        return int(self.message.pk)

    def state(self) -> State:
        now, message = timezone.now(), self.message
        if message.expires is not None and message.expires <= now:
            return State.EXPIRED
        return State.LIVE if message.publish_at is None or message.publish_at <= now else State.SCHEDULED

    @property
    def is_recallable(self) -> bool:
        return self.state() is State.SCHEDULED or not (self.readers or self.missing)


class SentPage(NamedTuple):
    """Some sent messages, newest first; `next` is the `after` of the next page, "" if there is none."""

    entries: Sequence[SentMessage]
    next: str


class SentMessages:
    """What one user has sent to others in the current tenant; nothing unless the user is an active member.

    Raises WrongTenant if the user object was loaded in another tenant.
    """

    def __init__(self, user: AbstractBaseUser) -> None:
        check_tenant(user)
        self.user = user

    def page(self, after: str = "", *, size: int = PAGE_SIZE) -> SentPage:
        """Return `size` messages, newest first, in three queries, however many people received them.

        `after` is the `next` of another page. Raises ValueError for any other text.
        """
        sends = self._messages().sends()
        if after:
            last = Cursor.parse(after)
            if last.kind != "message":
                raise ValueError(f"{after!r} is not a cursor of sent messages: use the attribute `next` of a page.")
            older = Q(created__lt=last.at) | Q(created=last.at, first__lt=last.id)
            sends = self._messages().filter(created__lte=last.at).sends().filter(older)
        found = [*self._with_record(sends)[: size + 1]]
        last_shown = found[size - 1] if len(found) > size else None
        following = "" if last_shown is None else str(Cursor(last_shown["created"], "message", last_shown["first"]))
        return SentPage(self._as_sent(found[:size]), following)

    def get(self, pk: int) -> SentMessage:
        """Return a message by the primary key of one of its copies. Raises NoSuchMessage."""
        message = self._messages().filter(pk=pk).first()
        sends = [] if message is None else [*self._with_record(self._messages().of_send(message).sends())]
        found = self._as_sent(sends)
        if not found:
            raise NoSuchMessage
        return found[0]

    def recall(self, pk: int) -> int:
        """Delete a message for all recipients if nobody has read it yet; return the number of its copies.

        `pk` is that of a `SentMessage`. A scheduled message can always be recalled; any other one if all its copies
        exist, and no recipient has marked one as read. Raises NotRecallable, NoSuchMessage for what this user has not
        sent, and PermissionDenied for a user who is not an active member.
        """
        return recall(pk, sender=self.user)

    def _messages(self) -> MessageQuerySet:
        sent = Message.objects.sent_by(self.user)
        return sent.filter(Exists(member(self.user))) if may_act(self.user) else sent.none()

    def _with_record(self, sends: "QuerySet[Message, dict[str, Any]]") -> "QuerySet[Message, dict[str, Any]]":
        """Annotate `written`, the number of copies in the audit record; None if the application wrote none."""
        records = sends_by(self.user).filter(recorded_at=OuterRef("created")).order_by("pk")
        return sends.annotate(written=Subquery(records.values("count")[:1]))

    def _as_sent(self, sends: Sequence[Mapping[str, Any]]) -> list[SentMessage]:
        visible = policy().visible_people(self.user).filter(pk=OuterRef("user"))
        chosen = Message.objects.filter(pk__in=[each["first"] for each in sends])
        named: Any = chosen.select_related("user").annotate(recipient_is_visible=Exists(visible))
        shown = {message.pk: message for message in named}
        return [
            SentMessage(
                message=message,
                recipients=each["recipients"],
                readers=each["readers"],
                missing=max((each["written"] or 0) - each["stored"], 0),
                recipient=message.user if each["recipients"] == 1 and message.recipient_is_visible else None,
            )
            for each in sends
            # Recalled since the first query.
            if (message := shown.get(each["first"])) is not None
        ]
