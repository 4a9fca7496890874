"""The labels of levels and kinds, shared by forms, template tags and pages."""

from django.utils.translation import gettext_lazy as _

from messages_extends.constants import DEBUG, ERROR, INFO, SUCCESS, WARNING

LEVEL_NAMES = {
    DEBUG: _("Debug"),
    INFO: _("Information"),
    SUCCESS: _("Success"),
    WARNING: _("Warning"),
    ERROR: _("Error"),
}

KIND_NAMES = {"message": _("Message"), "announcement": _("Announcement"), "broadcast": _("From the platform")}
