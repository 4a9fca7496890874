"""Who may write to whom: a list, a form that adds to it, a page that takes from it, and one that says why."""

from functools import wraps
from typing import Any, Final
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from messages_extends.access import grants
from messages_extends.access.grants import All, Held, held
from messages_extends.access.membership import members, people_here
from messages_extends.access.policy import policy
from messages_extends.links import reverse_own
from messages_extends.tenancy.schemas import user_model_has
from messages_extends.web.forms import GrantForm, WhyForm, as_keys, find_one
from messages_extends.web.pickers import Choice, Picker, found_response, group_choice, person_choice, shown
from messages_extends.web.requests import View, login_to_read, require_reader
from messages_extends.web.search import MAX_RESULTS, clean_search, search_groups, search_people

PAGE_SIZE = 25
ALL_NAMES: Final = {All.EVERYBODY: _("everybody"), All.EVERY_GROUP: _("the members of every group")}


def for_granters(view: View) -> View:
    """Answer 403 to those who may not say who writes to whom."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not policy().may_grant(require_reader(request)):
            raise PermissionDenied("You may not say who writes to whom.")
        return view(request, *args, **kwargs)

    return guarded


@never_cache
@login_to_read
@for_granters
@require_http_methods(["GET", "HEAD", "POST"])
def message_grants(request: HttpRequest) -> HttpResponse:
    """List what is granted, narrowed down by a search; add to it."""
    if request.method != "POST":
        return _list_page(request, GrantForm())
    form = GrantForm(request.POST, checks=request.POST.get("step") != "search")
    if not form.checks:
        return _list_page(request, form)
    if form.is_valid() and not policy().may_give(request.user, form.chosen_target):
        form.add_error("target", _("You can grant permission to write only to recipients you may write to yourself."))
    if not form.is_valid():
        return _list_page(request, form, status=400)
    grants.grant(form.picked["holder"], form.chosen_target, by=request.user)
    names = {"holder": _called(form.picked["holder"]), "target": _called(form.chosen_target)}
    messages.success(request, gettext("%(holder)s may now write to %(target)s.") % names)
    return HttpResponseRedirect(reverse_own("message_grants"))


@never_cache
@login_to_read
@for_granters
@require_http_methods(["GET", "HEAD", "POST"])
def message_grant_remove(request: HttpRequest) -> HttpResponse:
    """Ask once more, then take one grant back; 404 for what is none."""
    given = request.POST if request.method == "POST" else request.GET
    holder, target = (find_one(given.get(name, ""), people_here()) for name in ("holder", "target"))
    if holder is None or target is None or isinstance(holder, All):
        raise Http404("There is no such grant.")
    names = {"holder": _called(holder), "target": _called(target)}
    if request.method != "POST":
        if not grants.is_held(holder, target):
            raise Http404("There is no such grant.")
        context = names | {"holder_value": given["holder"], "target_value": given["target"]}
        return render(request, "messages_extends/grant_remove.html", context)
    grants.revoke(holder, target, by=request.user)
    messages.success(request, gettext("The permission of %(holder)s to write to %(target)s has been revoked.") % names)
    return HttpResponseRedirect(reverse_own("message_grants"))


@never_cache
@login_to_read
@for_granters
@require_safe
def message_why(request: HttpRequest) -> HttpResponse:
    """Say whether one person may write to another, and on which grounds."""
    form = WhyForm(request.GET, checks=request.GET.get("step") == "ask")
    reasons = (
        policy().reasons(form.picked["sender"], form.picked["recipient"]) if form.checks and form.is_valid() else []
    )
    context = {
        "form": form,
        "pickers": [_picker(form, name, gettext("Search by name or e-mail address.")) for name in WhyForm.PICKERS],
        "reasons": reasons,
        "may": any(reason.allows for reason in reasons),
    }
    return render(request, "messages_extends/why.html", context, status=400 if form.errors else 200)


@never_cache
@for_granters
@require_safe
def message_grant_people(request: HttpRequest, field: str) -> HttpResponse:
    """Answer which people, and groups where they can be chosen, are called so: for the script of a picker."""
    if field not in (*GrantForm.PICKERS, *WhyForm.PICKERS):
        raise Http404("There is no such field.")
    return found_response(_found(field, clean_search(request.GET.get("q", ""))))


# Parts of the pages -------------------------------------------------------------------------------------------------


def _list_page(request: HttpRequest, form: GrantForm, status: int = 200) -> HttpResponse:
    search = clean_search(request.GET.get("search", ""))
    among = {}
    if search:
        among = {"people": search_people(search, people_here()), "groups": search_groups(search, Group.objects.all())}
    page = Paginator(held(**among), PAGE_SIZE).get_page(request.GET.get("page"))
    hint = gettext("Search for people and groups by name or e-mail address.")
    context = {
        "form": form,
        "pickers": [_picker(form, name, hint) for name in GrantForm.PICKERS],
        "page": page,
        "rows": _named([Held(*row[1:]) for row in page]),
        "search": search,
    }
    return render(request, "messages_extends/grants.html", context, status=status)


def _picker(form: GrantForm | WhyForm, name: str, hint: str) -> Picker:
    picked = form.picked[name]
    chosen = [] if picked is None else [_choice(picked, name)]
    found, more = (None, False)
    search = form.search(name)
    if not form.checks and search:
        found, more = shown([choice for choice in _found(name, search) if choice not in chosen])
    return Picker(
        id=f"id_{name}",
        label=str(form.fields[name].label),
        search_name=f"{name}_q",
        url=reverse_own("message_grant_people", name),
        several=False,
        search=search,
        hint=hint,
        chosen=chosen,
        found=found,
        more=more,
        errors=[str(error) for error in form.errors.get(name, ())],
    )


def _choice(picked: Any, name: str) -> Choice:
    return group_choice(picked, name, "group:") if isinstance(picked, Group) else person_choice(picked, name, "user:")


def _found(name: str, search: str) -> list[Choice]:
    """Return what a search finds, and one more than it shows if there are more."""
    with_groups = name in GrantForm.PICKERS
    # A grant to a group, or on one, reaches nobody where people are in none.
    groups = (
        search_groups(search, Group.objects.all())[: MAX_RESULTS + 1]
        if with_groups and user_model_has("groups")
        else ()
    )
    # Why somebody gets nothing can be that they are not active.
    people = search_people(search, members() if with_groups else people_here())[: MAX_RESULTS + 1]
    return [_choice(each, name) for each in (*groups, *people)]


def _named(rows: list[Held]) -> list[dict[str, Any]]:
    """Return what each row's holder and target are called, and the values that name them: two queries."""
    found = {
        **_by_key("user", people_here(), rows),
        **_by_key("group", Group.objects.all(), rows),
        **{(each.value, ""): each for each in All},
    }
    return [
        {
            "holder": _called(found.get((row.holder_kind, row.holder_key))),
            "target": _called(found.get((row.target_kind, row.target_key))),
            "query": urlencode(
                {"holder": _value(row.holder_kind, row.holder_key), "target": _value(row.target_kind, row.target_key)}
            ),
        }
        for row in rows
    ]


def _by_key(kind: str, among: QuerySet[Any], rows: list[Held]) -> dict[tuple[str, str], Any]:
    texts = {key for row in rows for each, key in _both(row) if each == kind}
    return {(kind, str(one.pk)): one for one in among.filter(pk__in=as_keys(among.model, texts))}


def _both(row: Held) -> tuple[tuple[str, str], tuple[str, str]]:
    return (row.holder_kind, row.holder_key), (row.target_kind, row.target_key)


def _value(kind: str, key: str) -> str:
    return f"{kind}:{key}" if key else kind


def _called(one: Any) -> str:
    """Return what somebody, or a group, or everybody is called; "" for who is gone."""
    if isinstance(one, Group):
        return gettext("the group %(name)s") % {"name": one.name}
    return "" if one is None else str(ALL_NAMES.get(one, one))
