"""What a template's loop over `messages` gets: the text to show, and all else of the message that is saved."""

import pickle
from datetime import timedelta
from typing import Any

import pytest
from django.contrib import messages
from django.template import engines
from django.test import Client
from django.utils import timezone, translation
from django.utils.safestring import SafeData, mark_safe

from messages_extends.api import EVERYONE, announce, get_messages, inbox, send
from messages_extends.constants import ERROR_PERSISTENT, WARNING_PERSISTENT
from messages_extends.inbox.items import FeedItem
from messages_extends.models import Announcement, Message
from messages_extends.testing import assert_sent_to
from tenants.models import Tenant
from tests.factories import BrowserOf
from tests.unit.storages.test_storages import make_request

pytestmark = pytest.mark.usefixtures("in_acme")

LOOP = "{% for message in messages %}[{{ message }}|{{ message.message }}]{% endfor %}"
# Django's own catalogues have it in German and Spanish.
MSGID = "Yes"


def all_shown_to(user: Any, tenant: Any) -> list[Any]:
    """Return the messages that a page shows."""
    return list(get_messages(make_request(tenant, user)))


def shown_to(user: Any, tenant: Any) -> Any:
    [message] = all_shown_to(user, tenant)
    return message


def stored() -> list[dict[str, Any]]:
    return list(Message.objects.order_by("pk").values())


class TestText:
    def test_template_loop_renders_message_text_in_reader_language(self, in_acme: Tenant, alice: Any) -> None:
        send(alice, "%(name)s has sent you an invoice", params={"name": "<Bob>"})
        send(alice, MSGID, params={})
        announce(MSGID, params={}, to=EVERYONE)
        with translation.override("de"):
            html = engines["django"].from_string(LOOP).render({}, make_request(in_acme, alice))
        assert html.count("[Ja|Ja]") == 2
        text = "&lt;Bob&gt; has sent you an invoice"
        assert f"[{text}|{text}]" in html

    def test_template_loop_escapes_text_not_marked_safe(self, in_acme: Tenant, alice: Any) -> None:
        send(alice, mark_safe("<b>%(name)s</b>"), params={"name": "<Bob>"})
        assert isinstance(shown_to(alice, in_acme).message, SafeData)
        send(alice, "<i>plain</i>")
        html = engines["django"].from_string(LOOP).render({}, make_request(in_acme, alice))
        assert "|<b>&lt;Bob&gt;</b>]" in html
        assert "|&lt;i&gt;plain&lt;/i&gt;]" in html

    @pytest.mark.parametrize("params", [None, {}, {"a": 1}])
    def test_shown_message_with_unusable_params_keeps_text(self, in_acme: Tenant, alice: Any, params: Any) -> None:
        send(alice, "100% of %(b)s", params=params)
        assert shown_to(alice, in_acme).message == "100% of %(b)s"

    def test_inbox_items_return_rendered_text_as_message(self, alice: Any) -> None:
        send(alice, MSGID, params={})
        announce(MSGID, params={}, to=EVERYONE)
        with translation.override("es"):
            for entries in (inbox(alice).banners(), inbox(alice).page().entries, assert_sent_to(alice, "Sí")):
                assert [entry.message for entry in entries] == ["Sí", "Sí"]

    def test_overridden_entry_template_renders_translated_text(
        self, in_acme: Tenant, alice: Any, browser_of: BrowserOf, settings: Any, tmp_path: Any
    ) -> None:
        folder = tmp_path / "messages_extends" / "includes"
        folder.mkdir(parents=True)
        for name in ("entry", "banners"):
            (folder / f"{name}.html").write_text(LOOP if name == "banners" else "[{{ entry.message }}]")
        (folder / "banners.html").write_text("{% for message in banners %}[{{ message.message }}]{% endfor %}")
        settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]
        send(alice, MSGID, params={})
        browser: Client = browser_of(in_acme, alice)
        for address in ("", "panel/", "banners/"):
            assert "[Ja]" in browser.get(f"/messages/{address}", headers={"accept-language": "de"}).text

    def test_banner_version_is_same_in_every_language(self, alice: Any) -> None:
        send(alice, MSGID, params={})
        version = inbox(alice).unread().version
        with translation.override("de"):
            assert inbox(alice).unread().version == version


class TestRow:
    @pytest.mark.parametrize("params", [{}, {"name": "Bob"}])
    def test_saving_shown_message_keeps_stored_row(self, in_acme: Tenant, alice: Any, params: Any) -> None:
        send(alice, "Hello %(name)s" if params else MSGID, params=params, key="k", url="/x/")
        send(alice, mark_safe("<b>Hello</b>"))
        before = stored()
        with translation.override("de"):
            for message in all_shown_to(alice, in_acme):
                assert engines["django"].from_string("{{ m }}{{ m.message }}").render({"m": message})
                message.save()
                message.save(update_fields=["message"])
            Message.objects.bulk_update(all_shown_to(alice, in_acme), ["message"])
        after = stored()
        for row in (*before, *after):
            row.pop("modified")
        assert after == before

    def test_shown_message_refuses_assignment_of_text(self, in_acme: Tenant, alice: Any) -> None:
        send(alice, MSGID, params={})
        with pytest.raises(AttributeError, match="load it by its primary key"):
            shown_to(alice, in_acme).message = "Ja"
        assert Message.objects.get().message == MSGID

    def test_shown_message_is_marked_read_by_setting_read(self, in_acme: Tenant, alice: Any) -> None:
        send(alice, "Hello")
        message = shown_to(alice, in_acme)
        message.read = True
        message.save()
        assert Message.objects.get().read_at is not None
        assert Message.objects.get().message == "Hello"

    def test_shown_message_has_attributes_of_row(self, in_acme: Tenant, alice: Any) -> None:
        expires = timezone.now() + timedelta(days=1)
        send(alice, "Hello", level=WARNING_PERSISTENT, url="/x/", key="k", extra_tags="big", expires=expires)
        message, row = shown_to(alice, in_acme), Message.objects.get()
        for name in ("pk", "id", "level", "level_tag", "tags", "read", "read_at", "url", "expires", "created", "key"):
            assert getattr(message, name) == getattr(row, name), name
        assert (message.user, message.kind, message.must_acknowledge) == (alice, "message", False)
        assert message.tags == "big warning persistent unread"
        assert str(message) == str(row)

    def test_shown_message_equals_row(self, in_acme: Tenant, alice: Any) -> None:
        send(alice, "Hello")
        message, row = shown_to(alice, in_acme), Message.objects.get()
        assert isinstance(message, Message)
        assert message == row
        assert row == message
        assert {message} == {row}
        assert [message] == list(Message.objects.filter(pk=message.pk))
        message.delete()
        assert not Message.objects.exists()

    def test_shown_message_survives_pickling(self, in_acme: Tenant, alice: Any) -> None:
        send(alice, MSGID, params={})
        message = pickle.loads(pickle.dumps(shown_to(alice, in_acme)))
        with translation.override("de"):
            assert message.message == "Ja"

    def test_shown_publication_is_feed_item(self, in_acme: Tenant, alice: Any) -> None:
        announce(MSGID, params={}, to=EVERYONE, level=ERROR_PERSISTENT, must_acknowledge=True)
        message = shown_to(alice, in_acme)
        assert isinstance(message, FeedItem)
        assert message.tags == "error persistent announcement unread"
        assert message.must_acknowledge
        assert Announcement.objects.get().message == MSGID

    def test_ordinary_message_is_django_message(self, in_acme: Tenant, alice: Any) -> None:
        request = make_request(in_acme, alice)
        messages.info(request, mark_safe("<b>Hello</b>"))
        [message] = get_messages(request)
        assert type(message) is messages.storage.base.Message
        assert isinstance(message.message, SafeData)
