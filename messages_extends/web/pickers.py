"""Pickers for people and groups: a search field that works without scripts, and as you type with them."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import Group
from django.http import JsonResponse
from django.utils.translation import gettext

from messages_extends.texts.languages import in_interface_language
from messages_extends.web.search import MAX_RESULTS, login_name


class Choice(NamedTuple):
    """A person or group that can be chosen: the form field, its value and the label."""

    name: str
    value: str
    text: str
    detail: str = ""


class Picker(NamedTuple):
    """The context of `includes/picker.html`. `found` is None before a search."""

    id: str
    label: str
    search_name: str
    url: str
    several: bool
    search: str = ""
    hint: str = ""
    chosen: Sequence[Choice] = ()
    found: Sequence[Choice] | None = None
    more: bool = False
    errors: Iterable[str] = ()

    @property
    def type(self) -> str:
        return "checkbox" if self.several else "radio"


def person_choice(person: AbstractBaseUser, name: str, prefix: str = "") -> Choice:
    return Choice(name, f"{prefix}{person.pk}", str(person), login_name(person))


def group_choice(group: Group, name: str, prefix: str = "") -> Choice:
    with in_interface_language():
        kind = gettext("Group")
    return Choice(name, f"{prefix}{group.pk}", group.name, kind)


def first_results(choices: Sequence[Choice]) -> tuple[Sequence[Choice], bool]:
    """Return the choices that are shown, and whether there are more."""
    return choices[:MAX_RESULTS], len(choices) > MAX_RESULTS


def found_response(choices: Sequence[Choice]) -> JsonResponse:
    """Return the results of a search as JSON for a script."""
    results, more = first_results(choices)
    return JsonResponse({"results": [choice._asdict() for choice in results], "more": more})
