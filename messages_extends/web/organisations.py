"""Search for organisations by name, whatever the columns of the host project's tenant model."""

from typing import Any, Final

from django.db.models import Q, QuerySet
from django_tenants.utils import get_tenant_model

from messages_extends.tenancy.schemas import organisations

NAME: Final = "name"


def search_organisations(text: str) -> QuerySet[Any]:
    """Return the organisations whose name contains each word of `text`, sorted by name."""
    has_name = NAME in {field.name for field in get_tenant_model()._meta.get_fields()}
    columns = [NAME, "schema_name"] if has_name else ["schema_name"]
    condition = Q()
    for word in text.split():
        in_one = Q()
        for column in columns:
            in_one |= Q(**{f"{column}__icontains": word})
        condition &= in_one
    return organisations().filter(condition).order_by(*columns)


def name_of(organisation: Any) -> str:
    """Return the name of an organisation, or its schema name if the model has no name."""
    return str(getattr(organisation, NAME, "") or organisation.schema_name)
