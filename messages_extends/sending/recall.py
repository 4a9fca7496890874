"""Recall what a person has sent while nobody has read it."""

from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import PermissionDenied
from django.utils import timezone

from messages_extends.access.membership import is_active_member
from messages_extends.events.changes import notify_changed
from messages_extends.exceptions import NoSuchMessage, NotRecallable
from messages_extends.models import AuditRecord, Message
from messages_extends.models.audit import Action, actor_id_of, log_event, sends_by
from messages_extends.tenancy.databases import atomic, using_primary
from messages_extends.tenancy.origin import check_tenant
from messages_extends.texts.content import with_title


def recall(message_id: int, *, sender: AbstractBaseUser) -> int:
    """Delete a message that `sender` has sent, with all that were sent together with it; return their number.

    A message that is still scheduled can be recalled. Any other can if all that were written exist, and no recipient
    but the sender has marked one as read. Either all are deleted or none.

    Raises NoSuchMessage for what `sender` has not sent, NotRecallable, PermissionDenied for a sender who is not an
    active member, and WrongTenant.
    """
    check_tenant(sender)
    if not is_active_member(sender):
        raise PermissionDenied("An inactive person cannot recall messages.")
    with atomic():
        message = using_primary(Message.objects.sent_by(sender)).filter(pk=message_id).first()
        if message is None:
            raise NoSuchMessage
        together = Message.objects.of_send(message)
        # Locked before the check: somebody who marks one as read at the same time does so before it, or finds nothing.
        locked = together.order_by("pk").select_for_update().values_list("user_id", "read_at")
        found = list(locked)
        if not found:
            raise NoSuchMessage
        is_read = any(read_at is not None for user_id, read_at in found if user_id != sender.pk)
        is_scheduled = message.publish_at is not None and message.publish_at > timezone.now()
        record = using_primary(sends_by(sender)).filter(recorded_at=message.created).first()
        written = 0 if record is None else record.count or 0
        if not is_scheduled and (is_read or len(found) < written):
            raise NotRecallable
        deleted = together.delete_in_order()
        log_event(
            Action.RECALL,
            actor=sender,
            subject=_subject(message_id),
            audience=f"{len(deleted)} people" if record is None else record.audience,
            count=len(deleted),
            text=with_title(message.title, message.message),
        )
    notify_changed(users=[user_id for user_id, _saved_at in deleted if user_id is not None])
    return len(deleted)


def was_recalled(message_id: int, *, sender: AbstractBaseUser) -> bool:
    """Tell whether `sender` has recalled the message with this primary key."""
    check_tenant(sender)
    records = AuditRecord.objects.filter(
        actor_id=actor_id_of(sender.pk), action=Action.RECALL, subject=_subject(message_id)
    )
    return using_primary(records).exists()


def _subject(message_id: int) -> str:
    return f"message {message_id}"
