"""Who may write publications of each kind, and the size of their audience at publication."""

from abc import ABC, abstractmethod
from typing import Any, Final

from django.contrib.auth.models import Group
from django.db.models import QuerySet

from messages_extends.access.guards import require_may_announce, require_may_broadcast, require_may_change
from messages_extends.access.membership import keys_of_people_in, members
from messages_extends.broadcasts.models import Broadcast
from messages_extends.conf import settings
from messages_extends.models import Announcement
from messages_extends.models.publication import Publication
from messages_extends.tenancy.databases import using_primary
from messages_extends.tenancy.schemas import tenants_with_messages


class PublicationAccess(ABC):
    """The checks before a publication of one kind is written. `sender` is None for the application."""

    @abstractmethod
    def require_may_write(self, sender: Any, action: str) -> None:
        """Raise PermissionDenied unless `sender` may "add" or "change" publications in the current schema.

        It is called in the schema of the caller, before the schema of the publication is entered.
        """

    @abstractmethod
    def require_may_address(self, sender: Any, chosen: Any) -> None:
        """Raise PermissionDenied unless `sender` may publish to the chosen rows; None is everybody."""

    @abstractmethod
    def require_may_change(self, sender: Any, publication: Any) -> None:
        """Raise PermissionDenied unless `sender` may revise and retract this publication, whose row is locked."""

    @abstractmethod
    def audience_size(self, chosen: Any) -> int:
        """Return the number of people or organisations in the chosen rows; None is everybody."""


class AnnouncementAccess(PublicationAccess):
    def require_may_write(self, sender: Any, action: str) -> None:
        # It depends on the groups or the announcement: the next two methods ask the policy.
        pass

    def require_may_address(self, sender: Any, chosen: QuerySet[Group] | None) -> None:
        require_may_announce(sender, chosen)

    def require_may_change(self, sender: Any, publication: Announcement) -> None:
        require_may_change(sender, publication)

    def audience_size(self, chosen: QuerySet[Group] | None) -> int:
        return using_primary(audience(chosen)).count()


class BroadcastAccess(PublicationAccess):
    def require_may_write(self, sender: Any, action: str) -> None:
        require_may_broadcast(sender, action)

    def require_may_address(self, sender: Any, chosen: list[Any] | None) -> None:
        # Users who may add broadcasts may address every organisation.
        pass

    def require_may_change(self, sender: Any, publication: Broadcast) -> None:
        # Users who may change broadcasts may change all of them.
        pass

    def audience_size(self, chosen: list[Any] | None) -> int:
        return using_primary(tenants_with_messages()).count() if chosen is None else len(chosen)


ACCESS: Final[dict[type[Publication], PublicationAccess]] = {
    Announcement: AnnouncementAccess(),
    Broadcast: BroadcastAccess(),
}


def access_to(model: type[Publication]) -> PublicationAccess:
    """Return the checks for a model of publications; a proxy has those of its concrete model."""
    for each in model.__mro__:
        if each in ACCESS:
            return ACCESS[each]
    raise TypeError(f"{model.__name__} has no access rules: add it to ACCESS in {__name__}.")


def audience(groups: QuerySet[Group] | None) -> QuerySet[Any]:
    """Return the current members of `groups`, or of the organisation if it is None."""
    people: QuerySet[Any] = members()
    if groups is not None:
        people = people.filter(pk__in=keys_of_people_in(groups))
    # The queryset of MEMBERS may use a join.
    return people.distinct() if settings.members else people


def audience_of(announcement: Announcement) -> QuerySet[Any]:
    """Return the current audience of an announcement."""
    return audience(None if announcement.is_for_everybody else using_primary(announcement.groups.all()))
