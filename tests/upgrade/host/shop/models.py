"""The host project's customers, and who belongs to which where users are shared."""

from typing import Any

from django.contrib.auth import get_user_model
from django.db import connection, models
from django.db.models import QuerySet
from django_tenants.models import DomainMixin, TenantMixin


class Customer(TenantMixin):  # type: ignore[misc]
    auto_create_schema = False


class Domain(DomainMixin):  # type: ignore[misc]
    pass


class Membership(models.Model):
    """One user of one customer; no foreign key, because users are not always shared."""

    schema = models.CharField(max_length=63)
    user_id = models.BigIntegerField()


def members() -> "QuerySet[Any]":
    """Return the people of the current customer."""
    ids = Membership.objects.filter(schema=connection.schema_name).values("user_id")
    return get_user_model()._default_manager.filter(pk__in=ids)


def by_hand(schema: str) -> dict[int, int]:
    """Give Alice what Dave had in the first customer, and somebody who does not exist what Bob had elsewhere."""
    return {4: 1} if schema == "acme" else {2: 999}
