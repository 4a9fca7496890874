"""Search for people, groups and organisations by name, whatever the columns of the host project's models."""

from typing import Final, cast

from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import Group
from django.db.models import CharField, Model, Q, QuerySet, TextField
from django_tenants.utils import get_tenant_model

from messages_extends.tenancy.schemas import Tenant, tenants_with_messages

# The number of results that are shown.
MAX_RESULTS: Final = 20
MAX_SEARCH: Final = 100
ORGANISATION_NAME: Final = "name"
NAMES: Final = ("name", "full_name", "last_name", "first_name")


def clean_search(text: str) -> str:
    """Return a search text with normalised whitespace and limited length."""
    return " ".join(text.replace("\0", " ").split())[:MAX_SEARCH]


def search_people(text: str, people: QuerySet[AbstractBaseUser]) -> QuerySet[AbstractBaseUser]:
    """Return the people whose names, login or e-mail address contain each word of `text`, sorted by name.

    An empty text matches everybody. There are no duplicates, whatever the joins of `people`.
    """
    model = get_user_model()
    wanted = [*NAMES, model.USERNAME_FIELD, model.get_email_field_name()]
    # Text columns only: a host project may have a name or a login of another type.
    texts = {field.name for field in model._meta.concrete_fields if isinstance(field, CharField | TextField)}
    columns = [name for name in dict.fromkeys(wanted) if name in texts]
    if people.query.distinct or len(people.query.alias_map) > 1:
        people = model._base_manager.filter(pk__in=people.order_by().values("pk"))
    return people.filter(_each_word(text, columns)).order_by(*columns, "pk")


def search_groups(text: str, groups: QuerySet[Group]) -> QuerySet[Group]:
    """Return the groups whose name contains each word of `text`, sorted by name."""
    return groups.filter(_each_word(text, ["name"])).order_by("name", "pk")


def search_organisations(text: str) -> QuerySet[Model]:
    """Return the organisations whose name contains each word of `text`, sorted by name."""
    has_name = ORGANISATION_NAME in {field.name for field in get_tenant_model()._meta.get_fields()}
    columns = [ORGANISATION_NAME, "schema_name"] if has_name else ["schema_name"]
    return tenants_with_messages().filter(_each_word(text, columns)).order_by(*columns)


def name_of(organisation: Model) -> str:
    """Return the name of an organisation, or its schema name if the model has no name."""
    return str(getattr(organisation, ORGANISATION_NAME, "") or cast(Tenant, organisation).schema_name)


def login_name(person: AbstractBaseUser) -> str:
    """Return the login name; "" if it is the same as the person's name."""
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
