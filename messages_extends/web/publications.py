"""What the pages for announcements and for broadcasts have in common: a list, a new one, changing, retracting."""

import uuid
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.utils.decorators import method_decorator
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views import View
from django.views.decorators.cache import never_cache

from messages_extends.api import retract, revise, send
from messages_extends.exceptions import NotPublished
from messages_extends.inbox.cursor import Cursor
from messages_extends.links import reverse_own
from messages_extends.models.publication import Publication, PublicationQuerySet, State
from messages_extends.sending.cleaning import shown_zone
from messages_extends.sending.idempotency import run_once
from messages_extends.sending.publications import lock
from messages_extends.tenancy.databases import atomic, for_write
from messages_extends.tenancy.schemas import has_messages, schema_of
from messages_extends.web.pickers import Choice, Picker, shown
from messages_extends.web.publication_forms import STATES, EditForm, NewPublicationForm, PublicationFilter, version_of
from messages_extends.web.refusals import refused
from messages_extends.web.requests import require_organisation

PAGE_SIZE: Final = 20
ENDED: Final = (State.EXPIRED, State.RETRACTED)
# What can still stand in the way of a form that was found good a moment ago.
GONE: Final = _(
    "Nothing was published. Part of your selection was deleted, or a time has passed. Check the form and try again."
)
OVER: Final = _("Nothing was changed. A time has passed. Check the form and try again.")
Words = str | Promise


@dataclass(frozen=True)
class Wording:
    """What pages of one kind of publication say."""

    all: Words
    new: Words
    publish: Words
    edit: Words
    retract: Words
    retract_hint: Words
    retracted: Words
    none_yet: Words
    picked: Words


@method_decorator(never_cache, name="dispatch")
class PublicationView(View):
    """A page about one kind of publication, for those who may open it.

    `kind` and `plural` are in the names of URLs: announcement, announcement_new, ...; announcements.
    """

    kind: ClassVar[str]
    plural: ClassVar[str]
    model: ClassVar[type[Publication]]
    wording: ClassVar[Wording]

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        self.require_place()
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        self.person: Any = request.user
        self.require_open()
        return super().dispatch(request, *args, **kwargs)

    def require_place(self) -> None:
        """Raise 404 at hosts where there are no such pages for anybody."""
        require_organisation(self.request)

    def require_open(self) -> None:
        """Raise 404 for who has nothing to do with this page."""

    @abstractmethod
    def visible(self) -> PublicationQuerySet:
        """Return what this person may look into, with all that a row of the list shows."""

    @abstractmethod
    def may_add(self) -> bool: ...

    @abstractmethod
    def may_change(self, publication: Any) -> bool: ...

    @abstractmethod
    def audience(self, publication: Any) -> str:
        """Say in words whom a publication is for."""

    def find(self, pk: uuid.UUID) -> Any:
        found = self.visible().filter(pk=pk)
        publication = (for_write(found) if self.request.method == "POST" else found).first()
        if publication is None:
            raise Http404("There is no such publication.")
        publication.in_words = self.audience(publication)
        return publication

    def find_to_change(self, pk: uuid.UUID) -> Any:
        publication = self.find(pk)
        if not self.may_change(publication):
            raise PermissionDenied("You may not change this.")
        return publication

    def address(self, page: str = "", *args: Any) -> str:
        return reverse_own(f"{self.kind}_{page}" if page else self.kind, *args)

    def page(self, template: str, status: int = 200, **context: Any) -> HttpResponse:
        about = {
            "wording": self.wording,
            "kind": self.kind,
            "plural": self.plural,
            "list_address": reverse_own(self.plural),
            "zone": str(shown_zone()),
        }
        return render(self.request, f"messages_extends/{template}.html", about | context, status=status)

    def done(self, text: str, address: str, level: int = messages.SUCCESS) -> HttpResponse:
        messages.add_message(self.request, level, text)
        return HttpResponseRedirect(address)


class PublicationList(PublicationView):
    """The publications of a state, the newest first; pages by where the one before has ended."""

    template: ClassVar[str]

    def get(self, request: HttpRequest) -> HttpResponse:
        form = PublicationFilter(request.GET)
        is_valid = form.is_valid()
        state, after = form.cleaned_data.get("state", ""), form.cleaned_data.get("after")
        rows = self._rows(state, after)
        for each in rows:
            each.in_words = self.audience(each)
        more = len(rows) > PAGE_SIZE
        context = {
            "form": form,
            "publications": rows[:PAGE_SIZE],
            "state": state,
            "tabs": [(self._address(state=value), label, value == state) for value, label in STATES],
            "first": self._address(state=state) if after else "",
            "next": self._address(state=state, after=self._position(rows[PAGE_SIZE - 1])) if more else "",
            "may_add": self.may_add(),
            "may_see_figures": self.may_see_figures(),
            "new_address": self.address("new"),
        }
        return self.page(self.template, status=200 if is_valid else 400, **context)

    def with_figures(self, publications: PublicationQuerySet) -> PublicationQuerySet:
        """Add `readers` and `people`."""
        return publications

    def may_see_figures(self) -> bool:
        return True

    def _rows(self, state: str, after: Cursor | None) -> Sequence[Any]:
        found = self.visible()
        if state:
            found = found.in_state(State(state))
        if after is not None:
            found = found.filter(Q(publish_at__lt=after.at) | Q(publish_at=after.at, pk__lt=after.id))
        if self.may_see_figures():
            found = self.with_figures(found)
        return list(found.newest_first()[: PAGE_SIZE + 1])

    def _position(self, publication: Any) -> str:
        return str(Cursor(publication.publish_at, publication.kind, publication.pk))

    def _address(self, **query: str) -> str:
        given = urlencode({name: value for name, value in query.items() if value})
        return f"{reverse_own(self.plural)}?{given}" if given else reverse_own(self.plural)


class NewPublication(PublicationView):
    """Write it, look at it and whom it reaches, try it on oneself, publish it: each step keeps what was entered."""

    form_class: ClassVar[type[NewPublicationForm]] = NewPublicationForm

    @abstractmethod
    def form_options(self) -> dict[str, Any]:
        """Return what the form takes: what is `offered` to pick from, and the `choices` of the audience."""

    @abstractmethod
    def choice(self, row: Any) -> Choice: ...

    @abstractmethod
    def found(self, search: str) -> list[Choice]:
        """Return what a search among what is offered finds, and one more than it shows if there are more."""

    @abstractmethod
    def reach(self, form: Any) -> dict[str, Any]:
        """Return what the page that confirms it says: `count` and `reached`, in words."""

    @abstractmethod
    def signature(self, form: Any) -> dict[str, Any]:
        """Return the fields of a publication that say who speaks."""

    @abstractmethod
    def publish(self, form: Any, key: str) -> None: ...

    search_address: ClassVar[str]

    def require_open(self) -> None:
        if not self.may_add():
            raise PermissionDenied("You may not publish here.")

    def get(self, request: HttpRequest) -> HttpResponse:
        return self._form_page(self.form_class(**self.form_options()))

    def post(self, request: HttpRequest) -> HttpResponse:
        step = request.POST.get("step", "")
        form = self.form_class(request.POST, checks=step not in ("search", "back"), **self.form_options())
        if not form.checks:
            return self._form_page(form)
        if not form.is_valid():
            return self._form_page(form, status=400)
        number = _number(request)
        if step == "test" and has_messages(schema_of(request)):
            return self._test(form, number or uuid.uuid4())
        if step == "publish" and number:
            return self._publish(form, number)
        return self._look(form, uuid.uuid4())

    def _form_page(self, form: NewPublicationForm, status: int = 200) -> HttpResponse:
        few = None if form.few is None else [(self.choice(row), row in form.picked_rows) for row in form.few]
        picker = self._picker(form) if few is None else None
        draft = self.model(**self.signature(form))
        return self.page("publication_new", status, form=form, few=few, picker=picker, draft=draft)

    def _picker(self, form: NewPublicationForm) -> Picker:
        chosen = [self.choice(row) for row in form.picked_rows]
        found, more = None, False
        if not form.checks and form.search:
            found, more = shown([each for each in self.found(form.search) if each not in chosen])
        return Picker(
            id="mx-picked",
            label=str(self.wording.picked),
            search_name="q",
            url=reverse_own(self.search_address),
            several=True,
            search=form.search,
            hint=gettext("Search by name."),
            chosen=chosen,
            found=found,
            more=more,
            errors=[str(error) for error in form.errors.get("picked", ())],
        )

    def _look(self, form: NewPublicationForm, number: uuid.UUID, note: str = "") -> HttpResponse:
        """Show what will be published, and whom it reaches; a number of its own makes that page count once."""
        text = {name: form.cleaned_data[name] for name in ("message", "level", "url")}
        preview = self.model(**text, **self.signature(form))
        # In the public schema there is no inbox that a test could be sent to.
        may_test = has_messages(schema_of(self.request))
        about = self.reach(form) | {"form": form, "number": number, "note": note, "message": preview}
        return self.page("publication_confirm", may_test=may_test, **about)

    def _test(self, form: NewPublicationForm, number: uuid.UUID) -> HttpResponse:
        text = {name: form.cleaned_data[name] for name in ("message", "level", "url")}
        # Under a key, so that a double click makes no two of it.
        send(self.person, **text, sender=self.person, key=f"test:{number}")
        return self._look(form, number, gettext("A test was sent to you alone. It is in your inbox."))

    def _publish(self, form: NewPublicationForm, number: uuid.UUID) -> HttpResponse:
        # With the person's own number in it, so that nobody meets another's.
        key = f"page:{self.person.pk}:{number}"
        try:
            self.publish_once(form, number, key)
        except (PermissionDenied, ValueError) as error:
            form.add_error(None, _refusal(error, GONE))
            return refused(self._form_page(form), error)
        # It keeps its key when it has ended: what is sent again leads to what was published, and publishes nothing.
        publication = self.visible().filter(key=key).first()
        if publication is None:
            return self.done(gettext("This has already ended."), reverse_own(self.plural), messages.INFO)
        address = self.address("", publication.pk)
        if publication.state() in ENDED:
            return self.done(gettext("This has already ended."), address, messages.INFO)
        return self.done(_published(publication), address)

    def publish_once(self, form: Any, number: uuid.UUID, key: str) -> None:
        """Publish, unless the form with this number has been sent before."""

        def publish() -> int:
            self.publish(form, key)
            return 1

        run_once(uuid.uuid5(number, f"{self.kind}:{self.person.pk}"), publish)


class PublicationPage(PublicationView):
    """One publication, and how many have read it."""

    template: ClassVar[str]

    def get(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        publication = self.find(pk)
        may_change = publication.state() not in ENDED and self.may_change(publication)
        context = {
            "publication": publication,
            "may_change": may_change,
            "edit_address": self.address("edit", pk),
            "retract_address": self.address("retract", pk),
        }
        return self.page(self.template, **context, **self.report(publication))

    @abstractmethod
    def report(self, publication: Any) -> dict[str, Any]:
        """Return what the page says about its readers, and its status."""


class EditPublication(PublicationView):
    """Changes what readers see with their next request; what somebody else has changed meanwhile is never lost."""

    def get(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        publication = self.find_to_change(pk)
        if publication.state() in ENDED:
            return self._ended(publication)
        return self._form_page(publication, EditForm(publication=publication))

    def post(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        with atomic():
            publication = self.find_to_change(pk)
            try:
                # Held until it is changed: what was compared is what is changed.
                now = lock(publication)
            except NotPublished as error:
                raise Http404("There is no such publication.") from error
            form = EditForm(request.POST, publication=now)
            if now.state() in ENDED:
                return self._ended(publication, request.POST.get("message", ""))
            if not form.is_valid():
                return self._form_page(publication, form, status=400)
            if form.cleaned_data["version"] != version_of(now):
                return self._changed_meanwhile(publication, now)
            return self._save(publication, now, form)

    def _save(self, publication: Any, now: Any, form: EditForm) -> HttpResponse:
        if not form.changes and not form.show_again:
            return self.done(gettext("Nothing was changed."), self.address("", now.pk), messages.INFO)
        try:
            revise(now, sender=self.person, show_again=form.show_again, **form.changes)
        except (PermissionDenied, ValueError) as error:
            form.add_error(None, _refusal(error, OVER))
            return refused(self._form_page(publication, form), error)
        again = gettext("It was changed, and is unread again for everybody.")
        return self.done(again if form.show_again else gettext("It was changed."), self.address("", now.pk))

    def _form_page(self, publication: Any, form: EditForm, status: int = 200, **context: Any) -> HttpResponse:
        about = {"publication": publication, "draft": publication, "form": form}
        return self.page("publication_edit", status, **about, **context)

    def _changed_meanwhile(self, publication: Any, now: Any) -> HttpResponse:
        """Show both texts; saving once more is a decision then."""
        data: Any = self.request.POST.copy()
        data["version"] = version_of(now)
        now.in_words = publication.in_words
        return self._form_page(now, EditForm(data, publication=now), status=409, meanwhile=now)

    def _ended(self, publication: Any, entered: str = "") -> HttpResponse:
        status = 409 if entered else 200
        return self.page("publication_ended", status, publication=publication, entered=entered)


class RetractPublication(PublicationView):
    """Asks before it takes a publication away from everybody."""

    def get(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        publication = self.find_to_change(pk)
        if publication.state() in ENDED:
            return self.page("publication_ended", publication=publication)
        return self.page("publication_retract", publication=publication)

    def post(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        publication = self.find_to_change(pk)
        if publication.state() in ENDED:
            return self.done(gettext("This has already ended."), self.address("", pk), messages.INFO)
        retract(publication, sender=self.person)
        return self.done(str(self.wording.retracted), self.address("", pk))


def _refusal(error: Exception, otherwise: Words) -> str:
    """Say in the reader's language why nothing was done; of errors, only a refusal has words for readers."""
    return (str(error) if isinstance(error, PermissionDenied) else "") or str(otherwise)


def _published(publication: Any) -> str:
    if publication.state() is State.SCHEDULED:
        return gettext("It is scheduled.")
    return gettext("It is published.")


def _number(request: HttpRequest) -> uuid.UUID | None:
    try:
        return uuid.UUID(request.POST.get("number", ""))
    except ValueError:
        return None
