"""Search for organisations by name, whatever the columns of the host project's tenant model."""

from typing import Final, cast

from django.db.models import Model, Q, QuerySet
from django_tenants.utils import get_tenant_model

from messages_extends.tenancy.schemas import Tenant, organisations

NAME: Final = "name"


def search_organisations(text: str) -> QuerySet[Model]:
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


def name_of(organisation: Model) -> str:
    """Return the name of an organisation, or its schema name if the model has no name."""
    return str(getattr(organisation, NAME, "") or cast(Tenant, organisation).schema_name)
