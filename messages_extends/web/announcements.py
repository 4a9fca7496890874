"""The pages for announcements: writing, changing and retracting them, and who has read them."""

from typing import Any, Final, cast

from django import forms
from django.contrib.auth.models import Group
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from messages_extends.access.pages import accessible_pages
from messages_extends.access.policy import policy
from messages_extends.api import EVERYONE, announce
from messages_extends.inbox.reports import ReadReport, read_report, with_numbers, with_read_at
from messages_extends.models import Announcement
from messages_extends.models.publication import PublicationQuerySet
from messages_extends.sending.publications import audience
from messages_extends.tenancy.databases import for_write
from messages_extends.web.pickers import Choice, found_response
from messages_extends.web.publication_forms import NewPublicationForm
from messages_extends.web.publications import (
    EditPublication,
    NewPublication,
    PublicationList,
    PublicationPage,
    PublicationView,
    RetractPublication,
    Wording,
)
from messages_extends.web.requests import require_reader
from messages_extends.web.search import MAX_RESULTS, clean_search, search_groups, search_people

PEOPLE_SIZE: Final = 50
WHO: Final = (("", _("Everybody")), ("read", _("Have read it")), ("unread", _("Have not read it")))


class AnnouncementMixin(PublicationView):
    kind = "announcement"
    plural = "announcements"
    model = Announcement
    wording = Wording(
        all=_("Announcements"),
        new=_("New announcement"),
        publish=_("Publish this announcement?"),
        edit=_("Change this announcement"),
        retract=_("Retract this announcement?"),
        retract_hint=_("It disappears with each reader's next page. This cannot be undone."),
        retracted=_("The announcement has been retracted."),
        none_yet=_("There are no announcements yet."),
        picked=_("Groups"),
    )

    def visible(self) -> PublicationQuerySet:
        found: Any = policy().announcements_for(self.person)
        return cast(PublicationQuerySet, found.select_related("sender").prefetch_related("groups"))

    def may_add(self) -> bool:
        return policy().may_announce(self.person, None) or policy().audiences_for(self.person).exists()

    def may_change(self, publication: Any) -> bool:
        return policy().may_change(self.person, publication)

    def audience(self, publication: Any) -> str:
        if publication.audience == Announcement.Audience.EVERYONE:
            return _everyone(self.request)
        return _members_of(publication.groups.all())


class AnnouncementList(AnnouncementMixin, PublicationList):
    template = "announcement_list"

    def require_open(self) -> None:
        if not accessible_pages(self.person).announcements:
            raise Http404("There are no announcements for you to look into.")

    def with_figures(self, publications: PublicationQuerySet) -> PublicationQuerySet:
        return cast(PublicationQuerySet, with_numbers(publications))


class NewAnnouncement(AnnouncementMixin, NewPublication):
    search_address = "announcement_groups"

    def require_open(self) -> None:
        if not accessible_pages(self.person).announcements:
            raise Http404("There are no announcements for you to look into.")
        super().require_open()

    def form_options(self) -> dict[str, Any]:
        choices = {}
        if policy().may_announce(self.person, None):
            choices[NewPublicationForm.EVERYBODY] = _capital(_everyone(self.request))
        groups = search_groups("", policy().audiences_for(self.person))
        if for_write(groups).exists():
            choices[NewPublicationForm.PICKED] = gettext("The members of groups")
        return {"offered": groups, "choices": choices}

    def choice(self, row: Group) -> Choice:
        return _choice(row)

    def found(self, search: str) -> list[Choice]:
        return _groups_found(self.person, search)

    def reach(self, form: NewPublicationForm) -> dict[str, Any]:
        groups = None if form.everybody else Group.objects.filter(pk__in=[group.pk for group in form.picked_rows])
        count = audience(groups).count()
        reached = ngettext("This reaches %(count)s person", "This reaches %(count)s people", count)
        whom = _everyone(self.request) if groups is None else _members_of(form.picked_rows)
        return {"reached": f"{reached % {'count': count}}: {whom}", "count": count}

    def signature(self, form: NewPublicationForm) -> dict[str, Any]:
        return {"sender": self.person}

    def publish(self, form: NewPublicationForm, key: str) -> None:
        to = EVERYONE if form.everybody else form.picked_rows
        announce(**form.publication, to=to, key=key, sender=self.person)


class AnnouncementPage(AnnouncementMixin, PublicationPage):
    template = "announcement"

    def report(self, publication: Announcement) -> dict[str, Any]:
        form = ReadersFilter(self.request.GET)
        is_valid = form.is_valid()
        who = form.cleaned_data.get("who", "")
        report = read_report(publication, self.person)
        people = _people(publication, report, form)
        return {
            "status": 200 if is_valid else 400,
            "form": form,
            "report": report,
            "unread_count": report.people - report.readers,
            "who": who,
            "tabs": [(_address_of(value), label, value == who) for value, label in WHO],
            "readers": Paginator(people, PEOPLE_SIZE).get_page(self.request.GET.get("page")),
            "unnamed": report.people - report.everyone().count(),
        }


class EditAnnouncement(AnnouncementMixin, EditPublication):
    pass


class RetractAnnouncement(AnnouncementMixin, RetractPublication):
    pass


class ReadersFilter(forms.Form):
    """Which of the people an announcement is for are shown."""

    who = forms.ChoiceField(choices=WHO, required=False)
    q = forms.CharField(
        label=_("Search by name"), required=False, max_length=100, widget=forms.TextInput({"type": "search"})
    )


@require_safe
@never_cache
def groups(request: HttpRequest) -> HttpResponse:
    """Answer which of the groups that the reader may announce to are called so."""
    sender: Any = require_reader(request)
    if not accessible_pages(sender).announcements:
        raise Http404("There are no groups for you.")
    return found_response(_groups_found(sender, clean_search(request.GET.get("q", ""))))


def _choice(group: Group) -> Choice:
    return Choice("picked", str(group.pk), group.name)


def _groups_found(sender: Any, search: str) -> list[Choice]:
    found = search_groups(search, policy().audiences_for(sender))[: MAX_RESULTS + 1]
    return [_choice(group) for group in found]


def _people(announcement: Announcement, report: ReadReport, form: ReadersFilter) -> Any:
    """Return the people whom the page shows, sorted by name, each with `read_at`."""
    who, search = form.cleaned_data.get("who", ""), clean_search(form.cleaned_data.get("q", ""))
    people = {"read": report.read, "unread": report.unread}.get(who, report.everyone)()
    return with_read_at(search_people(search, people), announcement.pk, announcement.revision)


def _address_of(who: str) -> str:
    return f"?who={who}#mx-readers"


def _everyone(request: HttpRequest) -> str:
    name = getattr(getattr(request, "tenant", None), "name", "")
    return gettext("everyone at %(organisation)s") % {"organisation": name} if name else gettext("everyone")


def _members_of(groups: Any) -> str:
    names = ", ".join(gettext("“%(name)s”") % {"name": group.name} for group in groups)
    if not names:
        return gettext("nobody (the chosen groups were deleted)")
    return gettext("the members of %(groups)s") % {"groups": names}


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
