"""Helpers that read tables."""

from messages_extends.models import Message


def recipient_names() -> list[str]:
    """Return the recipients' names of all messages in the current schema."""
    return sorted(Message.objects.values_list("user__name", flat=True))
