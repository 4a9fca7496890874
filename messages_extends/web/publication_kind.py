"""The interface between the pages of publications and one kind of publication."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import Promise

from messages_extends.models.publication import Publication, PublicationQuerySet
from messages_extends.web.pickers import Choice
from messages_extends.web.publication_forms import NewPublicationForm

Text = str | Promise


class Wording(NamedTuple):
    """The texts on the pages of one kind of publication."""

    all: Text
    new: Text
    publish: Text
    edit: Text
    retract: Text
    retract_hint: Text
    retracted: Text
    none_yet: Text
    picked: Text


class PublicationKind(ABC):
    """Supplies what differs between kinds of publications; instantiated for each request.

    `name`, `plural` and `picked` make the names of URLs (announcement, announcement_new, announcements,
    announcement_groups), and `name` that of a template (announcement).
    """

    name: ClassVar[str]
    plural: ClassVar[str]
    picked: ClassVar[str]
    list_template: ClassVar[str]
    model: ClassVar[type[Publication]]
    wording: ClassVar[Wording]
    form_class: ClassVar[type[NewPublicationForm]] = NewPublicationForm

    def __init__(self, request: HttpRequest) -> None:
        self.request = request
        self.person: Any = request.user

    # Access ----------------------------------------------------------------------------------------------------------

    @abstractmethod
    def require_place(self) -> None:
        """Raise 404 on hosts that do not have these pages."""

    @abstractmethod
    def require_open(self) -> None:
        """Raise 404 unless this person may use the list and the form."""

    @abstractmethod
    def require_open_one(self) -> None:
        """Raise 404 unless this person may open pages about single publications, of those that are `visible`."""

    @abstractmethod
    def require_may_search(self) -> None:
        """Raise PermissionDenied unless this person may search for what can be picked."""

    @abstractmethod
    def visible(self) -> PublicationQuerySet:
        """Return the publications that this person may see, with the related rows that the list shows."""

    @abstractmethod
    def may_add(self) -> bool: ...

    @abstractmethod
    def may_change(self, publication: Any) -> bool: ...

    @abstractmethod
    def may_see_figures(self) -> bool: ...

    # Readers ---------------------------------------------------------------------------------------------------------

    @abstractmethod
    def audience(self, publication: Any) -> str:
        """Return the audience of a publication as text."""

    @abstractmethod
    def with_figures(self, publications: PublicationQuerySet) -> PublicationQuerySet:
        """Add `readers` and `people`."""

    @abstractmethod
    def report(self, publication: Any) -> dict[str, Any]:
        """Return the context of the page of one publication that is about its readers; `status` is the response's."""

    # Writing ---------------------------------------------------------------------------------------------------------

    @abstractmethod
    def choices(self, offered: QuerySet[Any]) -> Mapping[str, str]:
        """Return the audiences of the form, with their labels; `offered` is what can be picked."""

    @abstractmethod
    def initial(self) -> dict[str, Any]:
        """Return the initial values of the fields that only the form of this kind has."""

    @abstractmethod
    def search(self, text: str) -> QuerySet[Any]:
        """Return the rows that can be picked and whose names match; all rows for an empty text."""

    @abstractmethod
    def choice(self, row: Any) -> Choice: ...

    @abstractmethod
    def reach(self, form: Any) -> dict[str, Any]:
        """Return the context of the confirmation page: `count`, and the audience in words as `reached`."""

    @abstractmethod
    def signature(self, form: Any) -> dict[str, Any]:
        """Return the fields of a publication that tell readers who has written it."""

    @abstractmethod
    def publish(self, form: Any, key: str) -> None: ...
