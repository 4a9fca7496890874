"""The pages for messaging permissions: list, grant, revoke and explain."""

from functools import wraps
from typing import Final
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from messages_extends.access import grants
from messages_extends.access.explain import Reason, explain
from messages_extends.access.grants import All, Held, held
from messages_extends.access.membership import members, people_here
from messages_extends.access.policy import policy
from messages_extends.links import reverse_page
from messages_extends.tenancy.schemas import user_model_has
from messages_extends.web.forms import ExplainForm, GrantForm, find_one
from messages_extends.web.keys import as_keys
from messages_extends.web.pickers import Choice, Picker, first_results, found_response, group_choice, person_choice
from messages_extends.web.requests import View, login_to_read, require_reader
from messages_extends.web.search import MAX_RESULTS, clean_search, search_groups, search_people

PAGE_SIZE = 25
ALL_NAMES: Final[dict[Model | All, Promise]] = {
    All.EVERYBODY: _("everybody"),
    All.EVERY_GROUP: _("the members of every group"),
}


def require_may_grant(view: View) -> View:
    """Raise PermissionDenied for users who may not manage messaging permissions."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        if not policy().may_grant(require_reader(request)):
            raise PermissionDenied("You may not manage messaging permissions.")
        return view(request, *args, **kwargs)

    return guarded


@never_cache
@login_to_read
@require_may_grant
@require_http_methods(["GET", "HEAD", "POST"])
def message_grants(request: HttpRequest) -> HttpResponse:
    """List the permissions, filtered by a search; grant another one."""
    if request.method != "POST":
        return _list_page(request, GrantForm())
    form = GrantForm(request.POST, checks=request.POST.get("step") != "search")
    if not form.checks:
        return _list_page(request, form)
    holder, target = form.picked["holder"], form.chosen_target
    if form.is_valid() and target is not None and not policy().may_give(request.user, target):
        form.add_error("target", _("You can grant permission to write only to recipients you may write to yourself."))
    if not form.is_valid() or holder is None or target is None:
        return _list_page(request, form, status=400)
    grants.grant(holder, target, by=require_reader(request))
    names = {"holder": _label(holder), "target": _label(target)}
    messages.success(request, gettext("%(holder)s may now write to %(target)s.") % names)
    return HttpResponseRedirect(reverse_page("message_grants"))


@never_cache
@login_to_read
@require_may_grant
@require_http_methods(["GET", "HEAD", "POST"])
def message_grant_remove(request: HttpRequest) -> HttpResponse:
    """Ask for confirmation, then revoke a grant. Raises 404 for a grant that does not exist."""
    given = request.POST if request.method == "POST" else request.GET
    holder, target = (find_one(given.get(name, ""), people_here()) for name in ("holder", "target"))
    if holder is None or target is None or isinstance(holder, All):
        raise Http404("There is no such grant.")
    names = {"holder": _label(holder), "target": _label(target)}
    if request.method != "POST":
        if not grants.is_held(holder, target):
            raise Http404("There is no such grant.")
        context = names | {"holder_value": given["holder"], "target_value": given["target"]}
        return render(request, "messages_extends/grant_remove.html", context)
    grants.revoke(holder, target, by=require_reader(request))
    messages.success(request, gettext("The permission of %(holder)s to write to %(target)s has been revoked.") % names)
    return HttpResponseRedirect(reverse_page("message_grants"))


@never_cache
@login_to_read
@require_may_grant
@require_safe
def message_why(request: HttpRequest) -> HttpResponse:
    """Explain whether one user may write to another."""
    form = ExplainForm(request.GET, checks=request.GET.get("step") == "ask")
    reasons: list[Reason] = []
    if form.checks and form.is_valid():
        sender, recipient = form.picked["sender"], form.picked["recipient"]
        if isinstance(sender, AbstractBaseUser) and isinstance(recipient, AbstractBaseUser):
            reasons = explain(sender, recipient)
    context = {
        "form": form,
        "pickers": [_picker(form, name, gettext("Search by name or e-mail address.")) for name in ExplainForm.PICKERS],
        "reasons": reasons,
        "may": any(reason.allows for reason in reasons),
    }
    return render(request, "messages_extends/why.html", context, status=400 if form.errors else 200)


@never_cache
@require_may_grant
@require_safe
def message_grant_people(request: HttpRequest, field: str) -> HttpResponse:
    """Return the matching people, and groups if the field accepts them, as JSON for a picker."""
    if field not in (*GrantForm.PICKERS, *ExplainForm.PICKERS):
        raise Http404("There is no such field.")
    return found_response(_found(field, clean_search(request.GET.get("q", ""))))


# Parts of the pages -------------------------------------------------------------------------------------------------


def _list_page(request: HttpRequest, form: GrantForm, status: int = 200) -> HttpResponse:
    search = clean_search(request.GET.get("search", ""))
    people = search_people(search, people_here()) if search else None
    groups = search_groups(search, Group.objects.all()) if search else None
    page = Paginator(held(people=people, groups=groups), PAGE_SIZE).get_page(request.GET.get("page"))
    rows = [Held(*row[1:]) for row in page]
    found = {
        **_by_key("user", people_here(), rows),
        **_by_key("group", Group.objects.all(), rows),
        **{(each.value, ""): each for each in All},
    }
    described = [
        {
            "holder": _label(found.get((row.holder_kind, row.holder_key))),
            "target": _label(found.get((row.target_kind, row.target_key))),
            "query": urlencode(
                {"holder": _value(row.holder_kind, row.holder_key), "target": _value(row.target_kind, row.target_key)}
            ),
        }
        for row in rows
    ]
    hint = gettext("Search for people and groups by name or e-mail address.")
    context = {
        "form": form,
        "pickers": [_picker(form, name, hint) for name in GrantForm.PICKERS],
        "page": page,
        "rows": described,
        "search": search,
    }
    return render(request, "messages_extends/grants.html", context, status=status)


def _picker(form: GrantForm | ExplainForm, name: str, hint: str) -> Picker:
    picked = form.picked[name]
    chosen = [] if picked is None else [_choice(picked, name)]
    found, more = (None, False)
    search = form.search(name)
    if not form.checks and search:
        found, more = first_results([choice for choice in _found(name, search) if choice not in chosen])
    return Picker(
        id=f"id_{name}",
        label=str(form.fields[name].label),
        search_name=f"{name}_q",
        url=reverse_page("message_grant_people", name),
        several=False,
        search=search,
        hint=hint,
        chosen=chosen,
        found=found,
        more=more,
        errors=[str(error) for error in form.errors.get(name, ())],
    )


def _choice(picked: AbstractBaseUser | Group, name: str) -> Choice:
    return group_choice(picked, name, "group:") if isinstance(picked, Group) else person_choice(picked, name, "user:")


def _found(name: str, search: str) -> list[Choice]:
    """Return the results of a search, one more than are shown if there are more."""
    with_groups = name in GrantForm.PICKERS
    # Without groups of users, permissions of or on groups have no effect.
    groups = (
        search_groups(search, Group.objects.all())[: MAX_RESULTS + 1]
        if with_groups and user_model_has("groups")
        else ()
    )
    # Inactive users can be explained, because being inactive may be the reason.
    people = search_people(search, members() if with_groups else people_here())[: MAX_RESULTS + 1]
    return [_choice(each, name) for each in (*groups, *people)]


def _by_key(kind: str, among: QuerySet[Model], rows: list[Held]) -> dict[tuple[str, str], Model | All]:
    pairs = [pair for row in rows for pair in ((row.holder_kind, row.holder_key), (row.target_kind, row.target_key))]
    texts = {key for each, key in pairs if each == kind}
    return {(kind, str(one.pk)): one for one in among.filter(pk__in=as_keys(among.model, texts))}


def _value(kind: str, key: str) -> str:
    return f"{kind}:{key}" if key else kind


def _label(one: Model | All | None) -> str:
    """Return the label of a user, a group or an `All`; "" if it was deleted."""
    if isinstance(one, Group):
        return gettext("the group %(name)s") % {"name": one.name}
    return "" if one is None else str(ALL_NAMES.get(one, one))
