"""What an organisation may be called."""

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from hypothesis import given
from hypothesis import strategies as st

from tenants.models import Domain, Tenant
from tenants.names import PATTERN, RESERVED, host_for, is_reserved, validate_host, validate_schema

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("schema", ["a", "acme", "acme2", "north_wind", "a1_b2_c3", "a" * 48])
def test_validate_schema_accepts_lowercase_words_with_single_underscores(schema: str) -> None:
    validate_schema(schema)


@pytest.mark.parametrize(
    "schema",
    [
        *("", "1acme", "_acme", "acme_", "north__wind", "xn__acme", "Acme", "ac-me", "ac me", "acmé", "ac.me", 'a"b'),
        *("acme\n", "a\0b", "a;b", "a" * 49, "\uff41cme", "\u0430cme"),
    ],
)
def test_validate_schema_refuses_other_names(schema: str) -> None:
    with pytest.raises(ValidationError):
        validate_schema(schema)


@pytest.mark.parametrize(
    "schema", ["public", "pg_toast", "pg_x", "information_schema", "www", "static", "admin", "api"]
)
def test_validate_schema_refuses_reserved_names(schema: str) -> None:
    with pytest.raises(ValidationError, match="reserved"):
        validate_schema(schema)


def test_validate_schema_error_quotes_name() -> None:
    with pytest.raises(ValidationError, match="“Acme!” is not a valid short name"):
        validate_schema("Acme!")


def test_reserved_names_are_valid_for_hosts_and_schemas() -> None:
    assert all(is_reserved(name) and "-" not in name for name in RESERVED)


@given(st.from_regex(PATTERN, fullmatch=True).filter(lambda name: len(name) <= 48), st.data())
def test_host_for_is_unique_per_schema(one: str, data: st.DataObject) -> None:
    other = data.draw(st.sampled_from([one.replace("_", ""), one + "a", one.replace("_", "_a"), one[::-1]]))
    assert (host_for(one) == host_for(other)) is (one == other)


@given(st.from_regex(r"\A[a-z][a-z0-9]*(_[a-z0-9]+)*\Z").filter(lambda name: len(name) <= 48))
def test_host_for_valid_schema_is_valid_host(schema: str) -> None:
    validate_host(host_for(schema))


@pytest.mark.parametrize(
    "host", ["localhost", "a.b.localhost", "acme.example.com", "-a.localhost", "Acme.localhost", ""]
)
def test_validate_host_refuses_hosts_outside_base_domain(host: str) -> None:
    with pytest.raises(ValidationError):
        validate_host(host)


@pytest.mark.django_db
def test_tenant_table_refuses_invalid_schema_name() -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Tenant.objects.bulk_create([Tenant(schema_name="No-Name", name="No")])


@pytest.mark.django_db
def test_domain_is_stored_in_lower_case(acme: Tenant) -> None:
    domain = Domain.objects.create(tenant=acme, domain="ACME2.localhost", is_primary=False)
    assert domain.domain == "acme2.localhost"
    with pytest.raises(IntegrityError), transaction.atomic():
        Domain.objects.filter(pk=domain.pk).update(domain="ACME2.localhost")


@pytest.mark.django_db
def test_tenant_has_one_primary_domain_and_uses_it_for_links(acme: Tenant) -> None:
    Domain.objects.create(tenant=acme, domain="acme2.localhost", is_primary=True)
    assert acme.domains.filter(is_primary=True).count() == 1
    assert acme.url("/x/").split("://")[1].startswith("acme2.localhost")
