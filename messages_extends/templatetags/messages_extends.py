"""Template tags and filters: `{% load messages_extends %}`."""

from typing import Any

from django import template
from django.utils.translation import gettext_lazy as _

from messages_extends.constants import DEBUG, ERROR, INFO, SUCCESS, WARNING, base_level
from messages_extends.links import reverse_own

register = template.Library()

LEVEL_NAMES = {
    DEBUG: _("Debug"),
    INFO: _("Information"),
    SUCCESS: _("Success"),
    WARNING: _("Warning"),
    ERROR: _("Error"),
}
BOOTSTRAP_NAMES = {DEBUG: "secondary", INFO: "info", SUCCESS: "success", WARNING: "warning", ERROR: "danger"}


@register.simple_tag
def mark_read_url(message: Any) -> str:
    """Return the path that marks this message as read, "" for one that is not saved."""
    pk = getattr(message, "pk", None)
    return reverse_own("message_mark_read", pk) if pk else ""


@register.filter
def level_name(level: int) -> str:
    """Return the word for a level, for those who do not see its colour; "" for a level of the host's own."""
    return str(LEVEL_NAMES.get(base_level(level), ""))


@register.filter
def bootstrap_level(level: int) -> str:
    """Return Bootstrap's name of a level, for `alert-danger` and its like; `info` for a level of the host's own."""
    return BOOTSTRAP_NAMES.get(base_level(level), "info")
