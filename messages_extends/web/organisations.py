"""Finding organisations by what they are called, whatever columns the host's model has for that."""

from typing import Final, cast

from django.db.models import Model, Q, QuerySet
from django_tenants.utils import get_tenant_model

from messages_extends.tenancy.schemas import Tenant, organisations

NAME: Final = "name"


def search_organisations(text: str) -> QuerySet[Model]:
    """Return the organisations in whose name each word of `text` occurs; sorted by name."""
    columns = ["schema_name"]
    if _has_name():
        columns.insert(0, NAME)
    condition = Q()
    for word in text.split():
        in_one = Q()
        for column in columns:
            in_one |= Q(**{f"{column}__icontains": word})
        condition &= in_one
    return organisations().filter(condition).order_by(*columns)


def name_of(organisation: Model) -> str:
    """Return what people call an organisation; the name of its schema where the model has nothing else."""
    return str(getattr(organisation, NAME, "") or cast(Tenant, organisation).schema_name)


def _has_name() -> bool:
    return NAME in {field.name for field in get_tenant_model()._meta.get_fields()}
