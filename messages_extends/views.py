"""The pages; the two views that django-messages-extends had are importable from here."""

from messages_extends.web.marking import message_mark_all_read, message_mark_read

__all__ = ["message_mark_all_read", "message_mark_read"]
