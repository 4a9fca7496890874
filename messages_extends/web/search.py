"""Finding people by what they are called, whatever columns the user model has for that."""

from typing import Final

from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import Group
from django.db.models import CharField, Q, QuerySet, TextField

# How many a search shows.
MAX_RESULTS: Final = 20
MAX_SEARCH: Final = 100
NAMES: Final = ("name", "full_name", "last_name", "first_name")


def clean_search(text: str) -> str:
    """Return what can be searched for of what somebody has entered."""
    return " ".join(text.replace("\0", " ").split())[:MAX_SEARCH]


def search_people(text: str, people: QuerySet[AbstractBaseUser]) -> QuerySet[AbstractBaseUser]:
    """Keep those of `people` in whose names, login or e-mail address each word of `text` occurs; sorted by name.

    All of them for an empty text. Each is found once, whatever joins `people` come from.
    """
    columns = _columns()
    if people.query.distinct or len(people.query.alias_map) > 1:
        people = get_user_model()._base_manager.filter(pk__in=people.order_by().values("pk"))
    return people.filter(_each_word(text, columns)).order_by(*columns, "pk")


def search_groups(text: str, groups: QuerySet[Group]) -> QuerySet[Group]:
    """Keep those of `groups` in whose name each word of `text` occurs; sorted by name."""
    return groups.filter(_each_word(text, ["name"])).order_by("name", "pk")


def login_name(person: AbstractBaseUser) -> str:
    """Return the login name, where it is not what the person is called anyway."""
    login = str(person.get_username())
    return "" if login == str(person) else login


def _each_word(text: str, columns: list[str]) -> Q:
    condition = Q()
    for word in text.split():
        in_one = Q()
        for column in columns:
            in_one |= Q(**{f"{column}__icontains": word})
        condition &= in_one
    return condition


def _columns() -> list[str]:
    """Return the names of the text columns that say what somebody is called, first those that people know them by."""
    model = get_user_model()
    wanted = [*NAMES, model.USERNAME_FIELD, model.get_email_field_name()]
    texts = {field.name for field in model._meta.concrete_fields if isinstance(field, CharField | TextField)}
    return [name for name in dict.fromkeys(wanted) if name in texts]
