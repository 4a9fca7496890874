"""Who belongs to an organisation: those whom django-tenant-users has added to it; in public the platform's staff."""

from typing import Any

from django.contrib.auth import get_user_model
from django.db import connection
from django.db.models import QuerySet


def members() -> QuerySet[Any]:
    return get_user_model().objects.filter(tenants__schema_name=connection.schema_name)
