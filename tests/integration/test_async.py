"""Messages in async views: the tenant is passed by value, and a template rendered there does not query."""

from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.contrib import messages
from django.core.exceptions import SynchronousOnlyOperation
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.template import engines
from django.test import AsyncClient, override_settings
from django.urls import include, path
from django_tenants.utils import get_tenant_domain_model, schema_context

from messages_extends import api
from messages_extends.constants import INFO_PERSISTENT
from messages_extends.models import Message
from messages_extends.tenancy.schemas import schema_of
from tenants.models import Tenant
from tests.conftest import count_our_queries
from tests.factories import BrowserOf, make_user

pytestmark = pytest.mark.usefixtures("in_acme")

TEMPLATE = (
    '{{ user }}:{% include "messages_extends/includes/alerts_bootstrap.html" %}'
    "{% for message in messages %}[{{ message }}]{% endfor %}"
)


def rendered(request: HttpRequest) -> HttpResponse:
    return HttpResponse(engines["django"].from_string(TEMPLATE).render({}, request))


async def show(request: HttpRequest) -> HttpResponse:
    await api.aget_messages(request)
    return rendered(request)


async def show_unprepared(request: HttpRequest) -> HttpResponse:
    return rendered(request)


async def add(request: HttpRequest) -> HttpResponse:
    await api.aadd_message(request, INFO_PERSISTENT, f"Sent in {schema_of(request)}, loop in {connection.schema_name}")
    messages.info(request, "Ordinary")
    return HttpResponse()


async def add_in_a_stray_thread(request: HttpRequest) -> HttpResponse:
    await sync_to_async(lambda: connection.set_schema("globex"))()
    await api.aadd_message(request, INFO_PERSISTENT, "From a thread left in globex")
    await api.aget_messages(request)
    return rendered(request)


async def show_in_a_stray_thread(request: HttpRequest) -> HttpResponse:
    await sync_to_async(lambda: connection.set_schema("globex"))()
    return await show(request)


async def archive_in_a_stray_thread(request: HttpRequest) -> HttpResponse:
    await sync_to_async(lambda: connection.set_schema("globex"))()
    page = await api.ainbox(request, lambda inbox: inbox.page(search="hello"))
    marked = await api.ainbox(request, lambda inbox: inbox.archive(*[entry.pk for entry in page.entries]))
    return HttpResponse(f"{marked.count} archived: {', '.join(map(str, page.entries))}")


class Urls:
    urlpatterns = [
        path("archive/", archive_in_a_stray_thread),
        path("show/", show),
        path("show_unprepared/", show_unprepared),
        path("add/", add),
        path("stray/", add_in_a_stray_thread),
        path("stray_show/", show_in_a_stray_thread),
        path("messages/", include("messages_extends.urls")),
    ]


@pytest.fixture
def get(in_acme: Tenant, alice: Any, browser_of: BrowserOf) -> Any:
    # Django's async test client cannot ask for another host than this.
    get_tenant_domain_model().objects.create(tenant=in_acme, domain="testserver", is_primary=False)
    client = AsyncClient()
    client.cookies = browser_of(in_acme, alice).cookies

    def get(url: str) -> str:
        with override_settings(ROOT_URLCONF=Urls):
            response = async_to_sync(client.get)(url)
        connection.set_tenant(in_acme)
        assert response.status_code == 200, response.content.decode()[-900:]
        return response.content.decode()

    return get


def test_message_added_in_async_view_is_stored_in_request_tenant(get: Any, alice: Any) -> None:
    get("/add/")
    assert Message.objects.get().message == "Sent in acme, loop in public"
    with schema_context("globex"):
        assert not Message.objects.exists()


def test_prepared_template_shows_messages_with_one_query(get: Any, alice: Any) -> None:
    get("/add/")
    with count_our_queries() as queries:
        page = get("/show/")
    assert "[Sent in acme, loop in public][Ordinary]" in page
    assert page.startswith("alice:")
    assert len(queries) == 1


def test_unprepared_template_in_async_view_raises_synchronous_only(get: Any) -> None:
    with pytest.raises(SynchronousOnlyOperation):
        get("/show_unprepared/")


def test_message_from_thread_in_other_tenant_is_stored_in_request_tenant(get: Any, alice: Any) -> None:
    assert "[From a thread left in globex]" in get("/stray/")
    assert Message.objects.count() == 1
    with schema_context("globex"):
        assert not Message.objects.exists()


@pytest.mark.parametrize("storage", ["FallbackStorage", "CookieStorage"])
def test_request_user_is_loaded_from_request_tenant_in_stray_thread(get: Any, settings: Any, storage: str) -> None:
    settings.MESSAGE_STORAGE = f"messages_extends.storages.{storage}"
    assert get("/stray_show/").startswith("alice:")


def test_ainbox_changes_inbox_of_request_user_in_request_tenant(get: Any, alice: Any, bob: Any) -> None:
    api.send([alice, bob], "Hello")
    with schema_context("globex"):
        namesake = make_user("gina", pk=alice.pk)
        api.send(namesake, "Hello")
    assert get("/archive/") == "1 archived: Hello"
    assert list(Message.objects.exclude(archived_at=None).values_list("user_id", flat=True)) == [alice.pk]
    with schema_context("globex"):
        assert Message.objects.get().archived_at is None


def test_ainbox_refuses_anonymous_user(in_acme: Tenant) -> None:
    get_tenant_domain_model().objects.create(tenant=in_acme, domain="testserver", is_primary=False)
    with override_settings(ROOT_URLCONF=Urls):
        assert async_to_sync(AsyncClient().get)("/archive/").status_code == 403
