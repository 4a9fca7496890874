"""What lies in public and is referred to from the tenants' schemas."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser, Group, Permission
from django.contrib.contenttypes.models import ContentType
from django.core.cache import cache
from django.db import IntegrityError, ProgrammingError, connection, transaction
from django.db.models import DO_NOTHING
from django_tenants.utils import schema_context
from guardian.conf import settings as guardian_settings
from guardian.shortcuts import assign_perm
from guardian.utils import get_anonymous_user

from messages_extends.broadcasts.models import Broadcast
from messages_extends.models.publication import ReceiptRelation
from messages_extends.tenancy.schemas import is_per_tenant, is_shared
from tests.factories import MakeUser

pytestmark = pytest.mark.django_db

REFERENCES = """
SELECT DISTINCT source.relname, target.relname
FROM pg_constraint
JOIN pg_class source ON source.oid = conrelid
JOIN pg_class target ON target.oid = confrelid
WHERE contype = 'f' AND source.relnamespace = %s::regnamespace AND target.relnamespace = %s::regnamespace
"""


def references(source: str, target: str) -> set[tuple[str, str]]:
    """Return the foreign keys from tables of one schema to tables of another."""
    with connection.cursor() as cursor:
        cursor.execute(REFERENCES, [source, target])
        return set(cursor.fetchall())


# A shared model that names a user -----------------------------------------------------------------------------------


def test_shared_table_referencing_user_cannot_be_created() -> None:
    with schema_context("public"), connection.cursor() as cursor, pytest.raises(ProgrammingError, match="people_user"):
        cursor.execute("CREATE TABLE shared_note (writer_id bigint REFERENCES people_user (id))")


def relations() -> Iterator[tuple[str, str]]:
    """Yield the relations of models that public holds to models that only tenants hold."""
    for model in apps.get_models():
        label = model._meta.app_label
        if is_shared(label) and not is_per_tenant(label):
            fields = [field for field in model._meta.get_fields() if field.is_relation and not field.auto_created]
            # A way to join, without a column: see the test below.
            fields = [field for field in fields if not isinstance(field, ReceiptRelation)]
            targets: list[tuple[str, Any]] = [(str(field), field.related_model) for field in fields]
            yield from (
                (field, target._meta.label) for field, target in targets if is_per_tenant(target._meta.app_label)
            )


def test_shared_models_reference_no_tenant_models() -> None:
    assert list(relations()) == []
    assert is_per_tenant(get_user_model()._meta.app_label)


def test_receipts_of_broadcast_have_no_column_and_no_effect_on_deletion() -> None:
    receipts: Any = Broadcast._meta.get_field("receipts")
    assert receipts in Broadcast._meta.private_fields
    assert (receipts.column, receipts.remote_field.on_delete) == (None, DO_NOTHING)


# A shared row that tenants name -------------------------------------------------------------------------------------


def test_content_type_referenced_by_tenant_permissions_cannot_be_deleted() -> None:
    with schema_context("acme"):
        had = set(Permission.objects.values_list("codename", flat=True))
    with schema_context("public"), pytest.raises(ProgrammingError, match="auth_permission"):
        delete_content_type()
    with schema_context("acme"), pytest.raises(IntegrityError):
        delete_content_type()
    with schema_context("acme"):
        assert set(Permission.objects.values_list("codename", flat=True)) == had


def delete_content_type() -> None:
    with transaction.atomic():
        ContentType.objects.get(app_label="auth", model="group").delete()
        connection.check_constraints()


def test_package_tables_reference_no_public_tables() -> None:
    found = references("acme", "public")
    # The premise: Django's own do.
    assert ("auth_permission", "django_content_type") in found
    assert not {source for source, _target in found if source.startswith(("messages_extends_", "people_"))}


def test_other_schemas_reference_no_tenant_tables() -> None:
    assert references("public", "acme") == references("globex", "acme") == set()


# guardian's anonymous user ------------------------------------------------------------------------------------------


@pytest.fixture
def with_anonymous_users(monkeypatch: pytest.MonkeyPatch, make_user: MakeUser, settings: Any) -> Iterator[None]:
    """Have guardian keep its anonymous user for ever, as its setting -1 does, in a cache that knows no tenants."""
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    monkeypatch.setattr(guardian_settings, "ANONYMOUS_USER_NAME", "nobody@example.com")
    monkeypatch.setattr(guardian_settings, "ANONYMOUS_USER_CACHE_TTL", -1)
    for number, schema in enumerate(("acme", "globex")):
        with schema_context(schema):
            make_user("nobody", email="nobody@example.com", pk=100 + number)
    cache.clear()
    yield
    cache.clear()


@pytest.mark.usefixtures("with_anonymous_users")
def test_guardian_anonymous_user_is_cached_across_tenants() -> None:
    found = set()
    for schema in ("acme", "globex"):
        with schema_context(schema):
            found.add(get_anonymous_user().pk)
    assert found == {100}


def test_anonymous_user_has_no_permissions_and_runs_no_queries(
    make_user: MakeUser, django_assert_num_queries: Any
) -> None:
    with schema_context("acme"):
        group = Group.objects.create(name="Sales")
        assign_perm("change_group", make_user(), group)
        with django_assert_num_queries(0):
            assert not AnonymousUser().has_perm("change_group", group)
