"""The abstract base model of announcements and broadcasts: one row with many readers.

Publishing writes this row; the audience is determined when it is read. Everybody's next request therefore shows an edit
or a retraction, and people who join later see live publications.
"""

import re
import uuid
from abc import abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final, Self, TypeVar

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import models
from django.db.models import Case, Count, Exists, F, FilteredRelation, Min, OuterRef, Q, When, Window
from django.db.models.functions import Greatest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from messages_extends.models.audit import Action, BaseAuditRecord
from messages_extends.models.content import Content, Display, View
from messages_extends.models.receipt import Receipt
from messages_extends.tenancy.databases import ReadsOwnWrites
from messages_extends.tenancy.origin import check_tenant

DEFAULT_LIFETIME: Final = timedelta(days=30)


class State(models.TextChoices):
    SCHEDULED = "scheduled", _("scheduled")
    LIVE = "live", _("live")
    EXPIRED = "expired", _("expired")
    RETRACTED = "retracted", _("retracted")


@dataclass(frozen=True)
class Reference:
    """A reference to the revision of a publication that a page has shown, so that no other one is marked as read."""

    id: uuid.UUID
    revision: int

    def __str__(self) -> str:
        return f"{self.id.hex}-{self.revision}"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        found = re.fullmatch(r"([0-9a-f]{32})-([1-9][0-9]{0,8})", text)
        return cls(uuid.UUID(found[1]), int(found[2])) if found else None


class PublicationQuerySet(ReadsOwnWrites[Any]):
    """Publications of one kind."""

    def live(self, at: datetime | None = None) -> Self:
        """Filter by publications that readers can see at `at`, by default now."""
        at = at or timezone.now()
        return self.filter(retracted_at=None, publish_at__lte=at, expires__gt=at)

    def ended(self, at: datetime | None = None) -> Self:
        """Filter by publications that have ended: expired or retracted at `at`, by default now."""
        at = at or timezone.now()
        return self.filter(Q(retracted_at__lte=at) | Q(expires__lte=at))

    def in_state(self, state: State, at: datetime | None = None) -> Self:
        at = at or timezone.now()
        if state is State.RETRACTED:
            return self.exclude(retracted_at=None)
        if state is State.EXPIRED:
            return self.filter(retracted_at=None, expires__lte=at)
        return self.live(at) if state is State.LIVE else self.filter(retracted_at=None, publish_at__gt=at)

    def next_change(self, at: datetime | None = None) -> datetime | None:
        """Return when the next of these publications appears or expires; None if none will."""
        at = at or timezone.now()
        to_come = self.filter(retracted_at=None, expires__gt=at)
        first = to_come.aggregate(appears=Min("publish_at", filter=Q(publish_at__gt=at)), disappears=Min("expires"))
        return min((moment for moment in first.values() if moment), default=None)

    def in_view(self, view: View, user: AbstractBaseUser, at: datetime, *, unread: bool = False) -> Self:
        """Filter live publications by a view of `user`'s inbox at `at`; `unread` filters by unread ones.

        Annotate `shows_at`, the time at which they appear in it. Publications that must still be acknowledged cannot be
        snoozed.
        """
        is_read = Q(receipt__revision__gte=F("revision"), receipt__read_at__isnull=False)
        is_archived = Q(receipt__revision__gte=F("revision"), receipt__archived_at__isnull=False)
        is_snoozed = Q(receipt__snoozed_until__gt=at) & (Q(must_acknowledge=False) | is_read)
        found = self.with_receipt(user)
        if view == "inbox":
            found = found.exclude(is_snoozed | (is_read if unread else is_archived))
        elif unread:
            found = found.exclude(is_read)
        if view == "snoozed":
            found = found.filter(is_snoozed).exclude(is_archived)
        elif view in {"saved", "archived"}:
            found = found.filter(is_archived if view == "archived" else Q(receipt__saved_at__isnull=False))
        return found.annotate(shows_at=Greatest("publish_at", "receipt__snoozed_until"))

    def with_receipt(self, user: AbstractBaseUser) -> Self:
        """Join `receipt`, the one receipt that `user` may have for each: cheaper than a subquery for each mark."""
        check_tenant(user)
        return self.alias(receipt=FilteredRelation("receipts", condition=Q(receipts__user=user.pk)))

    def with_marks(self) -> Self:
        """Annotate the marks of `receipt`: `read_at` and `archived_at` for the current revision, and the other ones."""
        is_current = Q(receipt__revision__gte=F("revision"))
        marks: dict[str, Any] = {
            name: Case(When(is_current, then=f"receipt__{name}")) for name in ("read_at", "archived_at")
        }
        return self.annotate(**marks, **{name: F(f"receipt__{name}") for name in ("snoozed_until", "saved_at")})

    def acknowledged_by(self, user: AbstractBaseUser) -> Self:
        """Filter by publications that `user` need not acknowledge, or has acknowledged."""
        check_tenant(user)
        receipts = Receipt.objects.filter(user_id=user.pk, publication_id=OuterRef("pk"))
        is_read = receipts.filter(revision__gte=OuterRef("revision"), read_at__isnull=False)
        return self.filter(Q(must_acknowledge=False) | Exists(is_read))

    def banners(self, limit: int) -> Self:
        """Return the most urgent banners with `total`, the number of all rows, and `banners`, the number of banners.

        Those that must be acknowledged come first, followed by those with the highest level, then by the newest.
        Without a banner, the first row is another item.
        """
        banners = Window(Count("pk", filter=Q(display=Display.BANNER)))
        # "banner" comes before "inbox".
        urgent = self.order_by("display", "-must_acknowledge", "-level", "-shows_at", "-id")
        return urgent.annotate(total=Window(Count("*")), banners=banners)[:limit]

    def newest_first(self) -> Self:
        """Order by the time of publication, or by the time at which they appear in a view."""
        return self.order_by("-shows_at" if "shows_at" in self.query.annotations else "-publish_at", "-id")

    def ordered_for(self, _view: View, *, unread: bool) -> list[Self]:
        return [self.newest_first()]


class ReceiptRelation(models.ForeignObject):  # type: ignore[type-arg]
    """The receipts of a publication, for joins; no column, since a receipt may belong to either kind."""

    one_to_many = True
    many_to_one = False
    requires_unique_target = False

    def __init__(self) -> None:
        super().__init__(
            Receipt,
            models.DO_NOTHING,
            from_fields=["id"],
            to_fields=["publication_id"],
            related_name="+",
            null=True,
            editable=False,
        )

    def contribute_to_class(self, cls: Any, name: str, private_only: bool = False, **options: Any) -> None:
        # Private, like a GenericRelation: migrations and serializers know nothing of it.
        super().contribute_to_class(cls, name, private_only=True, **options)


@dataclass(frozen=True)
class CurrentAudience:
    """The current audience: its `label` for the audit log, and a function that notifies the open pages."""

    label: str
    notify: Callable[[], None]


class Publication(Content):
    """A text with many readers.

    `revision` is increased when the text is shown again: receipts of an earlier revision then count as unread. A kind
    of publication is a model with the class variables and methods below, and an entry in `access.publications`, which
    defines who may write it.
    """

    # The name of this kind in pages, filters and the audit log.
    kind: ClassVar[str]
    # The action that is logged for a new publication, and the model of the log.
    action: ClassVar[Action]
    records: ClassVar[type[BaseAuditRecord]]
    # The field `audience`, which each kind declares with its own choices, and its two values.
    audience: "models.CharField[str, str]"
    for_everybody: ClassVar[str]
    for_chosen: ClassVar[str]

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    created = models.DateTimeField(_("created"), auto_now_add=True)
    publish_at = models.DateTimeField(_("published"), default=timezone.now)
    # Never null, so that the number of live publications stays small.
    expires = models.DateTimeField(_("expires"))
    retracted_at = models.DateTimeField(_("retracted at"), blank=True, null=True)
    must_acknowledge = models.BooleanField(_("must be acknowledged"), default=False)
    revision = models.PositiveIntegerField(_("revision"), default=1)
    receipts = ReceiptRelation()
    audience_size = models.PositiveIntegerField(
        _("audience size at publication"), blank=True, null=True, editable=False
    )

    class Meta:
        abstract = True
        indexes = [
            models.Index(
                fields=["expires", "publish_at"], condition=Q(retracted_at__isnull=True), name="%(class)s_not_retracted"
            )
        ]
        constraints = [
            models.UniqueConstraint(fields=["key"], condition=~Q(key=""), name="one_%(class)s_per_key"),
            models.CheckConstraint(
                condition=Q(expires__gt=models.F("publish_at")), name="%(class)s_expires_after_it_is_published"
            ),
        ]

    @property
    def reference(self) -> Reference:
        return Reference(self.id, self.revision)

    def state(self, at: datetime | None = None) -> State:
        at = at or timezone.now()
        if self.retracted_at is not None:
            return State.RETRACTED
        if self.expires <= at:
            return State.EXPIRED
        return State.LIVE if self.publish_at <= at else State.SCHEDULED

    @property
    def is_for_everybody(self) -> bool:
        return bool(self.audience == self.for_everybody)

    def has_ended(self, at: datetime | None = None) -> bool:
        """Tell whether it has ended: it was retracted, or has expired at `at`, by default now."""
        return self.state(at) in (State.EXPIRED, State.RETRACTED)

    @classmethod
    @abstractmethod
    def storage_schema(cls) -> str:
        """Return the schema in which a publication of the current schema is stored.

        Raises NoTenant if there is none.
        """

    @classmethod
    @abstractmethod
    def resolve_audience(cls, to: Any) -> Any:
        """Return the rows of the argument `to` of the API; None for everybody.

        Raises ValueError for an empty list, so that it never means everybody, and TypeError for an object that cannot
        be in the audience.
        """

    @abstractmethod
    def save_chosen(self, chosen: Any) -> None:
        """Save the rows that `resolve_audience` returned as the audience of this publication."""

    @abstractmethod
    def current_audience(self) -> CurrentAudience:
        """Return the current audience, read from the primary database."""


def as_list(to: Any) -> list[Any]:
    """Return the argument `to`, which is one object or several, as a list."""
    return list(to) if isinstance(to, Iterable) and not isinstance(to, str | bytes) else [to]


AnyPublication = TypeVar("AnyPublication", bound=Publication)
