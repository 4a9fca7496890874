"""The names of our URLs in any host: which of them there are, and where the links of our own pages lead."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.checks import run_checks
from django.http import HttpRequest, HttpResponse
from django.template import engines
from django.test import override_settings
from django.urls import NoReverseMatch, include, path, reverse

from messages_extends import urls
from messages_extends.api import send
from messages_extends.broadcasts import urls as console
from messages_extends.links import reverse_if_any, reverse_page
from messages_extends.models import Message
from tenants.models import Tenant
from tests.factories import BrowserOf, MakeUser

# What django-messages-extends named.
PUBLISHED = {"message_mark_read", "message_mark_all_read"}


def host_page(request: HttpRequest) -> HttpResponse:
    template = "{% load messages_extends %}{% message_bell %}{% message_banners %}"
    return HttpResponse(engines["django"].from_string(template).render({}, request))


class WithoutNamespace:
    urlpatterns = [path("messages/", include("messages_extends.urls"))]


class Root:
    urlpatterns = urls.urlpatterns


class OwnNamespace:
    urlpatterns = [path("m/", include(("messages_extends.urls", "ns")))]


class NestedNamespaces:
    urlpatterns = [
        path("site/", include(([path("m/", include(("messages_extends.urls", "own"), namespace="msgs"))], "site")))
    ]


class NamedInstance:
    urlpatterns = [path("m/", include(("messages_extends.urls", "messages_extends"), namespace="ns"))]


class IncludedTwice:
    urlpatterns = [
        path("first/", include("messages_extends.urls")),
        path("second/", include(("messages_extends.urls", "ns"))),
    ]


class IncludedTwiceWithoutNamespace:
    urlpatterns = [
        path("first/", include("messages_extends.urls")),
        path("second/", include("messages_extends.urls")),
    ]


class OwnPages:
    urlpatterns = [
        path("inbox/", host_page, name="inbox"),
        path("messages/", include("messages_extends.urls")),
        path("announcements/", host_page, name="announcements"),
    ]


class NotIncluded:
    urlpatterns: list[Any] = []


def names_in(patterns: Any) -> Iterator[str]:
    for pattern in patterns:
        yield from names_in(pattern.url_patterns) if hasattr(pattern, "url_patterns") else [pattern.name]


def arguments_of(name: str) -> list[Any]:
    """Return what stands in the path of one of our pages."""
    for pattern in (*urls.pages, *console.urlpatterns):
        if getattr(pattern, "name", None) == name:
            values = {"message_id": "5", "field": "holder", "pk": "00000000-0000-4000-8000-000000000000"}
            return [values[parameter] for parameter in pattern.pattern.converters]
    raise LookupError(name)


OURS = set(names_in(urls.pages))


class TestNames:
    def test_included_urls_expose_two_names_outside_namespace(self) -> None:
        assert {"inbox", "announcements"} | PUBLISHED <= OURS
        with override_settings(ROOT_URLCONF=WithoutNamespace):
            for name in OURS:
                args = arguments_of(name)
                assert reverse(f"messages_extends:{name}", args=args) == reverse_page(name, *args)
                if name in PUBLISHED:
                    assert reverse(name, args=args) == reverse_page(name, *args)
                else:
                    with pytest.raises(NoReverseMatch):
                        reverse(name, args=args)

    def test_urls_in_host_namespace_are_nested_in_that_namespace(self) -> None:
        with override_settings(ROOT_URLCONF=OwnNamespace):
            assert reverse("ns:message_mark_read", args=[5]) == "/m/mark_read/5/"
            assert reverse("ns:message_mark_all_read") == "/m/mark_read/all/"
            assert reverse("ns:messages_extends:message_mark_read", args=[5]) == "/m/mark_read/5/"
            assert reverse("ns:messages_extends:inbox") == "/m/"
            for name in ("ns:inbox", "messages_extends:inbox", "message_mark_all_read"):
                with pytest.raises(NoReverseMatch):
                    reverse(name)

    @pytest.mark.parametrize("urlconf", [WithoutNamespace, OwnNamespace, IncludedTwice, OwnPages])
    def test_included_urls_pass_django_url_checks(self, urlconf: type) -> None:
        with override_settings(ROOT_URLCONF=urlconf):
            assert [report.id for report in run_checks(tags=["urls"])] == []

    def test_included_urls_keep_names_of_host(self) -> None:
        with override_settings(ROOT_URLCONF=OwnPages):
            assert reverse("inbox") == "/inbox/"
            assert reverse("announcements") == "/announcements/"
            assert reverse_page("inbox") == "/messages/"
            assert reverse_page("announcements") == "/messages/announcements/"


class TestOwnLinks:
    @pytest.mark.parametrize(
        ("urlconf", "prefix"),
        [
            (WithoutNamespace, "/messages/"),
            (Root, "/"),
            (OwnNamespace, "/m/"),
            (NamedInstance, "/m/"),
            (NestedNamespaces, "/site/m/"),
            (IncludedTwice, "/first/"),
            (IncludedTwiceWithoutNamespace, "/first/"),
            (OwnPages, "/messages/"),
        ],
    )
    def test_reverse_own_finds_urls_in_every_inclusion(self, urlconf: type, prefix: str) -> None:
        with override_settings(ROOT_URLCONF=urlconf):
            assert reverse_page("inbox") == prefix
            assert reverse_page("message_mark_read", 5) == f"{prefix}mark_read/5/"
            assert reverse_page("message_mark_all_read") == f"{prefix}mark_read/all/"
            assert reverse_page("broadcasts") == f"{prefix}broadcasts/"

    def test_reverse_own_without_inclusion_raises_no_reverse_match(self) -> None:
        with override_settings(ROOT_URLCONF=NotIncluded):
            with pytest.raises(NoReverseMatch, match="include"):
                reverse_page("message_mark_all_read")
            assert reverse_if_any("inbox") == ""


class TestPages:
    """Each host shows our pages and lets a message be closed, wherever it included them."""

    @pytest.fixture(autouse=True)
    def _without_the_layout_of_the_reference_product(self, settings: Any) -> None:
        # It links to pages that these hosts do not have.
        settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": []}]

    @pytest.mark.parametrize(
        ("urlconf", "prefixes"),
        [
            (WithoutNamespace, ["/messages/"]),
            (OwnNamespace, ["/m/"]),
            (IncludedTwice, ["/first/", "/second/"]),
            (IncludedTwiceWithoutNamespace, ["/first/", "/second/"]),
            (OwnPages, ["/messages/"]),
        ],
    )
    def test_inbox_page_shows_and_closes_message_in_every_inclusion(
        self, in_acme: Tenant, make_user: MakeUser, browser_of: BrowserOf, urlconf: type, prefixes: list[str]
    ) -> None:
        alice = make_user("alice")
        browser = browser_of(in_acme, alice)
        for prefix in prefixes:
            send(alice, "Hello")
            message = Message.objects.get(read=False)
            with override_settings(ROOT_URLCONF=urlconf):
                page = browser.get(prefix).text
                assert f'action="{prefixes[0]}mark_read/{message.pk}/"' in page
                assert browser.post(f"{prefix}mark_read/{message.pk}/").status_code == 302
            assert not Message.objects.filter(read=False).exists()

    def test_host_page_named_inbox_shows_banners(
        self, in_acme: Tenant, make_user: MakeUser, browser_of: BrowserOf
    ) -> None:
        alice = make_user("alice")
        send(alice, "Hello")
        with override_settings(ROOT_URLCONF=OwnPages):
            page = browser_of(in_acme, alice).get("/inbox/").text
            assert "Hello" in page
            assert 'href="/messages/"' in page
