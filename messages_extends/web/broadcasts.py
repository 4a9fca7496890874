"""The console of the platform's staff: writing to every organisation. Everywhere else it is not there at all."""

import uuid
from typing import Any, Final, cast

from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Prefetch
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from messages_extends.access.policy import policy
from messages_extends.api import ALL_TENANTS, broadcast
from messages_extends.broadcasts.models import Broadcast
from messages_extends.conf import settings
from messages_extends.inbox.broadcast_counts import count_readers, organisations_of, progress_of, with_numbers
from messages_extends.models.publication import PublicationQuerySet
from messages_extends.sending.cleaning import parse_datetime_of_page
from messages_extends.tenancy.schemas import has_messages, schema_of
from messages_extends.web.broadcast_forms import BroadcastForm
from messages_extends.web.organisations import name_of, search_organisations
from messages_extends.web.pickers import Choice, found_response
from messages_extends.web.publications import (
    EditPublication,
    NewPublication,
    PublicationList,
    PublicationPage,
    PublicationView,
    RetractPublication,
    Wording,
)
from messages_extends.web.search import MAX_RESULTS, clean_search

ORGANISATIONS_SIZE: Final = 50
# Of a selection, a list names this many.
NAMED: Final = 3


class BroadcastMixin(PublicationView):
    kind = "broadcast"
    plural = "broadcasts"
    model = Broadcast
    wording = Wording(
        all=_("Broadcasts"),
        new=_("New broadcast"),
        publish=_("Publish this broadcast?"),
        edit=_("Change this broadcast"),
        retract=_("Retract this broadcast?"),
        retract_hint=_("It disappears from every organisation with each reader's next page. This cannot be undone."),
        retracted=_("The broadcast has been retracted from every organisation."),
        none_yet=_("There are no broadcasts yet."),
        picked=_("Organisations"),
    )

    def require_place(self) -> None:
        # The platform may be the public schema, where there are no other pages of ours.
        if schema_of(self.request) != settings.platform_schema:
            raise Http404("There are no broadcasts here.")

    def require_open(self) -> None:
        if not policy().may_see_broadcasts(self.person):
            raise Http404("There are no broadcasts for you to look into.")

    def visible(self) -> PublicationQuerySet:
        # However many there are, those that are named and their number are fetched.
        named = Prefetch("tenants", search_organisations("")[:NAMED], to_attr="named")
        return Broadcast.objects.with_chosen().prefetch_related(named)

    def may_add(self) -> bool:
        return policy().may_broadcast(self.person, "add")

    def may_change(self, publication: Any) -> bool:
        return policy().may_broadcast(self.person, "change")

    def audience(self, publication: Any) -> str:
        if publication.audience == Broadcast.Audience.ALL:
            return gettext("all organisations")
        return _named([name_of(tenant) for tenant in publication.named], publication.chosen)


class BroadcastList(BroadcastMixin, PublicationList):
    template = "broadcast_list"

    def with_figures(self, publications: PublicationQuerySet) -> PublicationQuerySet:
        return cast(PublicationQuerySet, with_numbers(publications))

    def may_see_figures(self) -> bool:
        return policy().may_broadcast(self.person, "view")


class NewBroadcast(BroadcastMixin, NewPublication):
    form_class = BroadcastForm
    search_address = "broadcast_organisations"

    def require_open(self) -> None:
        super().require_open()
        if not self.may_add():
            raise PermissionDenied("You may not write broadcasts.")

    def form_options(self) -> dict[str, Any]:
        choices = {
            BroadcastForm.EVERYBODY: gettext("All current and future organisations"),
            BroadcastForm.PICKED: gettext("Chosen organisations"),
        }
        return {"offered": search_organisations(""), "choices": choices, "author": _name_of_here(self.request)}

    def choice(self, row: Any) -> Choice:
        return _choice(row)

    def found(self, search: str) -> list[Choice]:
        return _found(search)

    def reach(self, form: BroadcastForm) -> dict[str, Any]:
        count = search_organisations("").count() if form.everybody else len(form.picked_rows)
        reached = ngettext("This reaches %(count)s organisation", "This reaches %(count)s organisations", count)
        names = [name_of(tenant) for tenant in form.picked_rows]
        whom = gettext("everybody in all of them") if form.everybody else ", ".join(names)
        return {"reached": f"{reached % {'count': count}}: {whom}", "count": count}

    def signature(self, form: BroadcastForm) -> dict[str, Any]:
        return {"author": form["author"].value() or ""}

    def publish_once(self, form: BroadcastForm, number: uuid.UUID, key: str) -> None:
        if has_messages(schema_of(self.request)):
            super().publish_once(form, number, key)
        elif not Broadcast.objects.filter(key=key).exists():
            # The public schema has no table of the forms that were sent; a broadcast keeps the key of its form.
            self.publish(form, key)

    def publish(self, form: BroadcastForm, key: str) -> None:
        to = ALL_TENANTS if form.everybody else form.picked_rows
        broadcast(**form.publication, author=form.cleaned_data["author"], to=to, key=key, sender=self.person)


class BroadcastPage(BroadcastMixin, PublicationPage):
    template = "broadcast"

    def report(self, publication: Broadcast) -> dict[str, Any]:
        if not policy().may_broadcast(self.person, "view"):
            return {}
        progress = progress_of(publication, viewer=self.person)
        organisations = organisations_of(publication, viewer=self.person)
        start = parse_datetime_of_page(self.request.GET.get("round", ""))
        done = organisations.filter(counted_at__gte=start).count() if start else progress.done
        page = Paginator(organisations, ORGANISATIONS_SIZE).get_page(self.request.GET.get("page"))
        for organisation in page:
            organisation.called = name_of(organisation)
        return {
            "progress": progress,
            "organisations": page,
            "done": done,
            "is_done": done >= progress.total,
            # A new round counts all of them anew.
            "round": start.isoformat() if start and done < progress.total else "",
            "count_address": self.address("count", publication.pk),
        }


class CountBroadcast(BroadcastMixin):
    """Counts readers for about a second; how far that went, the page it leads to says."""

    def post(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        publication = self.find(pk)
        start = parse_datetime_of_page(request.POST.get("round", ""))
        if start is None:
            progress = progress_of(publication, viewer=self.person)
            # The first round goes on where it was left.
            start = timezone.now() if progress.is_complete or progress.since is None else progress.since
        count_readers(publication, viewer=self.person)
        query = urlencode({"round": start.isoformat()})
        return HttpResponseRedirect(f"{self.address('', pk)}?{query}#mx-counts")


class EditBroadcast(BroadcastMixin, EditPublication):
    pass


class RetractBroadcast(BroadcastMixin, RetractPublication):
    pass


class Organisations(BroadcastMixin):
    """Answers which organisations are called so: for the script of the form."""

    def require_open(self) -> None:
        super().require_open()
        if not self.may_add():
            raise PermissionDenied("You may not write broadcasts.")

    def get(self, request: HttpRequest) -> HttpResponse:
        return found_response(_found(clean_search(request.GET.get("q", ""))))


def _name_of_here(request: HttpRequest) -> str:
    """Return what people call the platform; "" where the public schema is shown without a tenant of its own."""
    tenant = getattr(request, "tenant", None)
    return "" if tenant is None else name_of(tenant)


def _choice(organisation: Any) -> Choice:
    name = name_of(organisation)
    detail = organisation.schema_name if organisation.schema_name != name else ""
    return Choice("picked", str(organisation.pk), name, detail)


def _found(search: str) -> list[Choice]:
    return [_choice(organisation) for organisation in search_organisations(search)[: MAX_RESULTS + 1]]


def _named(names: list[str], count: int) -> str:
    if not names:
        return gettext("no organisation (the chosen ones were removed)")
    first, others = ", ".join(names), count - len(names)
    if others <= 0:
        return first
    more = ngettext("%(names)s and %(count)s more", "%(names)s and %(count)s more", others)
    return more % {"names": first, "count": others}
