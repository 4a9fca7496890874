"""Marking messages as read through their URLs."""

import re
from typing import Any

import pytest
from django.contrib.messages.storage.base import Message as OrdinaryMessage
from django.template import Context, Template
from django.template.loader import get_template
from django.test import Client, RequestFactory, override_settings
from django_tenants.utils import schema_context

from messages_extends.api import EVERYONE, announce, inbox
from messages_extends.constants import ERROR, ERROR_PERSISTENT
from messages_extends.models import Message
from tenants.models import Tenant
from tests.factories import BrowserOf, MakeMessage, MakeUser

pytestmark = pytest.mark.usefixtures("in_acme")


def url_of(message: Any) -> str:
    return f"/messages/mark_read/{message if isinstance(message, int) else message.pk}/"


AJAX = {"X-Requested-With": "XMLHttpRequest"}


class TestMarkRead:
    def test_mark_read_redirects_to_referer(self, browser: Client, message: Message) -> None:
        answer = browser.post(url_of(message), headers={"referer": "http://acme.localhost/orders/?page=2"})
        assert (answer.status_code, answer["Location"]) == (302, "http://acme.localhost/orders/?page=2")
        message.refresh_from_db()
        assert message.read

    def test_mark_read_by_script_returns_empty_200(self, browser: Client, message: Message) -> None:
        answer = browser.post(url_of(message), headers=AJAX)
        assert (answer.status_code, answer.content) == (200, b"")

    def test_mark_read_twice_keeps_first_time(self, browser: Client, message: Message) -> None:
        browser.post(url_of(message))
        first = Message.objects.get().read_at
        assert browser.post(url_of(message)).status_code == 302
        assert Message.objects.get().read_at == first

    def test_mark_read_by_get_returns_405(self, browser: Client, message: Message) -> None:
        assert browser.get(url_of(message)).status_code == 405
        assert browser.get("/messages/mark_read/all/").status_code == 405
        assert not Message.objects.get().read

    def test_mark_read_without_csrf_token_returns_403(self, in_acme: Tenant, alice: Any, message: Message) -> None:
        browser = Client(enforce_csrf_checks=True, headers={"host": "acme.localhost"})
        browser.force_login(alice, "django.contrib.auth.backends.ModelBackend")
        assert browser.post(url_of(message)).status_code == 403
        assert not Message.objects.get().read

    @pytest.mark.parametrize("url", [url_of(1), "/messages/mark_read/all/"])
    def test_mark_read_without_login_returns_403(self, in_acme: Tenant, browser_of: BrowserOf, url: str) -> None:
        assert browser_of(in_acme).post(url).status_code == 403

    def test_mark_read_of_message_of_other_user_returns_404(
        self, browser: Client, make_user: MakeUser, make_message: MakeMessage
    ) -> None:
        other = make_message(make_user("bob"))
        assert browser.post(url_of(other)).status_code == 404
        other.refresh_from_db()
        assert not other.read

    @pytest.mark.parametrize("number", [0, 10**18, 10**40])
    def test_mark_read_of_missing_message_returns_404(self, browser: Client, number: int) -> None:
        assert browser.post(url_of(number)).status_code == 404

    def test_mark_read_of_message_of_other_tenant_returns_404(
        self, acme: Tenant, globex: Tenant, make_user: MakeUser, make_message: MakeMessage, browser_of: BrowserOf
    ) -> None:
        with schema_context("globex"):
            theirs = make_message(make_user("alice"), pk=4711)
        with schema_context("acme"):
            browser = browser_of(acme, make_user("alice"))
        assert browser.post(url_of(4711)).status_code == 404
        with schema_context("globex"):
            theirs.refresh_from_db()
            assert not theirs.read

    def test_mark_all_read_marks_own_messages_only(
        self, browser: Client, alice: Any, make_user: MakeUser, make_message: MakeMessage
    ) -> None:
        mine, other = [make_message(alice) for _ in range(3)], make_message(make_user("bob"))
        browser.post("/messages/mark_read/all/", headers=AJAX)
        assert set(Message.objects.filter(read=True)) == set(mine)
        assert list(Message.objects.filter(read=False)) == [other]

    def test_mark_read_on_public_host_returns_404(self, db: None) -> None:
        with override_settings(PUBLIC_SCHEMA_URLCONF="config.urls"):
            assert Client(headers={"host": "localhost"}).post(url_of(1)).status_code == 404

    @pytest.mark.parametrize(
        "referer",
        ["https://evil.example/", "//evil.example/", "javascript:alert(1)", "http://globex.localhost/", "", "http://["],
    )
    def test_mark_read_never_redirects_to_other_host(self, browser: Client, message: Message, referer: str) -> None:
        for data, headers in (({}, {"referer": referer}), ({"next": referer}, {})):
            assert browser.post(url_of(message), data, headers=headers)["Location"] == "/"

    def test_mark_read_redirects_to_next(self, browser: Client, message: Message) -> None:
        answer = browser.post(url_of(message), {"next": "/inbox/"}, headers={"referer": "http://acme.localhost/"})
        assert answer["Location"] == "/inbox/"


class TestBootstrapAlerts:
    def render(self, *messages: Any) -> str:
        template = get_template("messages_extends/includes/alerts_bootstrap.html")
        return template.render({"messages": messages}, RequestFactory().get("/"))

    def test_alert_of_saved_message_posts_to_mark_read_url(self, message: Message) -> None:
        html = self.render(message)
        assert f'action="{url_of(message)}"' in html
        assert f'close-href="{url_of(message)}"' in html
        assert "csrfmiddlewaretoken" in html
        assert "alert-info" in html
        assert "unread" in html

    def test_alert_of_inbox_item_to_acknowledge_has_no_close_button(self, alice: Any) -> None:
        announce("The rules", to=EVERYONE, must_acknowledge=True)
        [rules] = inbox(alice).page().entries
        html = self.render(rules)
        address = f"/messages/acknowledge/{rules.pk}/"
        assert f'<form class="d-inline" method="post" action="{address}">' in html
        assert re.search(rf'close-href="{address}"\s+aria-label="Acknowledge: The rules"\s*>Acknowledge</button>', html)
        assert "btn-close" not in html
        assert "alert-dismissible" not in html

    def test_alert_buttons_have_descriptive_labels(self, alice: Any, make_message: MakeMessage) -> None:
        saved = make_message(alice, "Your invoice", url="/x/")
        html = self.render(saved, OrdinaryMessage(20, "Saved."))
        for name in ("Close: Your invoice", "Open: Your invoice", "Close: Saved."):
            assert f'aria-label="{name}"' in html

    def test_alert_text_is_escaped_unless_safe(self, alice: Any, make_message: MakeMessage) -> None:
        plain, safe = make_message(alice, "<script>"), make_message(alice, "<b>bold</b>", is_safe=True)
        assert "&lt;script&gt;" in self.render(plain)
        assert "<b>bold</b>" in self.render(safe)

    def test_alert_close_button_has_class_of_django_messages_extends(self, message: Message) -> None:
        html = self.render(message, OrdinaryMessage(18, "sticky"))
        assert [set(each.split()) for each in re.findall(r'class="([^"]*btn-close[^"]*)"', html)] == [
            {"btn-close", "close"}
        ] * 2

    def test_alert_for_error_has_class_danger(self, alice: Any, make_message: MakeMessage) -> None:
        html = self.render(make_message(alice, level=39))
        assert "alert-danger" in html
        assert "alert-error" not in html

    def test_alert_shows_link(self, alice: Any, make_message: MakeMessage) -> None:
        assert 'href="/orders/5/"' in self.render(make_message(alice, url="/orders/5/"))

    def test_alert_of_banner_to_acknowledge_has_no_close_button(
        self, in_acme: Tenant, alice: Any, browser: Client
    ) -> None:
        announcement = announce("The rules", to=EVERYONE, level=ERROR_PERSISTENT, must_acknowledge=True)
        html = self.render(*inbox(alice).banners())
        address = f"/messages/acknowledge/{announcement.reference}/"
        assert f'action="{address}"' in html
        assert re.search(rf'<button[^>]* class="btn[^"]*"\s+close-href="{address}"[^>]*>Acknowledge<', html)
        assert "btn-close" not in html
        assert "alert-dismissible" not in html
        assert browser.post(address, headers=AJAX).status_code == 200
        assert inbox(alice).banners() == []

    def test_alert_uses_message_tags_of_host(self, settings: Any, alice: Any, make_message: MakeMessage) -> None:
        settings.MESSAGE_TAGS = {ERROR: "danger"}
        template = Template('{% for m in messages %}<p class="alert alert-{{ m.level_tag }} {{ m.tags }}">{% endfor %}')
        html = template.render(Context({"messages": [make_message(alice, level=ERROR_PERSISTENT)]}))
        assert html == '<p class="alert alert-danger persistent danger persistent unread">'

    def test_django_messages_extends_template_renders(self, message: Message) -> None:
        template = Template(
            '{% for m in messages %}{% url "message_mark_read" m.pk %}|{{ m }}|{{ m.tags }}{% endfor %}'
        )
        assert template.render(Context({"messages": [message]})) == f"{url_of(message)}|Hello|info persistent unread"
