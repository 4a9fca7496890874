"""The audit log, whose records cannot be changed or deleted.

It records the actions of users and all publications. A message from the application itself is recorded only by its own
row.
"""

import hashlib
from datetime import datetime
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from messages_extends.tenancy.databases import note_write


class Action(models.TextChoices):
    SEND = "send", _("sent")
    ANNOUNCE = "announce", _("announced")
    BROADCAST = "broadcast", pgettext_lazy("audit event", "broadcast")
    REVISE = "revise", _("revised")
    RETRACT = "retract", _("retracted")
    CANCEL = "cancel", _("cancelled")
    GRANT = "grant", _("granted")
    REVOKE = "revoke", _("revoked")
    PURGE = "purge", _("purged")
    EXPORT = "export", _("exported")
    ERASE = "erase", _("erased")
    REVEAL = "reveal", _("revealed")
    RECALL = "recall", _("recalled")


class BaseAuditRecord(models.Model):
    """Base class of audit records.

    The actor is stored as text, without a foreign key, because a record outlives its actor. Only `actor_name` may
    contain a person's name, because no other field can be emptied when the person is erased.
    """

    recorded_at = models.DateTimeField(_("recorded at"), default=timezone.now, editable=False, db_index=True)
    actor_id = models.CharField(_("actor's id"), max_length=64, blank=True)
    actor_name = models.CharField(_("actor"), max_length=200, blank=True)
    action = models.CharField(_("action"), max_length=20, choices=Action)
    subject = models.CharField(_("subject"), max_length=200)
    audience = models.CharField(_("audience"), max_length=500, blank=True)
    count = models.PositiveIntegerField(_("count"), blank=True, null=True)
    text_hash = models.CharField(_("SHA-256 of the text"), max_length=64, blank=True)
    text = models.TextField(_("text"), blank=True, help_text=_("Of publications only, never of personal messages."))

    class Meta:
        abstract = True
        indexes = [models.Index(fields=["actor_id", "recorded_at"], name="%(class)s_by_actor")]

    def __str__(self) -> str:
        return f"{self.get_action_display()}: {self.subject}"


class AuditRecord(BaseAuditRecord):
    """A record of an audit event in this tenant."""

    class Meta(BaseAuditRecord.Meta):
        verbose_name = _("audit record")
        verbose_name_plural = _("audit records")
        ordering = ["-id"]
        default_permissions = ("view",)


def log_event(
    action: str,
    *,
    actor: AbstractBaseUser | None,
    subject: str,
    audience: str = "",
    count: int | None = None,
    text: str = "",
    keep_text: bool = False,
    at: datetime | None = None,
    into: "type[BaseAuditRecord]" = AuditRecord,
) -> None:
    """Log an audit event in the current tenant.

    Only the hash of `text` is stored unless `keep_text` is true, which is for publications, never for personal
    messages. `at` is the time of the event, by default now. `into` is the model of the record; the platform has its
    own.
    """
    note_write()
    values = event_values(
        action, actor=actor, subject=subject, audience=audience, count=count, text=text, keep_text=keep_text
    )
    into._default_manager.create(**values, recorded_at=at or timezone.now())


def sends_by(sender: AbstractBaseUser) -> "models.QuerySet[AuditRecord]":
    """Return the records of what `sender` has sent; `recorded_at` is the time at which the messages were created."""
    return AuditRecord._default_manager.filter(actor_id=actor_id_of(sender.pk), action=Action.SEND)


def event_values(
    action: str,
    *,
    actor: AbstractBaseUser | None,
    subject: str,
    audience: str,
    count: int | None,
    text: str,
    keep_text: bool = False,
) -> dict[str, Any]:
    """Return the values of a record by field: all but the time. The arguments are those of `log_event`."""
    return {
        "action": action,
        "actor_id": "" if actor is None else actor_id_of(actor.pk),
        "actor_name": "" if actor is None else _truncate(str(actor), 200),
        "subject": _truncate(subject, 200),
        "audience": _truncate(audience, 500),
        "count": count,
        "text_hash": hashlib.sha256(text.encode()).hexdigest() if text else "",
        "text": text if keep_text else "",
    }


def actor_id_of(pk: object) -> str:
    """Return the actor id of a primary key: the key, or its SHA-256 if it is too long.

    A truncated key might not be unique, so that erasing one user would remove another user's name.
    """
    text = str(pk)
    return text if len(text) <= 64 else hashlib.sha256(text.encode()).hexdigest()


def _truncate(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
