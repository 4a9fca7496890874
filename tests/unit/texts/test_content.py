"""Titles, texts as HTML and the words of links, as templates show them."""

from typing import Any

import pytest
from django.utils import translation
from django.utils.safestring import SafeData, mark_safe

from messages_extends.api import EVERYONE, announce, inbox, revise, send
from messages_extends.models import Message
from messages_extends.texts.html import text_as_html

LINK = '<a href="{0}" rel="noopener noreferrer nofollow">{0}</a>'


def message(**fields: Any) -> Message:
    return Message(**{"message": "Hello", "level": 19, **fields})


class TestTitle:
    def test_str_has_title_before_text(self) -> None:
        one = message(title="Greeting")
        assert (str(one), one.heading, one.body) == ("Greeting: Hello", "Greeting", "Hello")

    def test_str_without_title_is_text(self) -> None:
        assert str(message()) == "Hello"

    def test_title_is_rendered_with_params_in_the_language_of_the_reader(self) -> None:
        one = message(title="May %(x)s", message="%(x)s", params={"x": 5}, url="/", url_label="Monday")
        with translation.override("de"):
            assert (str(one), one.link_label) == ("May 5: 5", "Montag")

    def test_str_of_safe_text_is_safe(self) -> None:
        one = message(title="<i>a</i>", message="<b>b</b>", is_safe=True)
        assert isinstance(str(one), SafeData)
        assert str(one) == "<i>a</i>: <b>b</b>"

    def test_title_of_safe_text_is_escaped_unless_it_is_safe(self, in_acme: Any, alice: Any) -> None:
        send(alice, mark_safe("<b>x</b>"), title="A & B")
        send(alice, mark_safe("<b>y</b>"), title=mark_safe("<i>A</i>"))
        assert [each.heading for each in inbox(alice).page().entries] == ["<i>A</i>", "A &amp; B"]

    def test_revised_safe_text_keeps_its_title(self, in_acme: Any, alice: Any) -> None:
        announcement = announce(mark_safe("<b>x</b>"), to=EVERYONE, title="A & B")
        revise(announcement, url="/x/")
        revise(announcement, title="C & D", display="inbox")
        [entry] = inbox(alice).page().entries
        assert (str(entry), entry.url, entry.display) == ("C &amp; D: <b>x</b>", "/x/", "inbox")

    @pytest.mark.parametrize(
        ("options", "error"),
        [
            ({"title": "x" * 201}, "title has 201 characters"),
            ({"url_label": "x" * 101}, "url_label has 101 characters"),
            ({"category": "x" * 101}, "category has 101 characters"),
            ({"group": "x" * 201}, "group has 201 characters"),
            ({"title": "a\0"}, "title contains a NUL"),
            ({"display": "toast"}, "display 'toast' is not one of banner, inbox"),
        ],
    )
    def test_send_refuses_invalid_label(self, in_acme: Any, alice: Any, options: Any, error: str) -> None:
        with pytest.raises(ValueError, match=error):
            send(alice, "Hello", **options)


class TestLinkLabel:
    @pytest.mark.parametrize(("url", "label"), [("/orders/5/", "Open"), ("https://example.com/a", "Open example.com")])
    def test_default_names_another_site(self, url: str, label: str) -> None:
        assert message(url=url).link_label == label

    def test_own_label_is_plain_text(self) -> None:
        assert message(url="/", url_label="<b>", is_safe=True).link_label == "<b>"


class TestHtml:
    @pytest.mark.parametrize(
        ("text", "html"),
        [
            ("a & b", "a &amp; b"),
            ("a\nb\r\nc", "a<br>b<br>c"),
            ("see https://example.com/x.", f"see {LINK.format('https://example.com/x')}."),
            ("(http://example.com)", f"({LINK.format('http://example.com')})"),
            ("https://example.com/?a=1&copy=2", LINK.format("https://example.com/?a=1&amp;copy=2")),
            ("www.example.com a@example.com", "www.example.com a@example.com"),
            ("javascript://x ftp://example.com", "javascript://x ftp://example.com"),
            ('https://example.com/"onclick="x', f"{LINK.format('https://example.com/')}&quot;onclick=&quot;x"),
            ("<https://example.com>", f"&lt;{LINK.format('https://example.com')}&gt;"),
        ],
    )
    def test_text_is_escaped_and_only_web_addresses_are_links(self, text: str, html: str) -> None:
        assert text_as_html(text) == html

    def test_body_of_safe_text_is_unchanged(self) -> None:
        assert message(message="<b>https://example.com</b>\n", is_safe=True).body_html == (
            "<b>https://example.com</b>\n"
        )

    def test_body_is_without_title(self) -> None:
        assert message(title="Title", message="<i>").body_html == "&lt;i&gt;"
