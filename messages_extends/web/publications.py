"""The pages of publications, one set for every kind: list, form, one publication, edit and retract."""

import uuid
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.urls import URLPattern, path
from django.utils.decorators import method_decorator
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views import View
from django.views.decorators.cache import never_cache

from messages_extends.api import retract, revise, send
from messages_extends.exceptions import NotPublished
from messages_extends.inbox.cursor import Cursor
from messages_extends.links import reverse_page
from messages_extends.models.publication import State
from messages_extends.sending.cleaning import shown_zone
from messages_extends.sending.idempotency import run_once
from messages_extends.sending.publications import lock
from messages_extends.tenancy.databases import atomic, using_primary
from messages_extends.tenancy.schemas import has_messages, schema_of
from messages_extends.web.pickers import Choice, Picker, first_results, found_response
from messages_extends.web.publication_forms import STATES, EditForm, NewPublicationForm, PublicationFilter, version_of
from messages_extends.web.publication_kind import PublicationKind, Text
from messages_extends.web.refusals import refused
from messages_extends.web.requests import form_number
from messages_extends.web.search import MAX_RESULTS, clean_search

PAGE_SIZE: Final = 20
ENDED: Final = (State.EXPIRED, State.RETRACTED)
# Errors that can still occur although the form was valid a moment ago.
GONE: Final = _(
    "Nothing was published. Part of your selection was deleted, or a time has passed. Check the form and try again."
)
OVER: Final = _("Nothing was changed. A time has passed. Check the form and try again.")


@method_decorator(never_cache, name="dispatch")
class PublicationView(View):
    """A page about one kind of publication, for users who may open it."""

    # Set by the URL.
    kind_class: type[PublicationKind] = PublicationKind  # type: ignore[type-abstract]

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        self.kind = self.kind_class(request)
        self.kind.require_place()
        if not request.user.is_authenticated:
            return self.login(request)
        self.person: Any = request.user
        self.require_open()
        return super().dispatch(request, *args, **kwargs)

    def login(self, request: HttpRequest) -> HttpResponseBase:
        return redirect_to_login(request.get_full_path())

    def require_open(self) -> None:
        """Raise 404 or PermissionDenied unless this person may open this page."""
        self.kind.require_open_one()

    def find(self, pk: uuid.UUID) -> Any:
        found = self.kind.visible().filter(pk=pk)
        publication = (using_primary(found) if self.request.method == "POST" else found).first()
        if publication is None:
            raise Http404("There is no such publication.")
        publication.audience_label = self.kind.audience(publication)
        return publication

    def find_to_change(self, pk: uuid.UUID) -> Any:
        publication = self.find(pk)
        if not self.kind.may_change(publication):
            raise PermissionDenied("You may not change this.")
        return publication

    def address(self, page: str = "", *args: Any) -> str:
        return reverse_page(f"{self.kind.name}_{page}" if page else self.kind.name, *args)

    def page(self, template: str, status: int = 200, **context: Any) -> HttpResponse:
        about = {
            "wording": self.kind.wording,
            "kind": self.kind.name,
            "plural": self.kind.plural,
            "list_address": reverse_page(self.kind.plural),
            "zone": str(shown_zone()),
        }
        return render(self.request, f"messages_extends/{template}.html", about | context, status=status)

    def done(self, text: str, address: str, level: int = messages.SUCCESS) -> HttpResponse:
        messages.add_message(self.request, level, text)
        return HttpResponseRedirect(address)


class PublicationList(PublicationView):
    """The list of publications with one state, the newest first, with keyset pagination."""

    def require_open(self) -> None:
        self.kind.require_open()

    def get(self, request: HttpRequest) -> HttpResponse:
        form = PublicationFilter(request.GET)
        is_valid = form.is_valid()
        state, after = form.cleaned_data.get("state", ""), form.cleaned_data.get("after")
        rows = self._rows(state, after)
        for each in rows:
            each.audience_label = self.kind.audience(each)
        more = len(rows) > PAGE_SIZE
        context = {
            "form": form,
            "publications": rows[:PAGE_SIZE],
            "state": state,
            "tabs": [(self._address(state=value), label, value == state) for value, label in STATES],
            "first": self._address(state=state) if after else "",
            "next": self._address(state=state, after=self._position(rows[PAGE_SIZE - 1])) if more else "",
            "may_add": self.kind.may_add(),
            "may_see_figures": self.kind.may_see_figures(),
            "new_address": self.address("new"),
        }
        return self.page(self.kind.list_template, status=200 if is_valid else 400, **context)

    def _rows(self, state: str, after: Cursor | None) -> Sequence[Any]:
        found = self.kind.visible()
        if state:
            found = found.in_state(State(state))
        if after is not None:
            found = found.filter(Q(publish_at__lt=after.at) | Q(publish_at=after.at, pk__lt=after.id))
        if self.kind.may_see_figures():
            found = self.kind.with_figures(found)
        return list(found.newest_first()[: PAGE_SIZE + 1])

    def _position(self, publication: Any) -> str:
        return str(Cursor(publication.publish_at, publication.kind, publication.pk))

    def _address(self, **query: str) -> str:
        given = urlencode({name: value for name, value in query.items() if value})
        return f"{reverse_page(self.kind.plural)}?{given}" if given else reverse_page(self.kind.plural)


class NewPublication(PublicationView):
    """The form for a new publication, its preview, a test, and publishing; each step keeps the entered data."""

    def require_open(self) -> None:
        self.kind.require_open()
        if not self.kind.may_add():
            raise PermissionDenied("You may not publish here.")

    def get(self, request: HttpRequest) -> HttpResponse:
        return self._form_page(self._form())

    def post(self, request: HttpRequest) -> HttpResponse:
        step = request.POST.get("step", "")
        form = self._form(request.POST, checks=step not in ("search", "back"))
        if not form.checks:
            return self._form_page(form)
        if not form.is_valid():
            return self._form_page(form, status=400)
        number = form_number(request)
        if step == "test" and has_messages(schema_of(request)):
            return self._test(form, number or uuid.uuid4())
        if step == "publish" and number:
            return self._publish(form, number)
        return self._look(form, uuid.uuid4())

    def _form(self, *data: Any, **options: Any) -> NewPublicationForm:
        kind, offered = self.kind, self.kind.search("")
        about = {"choices": kind.choices(offered), "initial": kind.initial(), **options}
        return kind.form_class(*data, offered=offered, **about)

    def _form_page(self, form: NewPublicationForm, status: int = 200) -> HttpResponse:
        few = None if form.few is None else [(self.kind.choice(row), row in form.picked_rows) for row in form.few]
        picker = self._picker(form) if few is None else None
        draft = self.kind.model(**self.kind.signature(form))
        return self.page("publication_new", status, form=form, few=few, picker=picker, draft=draft)

    def _picker(self, form: NewPublicationForm) -> Picker:
        chosen = [self.kind.choice(row) for row in form.picked_rows]
        found, more = None, False
        if not form.checks and form.search:
            found, more = first_results([each for each in choices_found(self.kind, form.search) if each not in chosen])
        return Picker(
            id="mx-picked",
            label=str(self.kind.wording.picked),
            search_name="q",
            url=self.address(self.kind.picked),
            several=True,
            search=form.search,
            hint=gettext("Search by name."),
            chosen=chosen,
            found=found,
            more=more,
            errors=[str(error) for error in form.errors.get("picked", ())],
        )

    def _look(self, form: NewPublicationForm, number: uuid.UUID, note: str = "") -> HttpResponse:
        """Show the preview and the size of the audience. The page's UUID prevents publishing twice."""
        preview = self.kind.model(**form.content, **self.kind.signature(form))
        # The public schema has no inbox to which a test could be sent.
        may_test = has_messages(schema_of(self.request))
        about = self.kind.reach(form) | {"form": form, "number": number, "note": note, "message": preview}
        return self.page("publication_confirm", may_test=may_test, **about)

    def _test(self, form: NewPublicationForm, number: uuid.UUID) -> HttpResponse:
        # With a key, so that a double click publishes once.
        send(self.person, **form.content, sender=self.person, key=f"test:{number}")
        return self._look(form, number, gettext("A test was sent to you alone. It is in your inbox."))

    def _publish(self, form: NewPublicationForm, number: uuid.UUID) -> HttpResponse:
        # The key contains the user's primary key, so that it never equals the key of another user's form.
        key = f"page:{self.person.pk}:{number}"
        try:
            self._publish_once(form, number, key)
        except (PermissionDenied, ValueError) as error:
            form.add_error(None, _refusal(error, GONE))
            return refused(self._form_page(form), error)
        # An ended publication keeps its key, so that submitting the form again leads to it and publishes nothing.
        publication = self.kind.visible().filter(key=key).first()
        if publication is None:
            return self.done(gettext("This has already ended."), reverse_page(self.kind.plural), messages.INFO)
        address = self.address("", publication.pk)
        if publication.state() in ENDED:
            return self.done(gettext("This has already ended."), address, messages.INFO)
        is_scheduled = publication.state() is State.SCHEDULED
        return self.done(gettext("It is scheduled.") if is_scheduled else gettext("It is published."), address)

    def _publish_once(self, form: NewPublicationForm, number: uuid.UUID, key: str) -> None:
        """Publish, unless the form with this UUID was submitted before."""

        def publish() -> int:
            self.kind.publish(form, key)
            return 1

        if has_messages(schema_of(self.request)):
            run_once(uuid.uuid5(number, f"{self.kind.name}:{self.person.pk}"), publish)
        elif not self.kind.model._default_manager.filter(key=key).exists():
            # The public schema has no table of submitted forms; there the publication keeps the form's UUID as its key.
            publish()


class PublicationSearch(PublicationView):
    """Return the rows that can be chosen as the audience of a new publication, as JSON for the form's script."""

    def login(self, request: HttpRequest) -> HttpResponseBase:
        raise PermissionDenied

    def require_open(self) -> None:
        self.kind.require_open()
        self.kind.require_may_search()

    def get(self, request: HttpRequest) -> HttpResponse:
        return found_response(choices_found(self.kind, clean_search(request.GET.get("q", ""))))


class PublicationPage(PublicationView):
    """The page of one publication, with the number of readers."""

    def get(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        publication = self.find(pk)
        may_change = publication.state() not in ENDED and self.kind.may_change(publication)
        context = {
            "publication": publication,
            "may_change": may_change,
            "edit_address": self.address("edit", pk),
            "retract_address": self.address("retract", pk),
        }
        return self.page(self.kind.name, **context, **self.kind.report(publication))


class EditPublication(PublicationView):
    """The form for changing a publication, which never overwrites a concurrent change."""

    def get(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        publication = self.find_to_change(pk)
        if publication.state() in ENDED:
            return self._ended(publication)
        return self._form_page(publication, EditForm(publication=publication))

    def post(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        with atomic():
            publication = self.find_to_change(pk)
            try:
                # Locked, so that the compared version is the one that is changed.
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
        """Show the other user's change and the entered one, so that the user can decide."""
        data: Any = self.request.POST.copy()
        data["version"] = version_of(now)
        now.audience_label = publication.audience_label
        return self._form_page(now, EditForm(data, publication=now), status=409, meanwhile=now)

    def _ended(self, publication: Any, entered: str = "") -> HttpResponse:
        status = 409 if entered else 200
        return self.page("publication_ended", status, publication=publication, entered=entered)


class RetractPublication(PublicationView):
    """The confirmation page for retracting a publication."""

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
        return self.done(str(self.kind.wording.retracted), self.address("", pk))


def publication_urls(kind: type[PublicationKind], prefix: str = "") -> list[URLPattern]:
    """Return the URL patterns of the pages of one kind."""
    return [
        path(prefix, PublicationList.as_view(kind_class=kind), name=kind.plural),
        path(f"{prefix}new/", NewPublication.as_view(kind_class=kind), name=f"{kind.name}_new"),
        path(f"{prefix}{kind.picked}/", PublicationSearch.as_view(kind_class=kind), name=f"{kind.name}_{kind.picked}"),
        path(f"{prefix}<uuid:pk>/", PublicationPage.as_view(kind_class=kind), name=kind.name),
        path(f"{prefix}<uuid:pk>/edit/", EditPublication.as_view(kind_class=kind), name=f"{kind.name}_edit"),
        path(f"{prefix}<uuid:pk>/retract/", RetractPublication.as_view(kind_class=kind), name=f"{kind.name}_retract"),
    ]


def choices_found(kind: PublicationKind, search: str) -> list[Choice]:
    """Return the results of a search, one more than are shown if there are more."""
    return [kind.choice(row) for row in kind.search(search)[: MAX_RESULTS + 1]]


def _refusal(error: Exception, otherwise: Text) -> str:
    """Return an error message for the reader; only a refusal has a text for readers."""
    return (str(error) if isinstance(error, PermissionDenied) else "") or str(otherwise)
