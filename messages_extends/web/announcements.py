"""What differs on the pages of announcements: audiences are groups, and the report names the readers."""

from typing import Any, Final, cast

from django import forms
from django.contrib.auth.models import Group
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import Http404, HttpRequest
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from messages_extends.access.pages import accessible_pages
from messages_extends.access.policy import policy
from messages_extends.access.publications import audience
from messages_extends.api import EVERYONE, announce
from messages_extends.inbox.reports import read_report, with_numbers, with_read_at
from messages_extends.models import Announcement
from messages_extends.models.publication import PublicationQuerySet
from messages_extends.tenancy.databases import using_primary
from messages_extends.web.pickers import Choice
from messages_extends.web.publication_forms import NewPublicationForm
from messages_extends.web.publication_kind import PublicationKind, Wording
from messages_extends.web.requests import require_organisation
from messages_extends.web.search import clean_search, search_groups, search_people

PEOPLE_SIZE: Final = 50
WHO: Final = (("", _("Everybody")), ("read", _("Have read it")), ("unread", _("Have not read it")))


class AnnouncementKind(PublicationKind):
    name = "announcement"
    plural = "announcements"
    picked = "groups"
    list_template = "announcement_list"
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

    def require_place(self) -> None:
        require_organisation(self.request)

    def require_open(self) -> None:
        if not accessible_pages(self.person).announcements:
            raise Http404("You may not view announcements.")

    def require_open_one(self) -> None:
        # Senders may see their own announcements even after losing the permission to announce; see `visible`.
        pass

    def require_may_search(self) -> None:
        # A search finds only groups that this person may announce to.
        pass

    def visible(self) -> PublicationQuerySet:
        found: Any = policy().reports_visible_to(self.person)
        return cast(PublicationQuerySet, found.select_related("sender").prefetch_related("groups"))

    def may_add(self) -> bool:
        return policy().may_announce_to_everyone(self.person) or policy().announceable_groups(self.person).exists()

    def may_change(self, publication: Announcement) -> bool:
        return policy().may_change(self.person, publication)

    def may_see_figures(self) -> bool:
        return True

    def audience(self, publication: Announcement) -> str:
        return _everyone(self.request) if publication.is_for_everybody else _members_of(publication.groups.all())

    def with_figures(self, publications: PublicationQuerySet) -> PublicationQuerySet:
        return cast(PublicationQuerySet, with_numbers(publications))

    def report(self, publication: Announcement) -> dict[str, Any]:
        form = ReadersFilter(self.request.GET)
        is_valid = form.is_valid()
        who, search = form.cleaned_data.get("who", ""), clean_search(form.cleaned_data.get("q", ""))
        report = read_report(publication, self.person)
        people = {"read": report.read, "unread": report.unread}.get(who, report.everyone)()
        found = with_read_at(search_people(search, people), publication.pk, publication.revision)
        return {
            "status": 200 if is_valid else 400,
            "form": form,
            "report": report,
            "unread_count": report.people - report.readers,
            "who": who,
            "tabs": [(f"?who={value}#mx-readers", label, value == who) for value, label in WHO],
            "readers": Paginator(found, PEOPLE_SIZE).get_page(self.request.GET.get("page")),
            "unnamed": report.people - report.everyone().count(),
        }

    def choices(self, offered: QuerySet[Group]) -> dict[str, str]:
        choices = {}
        if policy().may_announce_to_everyone(self.person):
            everyone = _everyone(self.request)
            choices[NewPublicationForm.EVERYBODY] = everyone[:1].upper() + everyone[1:]
        if using_primary(offered).exists():
            choices[NewPublicationForm.PICKED] = gettext("The members of groups")
        return choices

    def initial(self) -> dict[str, Any]:
        return {}

    def search(self, text: str) -> QuerySet[Group]:
        return search_groups(text, policy().announceable_groups(self.person))

    def choice(self, row: Group) -> Choice:
        return Choice("picked", str(row.pk), row.name)

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


class SentAnnouncementKind(AnnouncementKind):
    """The announcements of the user, who sees them without the permission to announce, too."""

    plural = "sent_announcements"
    list_template = "sent_announcements"
    wording = AnnouncementKind.wording._replace(all=_("Sent"), none_yet=_("You have not announced anything yet."))

    def require_open(self) -> None:
        pass

    def visible(self) -> PublicationQuerySet:
        return super().visible().filter(sender=self.person.pk)


class ReadersFilter(forms.Form):
    """The filter of the people in the audience of an announcement."""

    who = forms.ChoiceField(choices=WHO, required=False)
    q = forms.CharField(
        label=_("Search by name"), required=False, max_length=100, widget=forms.TextInput({"type": "search"})
    )


def _everyone(request: HttpRequest) -> str:
    name = getattr(getattr(request, "tenant", None), "name", "")
    return gettext("everyone at %(organisation)s") % {"organisation": name} if name else gettext("everyone")


def _members_of(groups: Any) -> str:
    names = ", ".join(gettext("“%(name)s”") % {"name": group.name} for group in groups)
    if not names:
        return gettext("nobody (the chosen groups were deleted)")
    return gettext("the members of %(groups)s") % {"groups": names}
