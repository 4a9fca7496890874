"""The two views of django-messages-extends, importable from their old path."""

from messages_extends.web.marking import message_mark_all_read, message_mark_read

__all__ = ["message_mark_all_read", "message_mark_read"]
