"""The model of receipts, which record who has read which revision of a publication."""

from datetime import datetime
from typing import Final, Self

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import EmptyResultSet
from django.db import connections, models
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from messages_extends.models.expressions import quoted_table
from messages_extends.tenancy.databases import ReadsOwnWrites, write_database
from messages_extends.tenancy.origin import TenantBound, check_tenant

# In a fixed order, so that two tabs that mark everything as read wait for each other and never deadlock.
WRITE_RECEIPTS: Final = """
INSERT INTO {table} AS receipt (user_id, read_at, publication_id, revision)
SELECT %s, %s, chosen.id, chosen.revision FROM ({chosen}) AS chosen (id, revision) ORDER BY chosen.id
ON CONFLICT (user_id, publication_id) DO UPDATE SET
    earlier_revision = receipt.revision, earlier_read_at = receipt.read_at,
    revision = EXCLUDED.revision, read_at = EXCLUDED.read_at
WHERE receipt.revision < EXCLUDED.revision
"""

RESTORE_RECEIPTS: Final = """
WITH restored AS (
    UPDATE {table} SET
        revision = earlier_revision, read_at = earlier_read_at, earlier_revision = NULL, earlier_read_at = NULL
    WHERE user_id = %s AND read_at = %s AND earlier_revision IS NOT NULL RETURNING 1
), removed AS (
    DELETE FROM {table} WHERE user_id = %s AND read_at = %s AND earlier_revision IS NULL RETURNING 1
)
SELECT (SELECT count(*) FROM restored) + (SELECT count(*) FROM removed)
"""


class ReceiptQuerySet(ReadsOwnWrites["Receipt"]):
    """Receipts of the current schema."""

    def for_user(self, user: AbstractBaseUser) -> Self:
        check_tenant(user)
        return self.filter(user_id=user.pk)

    def write(self, user: AbstractBaseUser, publications: "QuerySet[models.Model, object]", at: datetime) -> int:
        """Record that `user` has read `publications`, given as `values_list("pk", "revision")`.

        It is one statement; return the number of changed receipts. A receipt of the same or a later revision is not
        changed, and the values of an earlier one are kept for `restore`.
        """
        check_tenant(user)
        connection = connections[write_database()]
        try:
            chosen, params = publications.query.get_compiler(connection=connection).as_sql()
        except EmptyResultSet:
            return 0
        with connection.cursor() as cursor:
            cursor.execute(WRITE_RECEIPTS.format(table=quoted_table(self), chosen=chosen), [user.pk, at, *params])
            return int(cursor.rowcount)

    def restore(self, user: AbstractBaseUser, at: datetime) -> int:
        """Undo the `write` of `user` at exactly `at` in one statement; return the number of changed receipts."""
        check_tenant(user)
        with connections[write_database()].cursor() as cursor:
            cursor.execute(RESTORE_RECEIPTS.format(table=quoted_table(self)), [user.pk, at] * 2)
            return int(cursor.fetchone()[0])


class Receipt(TenantBound):
    """A record that a user has read or acknowledged a revision of a publication.

    `publication_id` is not a foreign key, because broadcasts are in the public schema. The previous values are kept, so
    that "mark all as read" can be undone.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.DO_NOTHING, db_index=False, related_name="+", verbose_name=_("reader")
    )
    publication_id = models.UUIDField(_("publication"), db_index=True)
    revision = models.PositiveIntegerField(_("revision"))
    read_at = models.DateTimeField(_("read at"))
    earlier_revision = models.PositiveIntegerField(blank=True, null=True, editable=False)
    earlier_read_at = models.DateTimeField(blank=True, null=True, editable=False)

    objects = ReceiptQuerySet.as_manager()

    class Meta:
        verbose_name = _("receipt")
        verbose_name_plural = _("receipts")
        constraints = [models.UniqueConstraint(fields=["user", "publication_id"], name="one_receipt_per_reader")]

    def __str__(self) -> str:
        return f"{self.user_id}: {self.publication_id}"
