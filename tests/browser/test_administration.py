"""Who may write to whom, and the operator's organisations, as people use these pages."""

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django_tenants.utils import get_tenant_model, schema_context
from playwright.sync_api import expect

from messages_extends.access.policy import policy
from tenants.models import Tenant
from tests.browser.conftest import Visitor
from tests.factories import MakeUser
from tests.integration.tenants.conftest import drop

SUBMIT_AND_LOOK = """() => {
  const form = document.querySelector("form[data-waiting]");
  form.requestSubmit();
  return [form.querySelector("[data-waiting-text]").textContent, form.querySelector("button").disabled];
}"""


@pytest.fixture
def people(acme: Tenant, make_user: MakeUser) -> dict[str, Any]:
    with schema_context("acme"):
        people = {name: make_user(name) for name in ("bob", "carol")}
        Group.objects.create(name="Sales").user_set.add(people["carol"])
        people["alice"] = make_user("alice", is_superuser=True)
        return people


@pytest.fixture
def new_name(database: None) -> Iterator[str]:
    name = f"t{uuid.uuid4().hex[:12]}"
    yield name
    drop(name)


def may_write(sender: Any, recipient: Any) -> bool:
    with schema_context("acme"):
        people = get_user_model()._default_manager
        return policy().may_message(people.get(pk=sender.pk), people.get(pk=recipient.pk))


def test_grant_is_added_checked_and_revoked(acme: Tenant, people: Any, visit: Callable[..., Visitor]) -> None:
    page = visit(acme, people["alice"]).go("/messages/grants/")
    page.get_by_text("Add a permission").click()
    for search, option in (("bob", "bob"), ("Sal", "Sales")):
        field = page.get_by_role("combobox").nth(0 if search == "bob" else 1)
        field.fill(search)
        page.get_by_role("option", name=option).first.click()
    page.get_by_role("button", name="Allow", exact=True).click()
    expect(page.get_by_role("listitem").filter(has_text="bob may write to the group Sales")).to_be_visible()
    assert may_write(people["bob"], people["carol"])

    page.get_by_role("link", name="Check a messaging permission").click()
    for number, name in enumerate(("bob", "carol")):
        page.get_by_role("combobox").nth(number).fill(name)
        page.get_by_role("option", name=name).first.click()
    page.get_by_role("button", name="Check").click()
    expect(page.get_by_text("bob may write to carol.")).to_be_visible()

    page.get_by_role("link", name="All permissions").click()
    page.get_by_role("link", name="Revoke").click()
    page.get_by_role("button", name="Revoke").first.click()
    expect(page.get_by_text("There are no permissions yet.")).to_be_visible()
    assert not may_write(people["bob"], people["carol"])


@pytest.mark.parametrize("scripts", [True, False])
def test_organisation_is_created_suspended_and_resumed(
    make_user: MakeUser, visit: Callable[..., Visitor], new_name: str, *, scripts: bool
) -> None:
    platform = get_tenant_model().objects.get(schema_name="platform")
    with schema_context("platform"):
        operator = make_user("olivia", is_superuser=True)
    page = visit(platform, operator, java_script_enabled=scripts).go("/organisations/new/")
    page.get_by_label("Name:", exact=True).fill("Newco")
    page.get_by_label("Short name").fill(new_name)
    page.get_by_label("E-mail address of the first administrator").fill(f"first@{new_name}.example")
    if scripts:
        # Read at once: Playwright itself waits until the next page is there.
        said, disabled = page.evaluate(SUBMIT_AND_LOOK)
        assert said.startswith("The organisation is being created.")
        assert disabled
    else:
        page.get_by_role("button", name="Create").click()
    page.wait_for_url("**/organisations/", timeout=60_000)
    row = page.get_by_role("listitem").filter(has_text=f"{new_name}.localhost")
    expect(row).to_contain_text("Open")
    assert get_tenant_model().objects.get(schema_name=new_name).is_ready
    row.get_by_role("link", name="Suspend").or_(row.get_by_role("button", name="Suspend")).first.click()
    page.get_by_role("button", name="Suspend").first.click()
    expect(page.get_by_role("listitem").filter(has_text=f"{new_name}.localhost")).to_contain_text("Suspended")
    page.get_by_role("listitem").filter(has_text=f"{new_name}.localhost").get_by_role("button", name="Resume").click()
    expect(page.get_by_role("listitem").filter(has_text=f"{new_name}.localhost")).to_contain_text("Open")
