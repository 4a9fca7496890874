"""What differs on the pages of broadcasts: audiences are organisations, and the report has numbers for each of them.

The pages exist only on the platform's host, for its staff.
"""

import uuid
from typing import Any, Final, cast

from django import forms
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.paginator import Paginator
from django.db.models import Prefetch, QuerySet
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
from messages_extends.links import reverse_page
from messages_extends.models.publication import PublicationQuerySet
from messages_extends.sending.cleaning import parse_datetime_of_page, require_characters
from messages_extends.tenancy.schemas import schema_of
from messages_extends.web.pickers import Choice
from messages_extends.web.publication_forms import NewPublicationForm
from messages_extends.web.publication_kind import PublicationKind, Wording
from messages_extends.web.publications import PublicationView
from messages_extends.web.search import name_of, search_organisations

ORGANISATIONS_SIZE: Final = 50
# The number of chosen organisations that a list names.
NAMED: Final = 3


class BroadcastForm(NewPublicationForm):
    author = forms.CharField(
        label=_("Sender name shown to readers"),
        max_length=Broadcast._meta.get_field("author").max_length,
        help_text=_("Readers see this name, not yours."),
        widget=forms.TextInput({"autocomplete": "off", "dir": "auto"}),
    )

    def clean_author(self) -> str:
        author = " ".join(str(self.cleaned_data["author"]).split())
        try:
            require_characters("author", author)
        except ValueError as error:
            raise ValidationError(_("This text contains characters that cannot be stored.")) from error
        return author


class BroadcastKind(PublicationKind):
    name = "broadcast"
    plural = "broadcasts"
    picked = "organisations"
    list_template = "broadcast_list"
    model = Broadcast
    form_class = BroadcastForm
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
        # The platform may be the public schema, which has none of the other pages.
        if schema_of(self.request) != settings.platform_schema:
            raise Http404("There are no broadcasts here.")

    def require_open(self) -> None:
        if not policy().may_see_broadcasts(self.person):
            raise Http404("You may not view broadcasts.")

    def require_open_one(self) -> None:
        self.require_open()

    def require_may_search(self) -> None:
        if not self.may_add():
            raise PermissionDenied("You may not write broadcasts.")

    def visible(self) -> PublicationQuerySet:
        # Only the named organisations and their number are queried.
        named = Prefetch("tenants", search_organisations("")[:NAMED], to_attr="named")
        return Broadcast.objects.with_chosen().prefetch_related(named)

    def may_add(self) -> bool:
        return policy().may_broadcast(self.person, "add")

    def may_change(self, publication: Broadcast) -> bool:
        return policy().may_broadcast(self.person, "change")

    def may_see_figures(self) -> bool:
        return policy().may_broadcast(self.person, "view")

    def audience(self, publication: Any) -> str:
        if publication.is_for_everybody:
            return gettext("all organisations")
        if not publication.named:
            return gettext("no organisation (the chosen ones were removed)")
        names = ", ".join(name_of(tenant) for tenant in publication.named)
        others = publication.chosen - len(publication.named)
        if others <= 0:
            return names
        more = ngettext("%(names)s and %(count)s more", "%(names)s and %(count)s more", others)
        return more % {"names": names, "count": others}

    def with_figures(self, publications: PublicationQuerySet) -> PublicationQuerySet:
        return cast(PublicationQuerySet, with_numbers(publications))

    def report(self, publication: Broadcast) -> dict[str, Any]:
        if not self.may_see_figures():
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
            # A new count begins with all of them.
            "round": start.isoformat() if start and done < progress.total else "",
            "count_address": reverse_page("broadcast_count", publication.pk),
        }

    def choices(self, offered: QuerySet[Any]) -> dict[str, str]:
        return {
            BroadcastForm.EVERYBODY: gettext("All current and future organisations"),
            BroadcastForm.PICKED: gettext("Chosen organisations"),
        }

    def initial(self) -> dict[str, Any]:
        # The name of the platform; empty if the public schema is served without a tenant.
        tenant = getattr(self.request, "tenant", None)
        return {"author": "" if tenant is None else name_of(tenant)}

    def search(self, text: str) -> QuerySet[Any]:
        return search_organisations(text)

    def choice(self, row: Any) -> Choice:
        name = name_of(row)
        return Choice("picked", str(row.pk), name, row.schema_name if row.schema_name != name else "")

    def reach(self, form: BroadcastForm) -> dict[str, Any]:
        count = search_organisations("").count() if form.everybody else len(form.picked_rows)
        reached = ngettext("This reaches %(count)s organisation", "This reaches %(count)s organisations", count)
        names = [name_of(tenant) for tenant in form.picked_rows]
        whom = gettext("everybody in all of them") if form.everybody else ", ".join(names)
        return {"reached": f"{reached % {'count': count}}: {whom}", "count": count}

    def signature(self, form: BroadcastForm) -> dict[str, Any]:
        return {"author": form["author"].value() or ""}

    def publish(self, form: BroadcastForm, key: str) -> None:
        to = ALL_TENANTS if form.everybody else form.picked_rows
        broadcast(**form.publication, author=form.cleaned_data["author"], to=to, key=key, sender=self.person)


class CountBroadcast(PublicationView):
    """Count readers for about a second, and redirect to a page that shows the progress."""

    kind_class = BroadcastKind

    def post(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        publication = self.find(pk)
        start = parse_datetime_of_page(request.POST.get("round", ""))
        if start is None:
            progress = progress_of(publication, viewer=self.person)
            # The first count continues where it was interrupted.
            start = timezone.now() if progress.is_complete or progress.since is None else progress.since
        count_readers(publication, viewer=self.person)
        query = urlencode({"round": start.isoformat()})
        return HttpResponseRedirect(f"{self.address('', pk)}?{query}#mx-counts")
