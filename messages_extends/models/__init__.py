"""The models with tables in every tenant's schema."""

from typing import TYPE_CHECKING

from messages_extends.deprecation import renamed
from messages_extends.models.announcement import Announcement, AnnouncementGroup
from messages_extends.models.audit import AuditRecord
from messages_extends.models.message import Message
from messages_extends.models.receipt import Receipt
from messages_extends.models.submission import Submission

__all__ = ["Announcement", "AnnouncementGroup", "AuditRecord", "Message", "Receipt", "Submission"]

if not TYPE_CHECKING:
    __getattr__ = renamed(__name__, {"LEVEL_TAGS": "django.contrib.messages.storage.base.LEVEL_TAGS"})
