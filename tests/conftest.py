"""Fixtures for every test: two organisations and the platform's own, made once; people and messages on demand."""

from collections.abc import Callable, Iterator

import pytest
from django.core.management import call_command
from django.db import connection
from django_tenants.utils import get_tenant_model, schema_context

SCHEMAS = ("acme", "globex", "platform")


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: object) -> None:
    """Add the test organisations to the test database; they stay for the whole run."""
    with django_db_blocker.unblock():
        tenant_model = get_tenant_model()
        for schema in SCHEMAS:
            tenant = tenant_model.objects.filter(schema_name=schema).first() or tenant_model(schema_name=schema)
            tenant.save()
            tenant.create_schema(check_if_exists=True, verbosity=0)
            call_command("migrate_schemas", schema_name=schema, verbosity=0, interactive=False)
