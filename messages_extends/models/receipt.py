"""The model of receipts, which record who has read which revision of a publication."""

from datetime import datetime
from typing import Any, Final, Self

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import EmptyResultSet
from django.db import connections, models
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from messages_extends.models.expressions import quoted_table
from messages_extends.models.marks import MARKS, PREVIOUS
from messages_extends.tenancy.databases import ReadsOwnWrites, note_write, write_database
from messages_extends.tenancy.origin import TenantBound, check_tenant

# In a fixed order, so that two tabs that mark everything as read wait for each other and never deadlock.
WRITE_RECEIPTS: Final = """
INSERT INTO {table} AS receipt (user_id, read_at, publication_id, revision)
SELECT %s, %s, chosen.id, chosen.revision FROM ({chosen}) AS chosen (id, revision) ORDER BY chosen.id
ON CONFLICT (user_id, publication_id) DO UPDATE SET
    earlier_revision = receipt.revision, earlier_read_at = receipt.read_at,
    revision = EXCLUDED.revision, read_at = EXCLUDED.read_at, archived_at = NULL
WHERE receipt.revision < EXCLUDED.revision OR receipt.read_at IS NULL
"""

# Revisions are compared only for reading and archiving: saving and snoozing apply to later revisions as well.
WRITE_MARK: Final = """
INSERT INTO {table} AS receipt (user_id, publication_id, revision, {mark}, marked_at)
SELECT %s, chosen.id, chosen.revision, %s, %s
FROM ({chosen}) AS chosen (id, revision) ORDER BY chosen.id
ON CONFLICT (user_id, publication_id) DO UPDATE SET
    {mark} = EXCLUDED.{mark}{others}, marked_at = EXCLUDED.marked_at, {previous}
WHERE receipt.{mark} IS NULL{or_later}
"""

UNMARK: Final = """
UPDATE {table} AS receipt SET
    {mark} = NULL, marked_at = %s, {previous}
FROM ({chosen}) AS chosen (id, revision)
WHERE receipt.user_id = %s AND receipt.publication_id = chosen.id AND receipt.{mark} IS NOT NULL
"""

# A receipt without any mark is deleted. What has been archived since stays read. Rows are compared instead of locked,
# because Citus refuses locks in a statement that changes rows twice.
RESTORE_RECEIPTS: Final = """
WITH changed AS (
    SELECT
        receipt.id, receipt.read_at AS known_read_at, receipt.marked_at AS known_marked_at,
        CASE WHEN is_read THEN coalesce(earlier_revision, revision) ELSE revision END AS revision,
        CASE WHEN is_read THEN earlier_read_at ELSE read_at END AS read_at,
        CASE WHEN is_read THEN NULL ELSE earlier_revision END AS earlier_revision,
        CASE WHEN is_read THEN NULL ELSE earlier_read_at END AS earlier_read_at,
        previous.*
    FROM {table} AS receipt, LATERAL (
        SELECT
            coalesce(receipt.marked_at = %(at)s, false) AS is_marked
    ) AS marked, LATERAL (
        SELECT
            {previous}, CASE WHEN is_marked THEN NULL ELSE receipt.marked_at END AS marked_at
    ) AS previous, LATERAL (
        SELECT coalesce(receipt.read_at = %(at)s AND previous.archived_at IS NULL, false) AS is_read
    ) AS reading
    WHERE receipt.user_id = %(user)s AND (is_marked OR is_read)
), removed AS (
    DELETE FROM {table} AS receipt USING changed
    WHERE {is_same} AND {is_empty} RETURNING 1
), restored AS (
    UPDATE {table} AS receipt SET {columns} FROM changed
    WHERE {is_same} AND NOT ({is_empty}) RETURNING 1
)
SELECT (SELECT count(*) FROM removed) + (SELECT count(*) FROM restored)
"""

# In the row as it is when it is changed, after concurrent changes.
IS_SAME: Final = """receipt.id = changed.id AND receipt.read_at IS NOT DISTINCT FROM changed.known_read_at
        AND receipt.marked_at IS NOT DISTINCT FROM changed.known_marked_at"""

# Those before and after the publications.
Parameters = tuple[list[Any], list[Any]]


class ReceiptQuerySet(ReadsOwnWrites["Receipt"]):
    """Receipts of the current schema."""

    def for_user(self, user: AbstractBaseUser) -> Self:
        check_tenant(user)
        return self.filter(user_id=user.pk)

    def returning(self, after: datetime) -> Self:
        """Filter by receipts of publications that are snoozed until later than `after`, in the order of these times."""
        return self.filter(snoozed_until__gt=after).order_by("snoozed_until")

    def write(self, user: AbstractBaseUser, publications: "QuerySet[models.Model, object]", at: datetime) -> int:
        """Record that `user` has read `publications`, given as `values_list("pk", "revision")`.

        It is one statement; return the number of changed receipts. A receipt of the same or a later revision is not
        changed, and the values of an earlier one are kept for `restore`.
        """
        return self._execute(WRITE_RECEIPTS, user, publications, ([user.pk, at], []))

    def restore(self, user: AbstractBaseUser, at: datetime) -> int:
        """Undo what `user` changed at exactly `at` by `write` and by marks; return the number of receipts.

        Marks that were changed again since are kept.
        """
        check_tenant(user)
        note_write()
        previous = (
            f"CASE WHEN is_marked THEN receipt.{previous} ELSE receipt.{name} END AS {name}"
            for name, previous in PREVIOUS.items()
        )
        changed = ("revision", "read_at", "earlier_revision", "earlier_read_at", *MARKS, "marked_at")
        statement = RESTORE_RECEIPTS.format(
            table=quoted_table(self),
            previous=", ".join(previous),
            columns=", ".join(f"{name} = changed.{name}" for name in changed),
            is_same=IS_SAME,
            is_empty=" AND ".join(f"changed.{name} IS NULL" for name in ("read_at", *MARKS)),
        )
        with connections[write_database()].cursor() as cursor:
            cursor.execute(statement, {"user": user.pk, "at": at})
            return int(cursor.fetchone()[0])

    def mark_unread(self) -> int:
        """Mark publications as unread and move them out of the archive; return the number of changed receipts."""
        changed = self.exclude(read_at=None).update(
            read_at=None, archived_at=None, earlier_revision=None, earlier_read_at=None, marked_at=None
        )
        self.filter(read_at=None, **dict.fromkeys(MARKS)).delete()
        return changed

    def mark(
        self,
        user: AbstractBaseUser,
        publications: "QuerySet[models.Model, object]",
        at: datetime,
        mark: str,
        value: datetime,
    ) -> int:
        """Set `mark`, one of MARKS, on `publications` at `at`, and keep the previous marks for `restore`.

        `publications` is given as in `write`. It is one statement; return the number of changed receipts. A snooze
        replaces an earlier one and takes a publication out of the archive; other marks are set only once.
        """
        snooze = mark == "snoozed_until"
        others, or_later = (", archived_at = NULL", " OR true") if snooze else ("", "")
        parameters: Parameters = ([user.pk, value, at], [])
        return self._execute(WRITE_MARK, user, publications, parameters, mark=mark, others=others, or_later=or_later)

    def unmark(
        self, user: AbstractBaseUser, publications: "QuerySet[models.Model, object]", at: datetime, mark: str
    ) -> int:
        """Clear `mark` like `mark` sets it; return the number of changed receipts."""
        return self._execute(UNMARK, user, publications, ([at], [user.pk]), mark=mark)

    def _execute(
        self,
        statement: str,
        user: AbstractBaseUser,
        publications: "QuerySet[models.Model, object]",
        parameters: Parameters,
        **names: str,
    ) -> int:
        """Run a statement with `publications` as `chosen`, between the parameters before and after it."""
        check_tenant(user)
        note_write()
        connection = connections[write_database()]
        try:
            chosen, params = publications.query.get_compiler(connection=connection).as_sql()
        except EmptyResultSet:
            return 0
        previous = ", ".join(f"{previous} = receipt.{name}" for name, previous in PREVIOUS.items())
        text = statement.format(table=quoted_table(self), chosen=chosen, previous=previous, **names)
        before, after = parameters
        with connection.cursor() as cursor:
            cursor.execute(text, [*before, *params, *after])
            return int(cursor.rowcount)


class Receipt(TenantBound):
    """What a user has done with a publication: read or acknowledged a revision, archived, snoozed or saved it.

    `publication_id` is not a foreign key, because broadcasts are in the public schema. The previous values are kept, so
    that "mark all as read" can be undone.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.DO_NOTHING, db_index=False, related_name="+", verbose_name=_("reader")
    )
    publication_id = models.UUIDField(_("publication"), db_index=True)
    revision = models.PositiveIntegerField(_("revision"))
    read_at = models.DateTimeField(_("read at"), blank=True, null=True)
    archived_at = models.DateTimeField(_("archived at"), blank=True, null=True)
    snoozed_until = models.DateTimeField(_("snoozed until"), blank=True, null=True)
    saved_at = models.DateTimeField(_("saved at"), blank=True, null=True)
    # The time of the last change of these marks, and the marks before it, for `undo`.
    marked_at = models.DateTimeField(blank=True, null=True, editable=False)
    previous_archived_at = models.DateTimeField(blank=True, null=True, editable=False)
    previous_snoozed_until = models.DateTimeField(blank=True, null=True, editable=False)
    previous_saved_at = models.DateTimeField(blank=True, null=True, editable=False)
    earlier_revision = models.PositiveIntegerField(blank=True, null=True, editable=False)
    earlier_read_at = models.DateTimeField(blank=True, null=True, editable=False)

    objects = ReceiptQuerySet.as_manager()

    class Meta:
        verbose_name = _("receipt")
        verbose_name_plural = _("receipts")
        indexes = [
            # For live updates: the next snoozed publication of any user to appear.
            models.Index("snoozed_until", condition=Q(snoozed_until__isnull=False), name="receipts_snoozed")
        ]
        constraints = [models.UniqueConstraint(fields=["user", "publication_id"], name="one_receipt_per_reader")]

    def __str__(self) -> str:
        return f"{self.user_id}: {self.publication_id}"
