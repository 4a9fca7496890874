"""Several items of one user's inbox, to be archived, snoozed or saved together."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from django.contrib.auth.base_user import AbstractBaseUser
from django.db.models import QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone

from messages_extends.events.changes import notify_changed
from messages_extends.exceptions import MustAcknowledge
from messages_extends.models import Receipt
from messages_extends.models.message import MessageQuerySet
from messages_extends.sending.cleaning import clean_future_datetime
from messages_extends.tenancy.databases import atomic

# Rows with the columns "pk" and "revision".
Revisions = QuerySet[Any, Any]
# From the time of the change, to the number of changed rows.
Change = Callable[[datetime], int]


@dataclass(frozen=True)
class Marked:
    """What a change has done: the time that it wrote, which `Inbox.undo` takes, and how many items it changed."""

    at: datetime
    count: int


class Selection(NamedTuple):
    """Items of `user`'s inbox.

    `publications` are all of them, and `done` those that need not be acknowledged any more; only these can be archived
    or snoozed. With `strict`, MustAcknowledge is raised if there are others, otherwise they are skipped.
    """

    user: AbstractBaseUser
    messages: MessageQuerySet
    publications: Revisions | None
    done: Revisions | None
    strict: bool = False

    def archive(self) -> Marked:
        """Archive the items, and mark them as read."""

        def change(at: datetime) -> int:
            messages = self.messages.filter(archived_at=None).locked_in_pk_order()
            count = messages.change_marks(at, archived_at=at, read_at=Coalesce("read_at", at))
            if self.done is not None:
                Receipt.objects.write(self.user, self.done, at)
                count += Receipt.objects.mark(self.user, self.done, at, "archived_at", at)
            return count

        return self._apply(change, done=True)

    def unarchive(self) -> Marked:
        """Move the items back to the inbox. They remain read."""
        return self._clear("archived_at")

    def snooze(self, until: datetime) -> Marked:
        """Hide the items until a time, at which they appear again as the newest; archived ones as well.

        Whether they are read does not change. Raises ValueError unless `until` is in the future.
        """
        until = clean_future_datetime("until", until)

        def change(at: datetime) -> int:
            count = self.messages.locked_in_pk_order().change_marks(at, snoozed_until=until, archived_at=None)
            if self.done is not None:
                count += Receipt.objects.mark(self.user, self.done, at, "snoozed_until", until)
            return count

        return self._apply(change, done=True, later=True)

    def unsnooze(self) -> Marked:
        """Show the items again at their own time."""
        return self._clear("snoozed_until")

    def save(self) -> Marked:
        """Save the items: they are listed in a view of their own, and are not purged while they have not expired."""

        def change(at: datetime) -> int:
            count = self.messages.filter(saved_at=None).locked_in_pk_order().change_marks(at, saved_at=at)
            if self.publications is not None:
                count += Receipt.objects.mark(self.user, self.publications, at, "saved_at", at)
            return count

        return self._apply(change)

    def unsave(self) -> Marked:
        return self._clear("saved_at")

    def _clear(self, mark: str) -> Marked:
        def change(at: datetime) -> int:
            count = self.messages.exclude(**{mark: None}).locked_in_pk_order().change_marks(at, **{mark: None})
            if self.publications is not None:
                count += Receipt.objects.unmark(self.user, self.publications, at, mark)
            return count

        return self._apply(change)

    def _apply(self, change: Change, *, done: bool = False, later: bool = False) -> Marked:
        if done and self.strict and self.done is None and self.publications is not None:
            raise MustAcknowledge
        at = timezone.now()
        with atomic():
            count = change(at)
        if count:
            notify_changed(users=[self.user.pk], later=later)
        return Marked(at, count)
