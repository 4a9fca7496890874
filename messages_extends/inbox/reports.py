"""Reports of who has read an announcement. All numbers refer to the current audience."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast
from uuid import UUID

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.db.models import Case, Count, Exists, Func, IntegerField, OuterRef, Q, QuerySet, Subquery, When
from django.db.models.expressions import Combinable

from messages_extends.access.membership import keys_of_people_in, members
from messages_extends.access.policy import policy
from messages_extends.access.publications import audience_of
from messages_extends.models import Announcement, AnnouncementGroup, Receipt
from messages_extends.tenancy.origin import check_tenant

People = QuerySet[AbstractBaseUser]


@dataclass(frozen=True)
class Numbers:
    """The number of readers and the size of the audience."""

    readers: int
    people: int


@dataclass(frozen=True)
class ReadReport(Numbers):
    """The readers of an announcement in its current audience.

    `audience_size` is the size of the audience at publication. The querysets contain only people whom the viewer may
    see, so that they may be smaller than the numbers.
    """

    audience_size: int | None
    _visible: Callable[[], People]

    def everyone(self) -> People:
        """Return the audience, annotated with `read_at` for the current revision; null if unread."""
        return self._visible()

    def read(self) -> People:
        # A Q, because the stubs know the fields of a keyword and no annotations.
        return self._visible().filter(Q(read_at__isnull=False))

    def unread(self) -> People:
        return self._visible().filter(Q(read_at=None))


def read_report(announcement: Announcement, viewer: AbstractBaseUser | None) -> ReadReport:
    """Return a report of who has read `announcement` for `viewer`; None is the application.

    Raises PermissionDenied unless the viewer has sent it or may view announcements, and WrongTenant for an announcement
    of another tenant. The number of queries does not depend on the number of people.
    """
    check_tenant(announcement)
    if viewer is not None and not policy().may_see_report(viewer, announcement):
        raise PermissionDenied("You may not see who has read this announcement.")
    # The caller's object may have an outdated revision.
    revision = Subquery(Announcement.objects.filter(pk=announcement.pk).values("revision"))
    people = with_read_at(audience_of(announcement), announcement.pk, revision)

    def visible() -> People:
        return people if viewer is None else people.filter(pk__in=policy().visible_people(viewer).values("pk"))

    numbers = count(people)
    return ReadReport(numbers.readers, numbers.people, announcement.audience_size, visible)


def with_read_at(people: People, publication_id: UUID, revision: Combinable | int) -> People:
    """Annotate `read_at`, the time at which each of `people` read this revision of a publication or a later one."""
    receipts = Receipt.objects.filter(user_id=OuterRef("pk"), publication_id=publication_id, revision__gte=revision)
    annotated: People = people.annotate(read_at=Subquery(receipts.values("read_at")))
    return annotated


def count(people: People) -> Numbers:
    """Return the number of `people` with a `read_at` and of all of them, in one query."""
    # Distinct, because MEMBERS of a host project may use a join.
    has_read = Count("pk", distinct=True, filter=Q(read_at__isnull=False))
    found = people.order_by().aggregate(readers=has_read, people=Count("pk", distinct=True))
    return Numbers(**cast(dict[str, int], found))


def with_numbers(announcements: QuerySet[Announcement]) -> QuerySet[Announcement]:
    """Annotate `readers` and `people`: the number of readers and the size of the current audience."""
    everyone = members()
    # The announcement is that of the outermost query.
    chosen = AnnouncementGroup.objects.filter(announcement=OuterRef(OuterRef(OuterRef(OuterRef("pk")))))
    in_groups = keys_of_people_in(Group.objects.filter(pk__in=chosen.values("group")))
    receipts = Receipt.objects.filter(
        user_id=OuterRef("pk"),
        publication_id=OuterRef(OuterRef("pk")),
        revision__gte=OuterRef(OuterRef("revision")),
    )

    def numbers(people: People) -> Case:
        to_everyone = When(audience=Announcement.Audience.EVERYONE, then=_number(people))
        return Case(to_everyone, default=_number(people.filter(pk__in=in_groups)))

    return announcements.annotate(people=numbers(everyone), readers=numbers(everyone.filter(Exists(receipts))))


def _number(people: People) -> Subquery:
    counted = Func("pk", function="COUNT", template="%(function)s(DISTINCT %(expressions)s)")
    return Subquery(people.order_by().values(number=counted), output_field=IntegerField())
