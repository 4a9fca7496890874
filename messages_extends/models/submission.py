"""The model of submitted forms."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from messages_extends.tenancy.origin import TenantBound


class Submission(TenantBound):
    """A submitted form, identified by the UUID in its page.

    The primary key ensures that a double click or a reload does not send a message again.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    sent_at = models.DateTimeField(_("sent"), auto_now_add=True, db_index=True)
    count = models.PositiveIntegerField(_("count"), default=0)

    class Meta:
        verbose_name = _("submission")
        verbose_name_plural = _("submissions")

    def __str__(self) -> str:
        return str(self.id)
