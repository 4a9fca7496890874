"""Which schema is current, and what each holds."""

from typing import Any

import pytest
from django.db import connection
from django_tenants.utils import schema_context

from messages_extends.tenancy.schemas import current_schema, in_schema, is_per_tenant, is_shared
from tenants.models import Tenant


def test_is_shared_and_is_per_tenant_follow_app_lists() -> None:
    assert (is_shared("contenttypes"), is_per_tenant("contenttypes")) == (True, False)
    assert (is_shared("messages_extends"), is_per_tenant("messages_extends")) == (False, True)


def test_is_per_tenant_with_tenant_types_includes_apps_of_every_type(settings: Any) -> None:
    settings.HAS_MULTI_TYPE_TENANTS = True
    settings.TENANT_TYPES = {
        "public": {"APPS": settings.SHARED_APPS},
        "shop": {"APPS": ["messages_extends"]},
        "office": {"APPS": ["django.contrib.auth"]},
    }
    assert [label for label in ("contenttypes", "messages_extends", "auth") if is_shared(label)] == ["contenttypes"]
    assert [label for label in ("contenttypes", "messages_extends", "auth") if is_per_tenant(label)] == [
        "messages_extends",
        "auth",
    ]


def test_inside_restores_previous_schema_after_error(db: None) -> None:
    def fail_inside(seen: list[str]) -> None:
        with in_schema("globex"):
            seen.append(current_schema())
            raise ZeroDivisionError

    with schema_context("acme"):
        seen: list[str] = []
        with pytest.raises(ZeroDivisionError):
            fail_inside(seen)
        assert (seen, current_schema()) == (["globex"], "acme")


def test_inside_current_schema_keeps_tenant_object(acme: Tenant) -> None:
    connection.set_tenant(acme)
    with in_schema("acme"):
        assert connection.tenant is acme
