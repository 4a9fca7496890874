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
def test_words_of_letters_and_digits_with_single_underscores_are_names(schema: str) -> None:
    validate_schema(schema)


@pytest.mark.parametrize(
    "schema",
    [
        *("", "1acme", "_acme", "acme_", "north__wind", "xn__acme", "Acme", "ac-me", "ac me", "acmé", "ac.me", 'a"b'),
        *("acme\n", "a\0b", "a;b", "a" * 49, "\uff41cme", "\u0430cme"),
    ],
)
def test_everything_else_is_refused(schema: str) -> None:
    with pytest.raises(ValidationError):
        validate_schema(schema)


@pytest.mark.parametrize(
    "schema", ["public", "pg_toast", "pg_x", "information_schema", "www", "static", "admin", "api"]
)
def test_names_that_mean_something_else_are_reserved(schema: str) -> None:
    with pytest.raises(ValidationError, match="reserved"):
        validate_schema(schema)


def test_the_word_that_refuses_says_which_name_it_was() -> None:
    with pytest.raises(ValidationError, match="“Acme!” is not a valid short name"):
        validate_schema("Acme!")


def test_reserved_host_labels_are_reserved_as_the_schemas_that_lead_there() -> None:
    assert all(is_reserved(name) and "-" not in name for name in RESERVED)


@given(st.from_regex(PATTERN, fullmatch=True).filter(lambda name: len(name) <= 48), st.data())
def test_two_organisations_never_meet_at_one_host_name(one: str, data: st.DataObject) -> None:
    other = data.draw(st.sampled_from([one.replace("_", ""), one + "a", one.replace("_", "_a"), one[::-1]]))
    assert (host_for(one) == host_for(other)) is (one == other)


@given(st.from_regex(r"\A[a-z][a-z0-9]*(_[a-z0-9]+)*\Z").filter(lambda name: len(name) <= 48))
def test_every_valid_name_leads_to_a_valid_host_name(schema: str) -> None:
    validate_host(host_for(schema))


@pytest.mark.parametrize(
    "host", ["localhost", "a.b.localhost", "acme.example.com", "-a.localhost", "Acme.localhost", ""]
)
def test_a_domain_is_one_label_in_front_of_the_base_domain(host: str) -> None:
    with pytest.raises(ValidationError):
        validate_host(host)


@pytest.mark.django_db
def test_the_database_refuses_a_schema_name_that_python_was_not_asked_about() -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Tenant.objects.bulk_create([Tenant(schema_name="No-Name", name="No")])


@pytest.mark.django_db
def test_a_domain_is_kept_in_lower_case_whoever_writes_it(acme: Tenant) -> None:
    domain = Domain.objects.create(tenant=acme, domain="ACME2.localhost", is_primary=False)
    assert domain.domain == "acme2.localhost"
    with pytest.raises(IntegrityError), transaction.atomic():
        Domain.objects.filter(pk=domain.pk).update(domain="ACME2.localhost")


@pytest.mark.django_db
def test_an_organisation_has_one_primary_domain_and_its_links_lead_there(acme: Tenant) -> None:
    Domain.objects.create(tenant=acme, domain="acme2.localhost", is_primary=True)
    assert acme.domains.filter(is_primary=True).count() == 1
    assert acme.url("/x/").split("://")[1].startswith("acme2.localhost")
