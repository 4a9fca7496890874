"""How tests read the tables."""

from messages_extends.models import Message


def recipient_names() -> list[str]:
    """Return the names of those who have a message in the current schema, once for each message."""
    return sorted(Message.objects.values_list("user__name", flat=True))
