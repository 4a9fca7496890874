"""The history: tenants whose content types have other ids than those of public, and than each other's."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db import connection
from django.test import override_settings
from django_tenants.utils import get_tenant_domain_model, get_tenant_model, schema_context
from guardian.shortcuts import assign_perm
from pytest_django import DjangoDbBlocker

from tests.integration.hosts.conftest import host_name, in_database
from tests.integration.hosts.shop.models import Label, Visit

TENANTS = ("t1", "t2")
BEFORE = ["django.contrib.contenttypes", *settings.TENANT_APPS]


@pytest.fixture(scope="session")
def make_tenants() -> Callable[[], None]:
    """Make the tenants under the lists of apps that the product had; each test gets a copy of all that."""
    return _make_tenants


@override_settings(TENANT_APPS=BEFORE)
def _make_tenants() -> None:
    for number, schema in enumerate(TENANTS, 1):
        tenant = get_tenant_model()(schema_name=schema)
        tenant.auto_create_schema = False
        tenant.save()
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE SCHEMA {schema}")
        _let_others_come_first(tenant, number)
        get_tenant_domain_model().objects.create(tenant=tenant, domain=host_name(schema))
        _use(schema)


def _let_others_come_first(tenant: Any, number: int) -> None:
    """Give content types other ids in each tenant: there, apps that are gone by now were installed before."""
    call_command("migrate_schemas", "contenttypes", schema_name=tenant.schema_name, verbosity=0)
    with schema_context(tenant.schema_name):
        gone = [ContentType(app_label=f"gone{n}", model="thing") for n in range(3 * number)]
        # In front of, and between, those that the migration has made.
        ContentType.objects.all()._raw_delete(using="default")
        ContentType.objects.bulk_create(gone)
    call_command("migrate_schemas", schema_name=tenant.schema_name, verbosity=0)


def _use(schema: str) -> None:
    """Grant, label and visit, as people do."""
    with schema_context(schema):
        alice, bob = User.objects.create_user("alice"), User.objects.create_user("bob")
        group = Group.objects.create(name="Sales")
        alice.groups.add(group)
        alice.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
        group.permissions.set(Permission.objects.filter(codename__startswith="change_"))
        assign_perm("auth.send_message", alice, bob)
        assign_perm("auth.send_group_message", group, group)
        for kind in ContentType.objects.order_by("pk"):
            Label.objects.create(content_type=kind, text="seen")
            Visit.objects.create(content_type=kind)


@pytest.fixture
def live(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Let the test commit, in a copy of the database."""
    original = connection.settings_dict["NAME"]
    with django_db_blocker.unblock(), in_database(f"{original}_copy", template=original):
        yield
